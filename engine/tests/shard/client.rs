//! A plain blocking client that shows exactly what came.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::OwnedFd,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use gannet_engine::{
    Service,
    admission::AdmissionConfig,
    clock::Origin,
    limits::Limits,
    server::{self, Server, ServerConfig, ShardMetrics, StartError, Waker},
};

use crate::{
    echo::Echo,
    handing::Handing,
    waiting::{Patient, Seen},
};

/// A server of one shard on a free port; drained when dropped.
pub(crate) struct Started {
    server: Option<Server>,
    metrics: Arc<ShardMetrics>,
}

/// Tests measure nothing: what they do in bursts is not to be refused unless it is what they are about.
fn admit_all() -> AdmissionConfig {
    AdmissionConfig { enabled: false, ..AdmissionConfig::default() }
}

impl Started {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits::default();
        change(&mut limits);
        Self::start("127.0.0.1:0".parse().unwrap(), limits, 256, Duration::ZERO).unwrap()
    }

    pub(crate) fn with_connections(connections: usize) -> Self {
        Self::start("127.0.0.1:0".parse().unwrap(), Limits::default(), connections, Duration::ZERO).unwrap()
    }

    pub(crate) fn spinning(spin: Duration) -> Self {
        Self::start("127.0.0.1:0".parse().unwrap(), Limits::default(), 256, spin).unwrap()
    }

    pub(crate) fn try_at(address: SocketAddr) -> Result<(), StartError> {
        Self::start(address, Limits::default(), 16, Duration::ZERO).map(drop)
    }

    fn start(listen: SocketAddr, limits: Limits, connections: usize, spin: Duration) -> Result<Self, StartError> {
        Self::serving(listen, limits, admit_all(), connections, spin, Echo::default)
    }

    /// A server that echoes what its gate lets through.
    pub(crate) fn guarded(admission: AdmissionConfig) -> Self {
        let address = "127.0.0.1:0".parse().unwrap();
        Self::serving(address, Limits::default(), admission, 256, Duration::ZERO, Echo::default).unwrap()
    }

    /// The same with fewer connections.
    pub(crate) fn guarded_with_connections(admission: AdmissionConfig, connections: usize) -> Self {
        let address = "127.0.0.1:0".parse().unwrap();
        Self::serving(address, Limits::default(), admission, connections, Duration::ZERO, Echo::default).unwrap()
    }

    /// The same on a core that looks for work for ever before it sleeps.
    pub(crate) fn guarded_spinning(limits: Limits, admission: AdmissionConfig) -> Self {
        let address = "127.0.0.1:0".parse().unwrap();
        Self::serving(address, limits, admission, 256, Duration::MAX, Echo::default).unwrap()
    }

    /// A server whose requests may wait, and what it counts.
    pub(crate) fn patient(spin: Duration) -> (Self, Arc<Seen>) {
        Self::patient_with(Patient::file(), spin)
    }

    /// The same with a file of the test's own.
    pub(crate) fn patient_with(file: OwnedFd, spin: Duration) -> (Self, Arc<Seen>) {
        Self::patient_of(file, Limits::default(), spin)
    }

    /// The same under limits of the test's own.
    pub(crate) fn patient_within(change: impl FnOnce(&mut Limits), spin: Duration) -> (Self, Arc<Seen>) {
        let mut limits = Limits::default();
        change(&mut limits);
        Self::patient_of(Patient::file(), limits, spin)
    }

    /// The same with both.
    pub(crate) fn patient_of(file: OwnedFd, limits: Limits, spin: Duration) -> (Self, Arc<Seen>) {
        let seen = Arc::new(Seen::default());
        let service = || Patient::new(file.try_clone().unwrap(), Arc::clone(&seen));
        let started = Self::serving("127.0.0.1:0".parse().unwrap(), limits, admit_all(), 256, spin, service).unwrap();
        (started, seen)
    }

    /// A server whose requests another thread makes ready, and how many of them came back too late.
    pub(crate) fn handing(spin: Duration) -> (Self, Arc<AtomicU64>) {
        let late = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&late);
        let service = move |waker| Handing::new(waker, Arc::clone(&counted));
        let address = "127.0.0.1:0".parse().unwrap();
        let started = Self::waking(address, Limits::default(), admit_all(), 256, spin, service).unwrap();
        (started, late)
    }

    fn serving<S: Service + Send + 'static>(
        listen: SocketAddr,
        limits: Limits,
        admission: AdmissionConfig,
        connections: usize,
        spin: Duration,
        service: impl Fn() -> S,
    ) -> Result<Self, StartError> {
        Self::waking(listen, limits, admission, connections, spin, |_| service())
    }

    /// The same for a service that is told what wakes its shard.
    fn waking<S: Service + Send + 'static>(
        listen: SocketAddr,
        limits: Limits,
        admission: AdmissionConfig,
        connections: usize,
        spin: Duration,
        service: impl Fn(Waker) -> S,
    ) -> Result<Self, StartError> {
        let metrics = Arc::new(ShardMetrics::default());
        let config = ServerConfig {
            listen,
            cores: vec![server::allowed_cpus()[0]],
            allowed: server::allowed_cpus(),
            spin,
            limits,
            admission,
            connections_per_core: connections,
            metrics: vec![Arc::clone(&metrics)],
            origin: Origin::now(),
        };
        let server = server::start(&config, |_, waker| {
            let service = service(waker);
            move || service
        })?;
        Ok(Self { server: Some(server), metrics })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.as_ref().unwrap().address()
    }

    pub(crate) fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Client { stream, unread: Vec::new() }
    }

    pub(crate) fn drain(&self, within: Duration) {
        self.server.as_ref().unwrap().drain(within);
        std::thread::sleep(Duration::from_millis(50)); // the shard takes it up at its next turn
    }

    pub(crate) fn join(&mut self) {
        self.server.take().unwrap().join().unwrap();
    }

    /// Waits until a metric has a value; fails after ten seconds.
    pub(crate) fn wait_for(&self, name: &str, value: f64) {
        self.wait_until(name, |last| (last - value).abs() < f64::EPSILON);
    }

    /// Waits until a metric is as it should be; fails after ten seconds.
    pub(crate) fn wait_until(&self, name: &str, is_well: impl Fn(f64) -> bool) {
        let mut last = f64::NAN;
        for _ in 0..1000 {
            last = self.metric(name);
            if is_well(last) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{name} is {last}");
    }

    /// What a metric is now; of several labels the last, of none no number.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let mut value = f64::NAN;
        self.metrics.samples(&mut |sample| {
            if sample.name == name {
                value = sample.value;
            }
        });
        value
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.drain(Duration::ZERO);
            server.join().unwrap();
        }
    }
}

pub(crate) struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").into_bytes()
}

pub(crate) fn post(body: &str) -> Vec<u8> {
    format!("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

impl Client {
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Long enough for the server to have seen what was sent.
    pub(crate) fn pause(&self) {
        std::thread::sleep(Duration::from_millis(1));
    }

    /// Sends, then resets the connection.
    pub(crate) fn send_and_reset(mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// The next response's head; the body stays unread.
    pub(crate) fn head(&mut self) -> Response {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.read() > 0, "closed inside a head: {:?}", String::from_utf8_lossy(&self.unread));
        };
        let head = String::from_utf8(self.unread.drain(..end).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers =
            lines.map(|l| l.split_once(": ").unwrap()).map(|(n, v)| (n.to_lowercase(), v.to_owned())).collect();
        Response { status, headers, body: String::new() }
    }

    pub(crate) fn response(&mut self) -> Response {
        let mut response = self.head();
        let length: usize = response.header("content-length").unwrap().parse().unwrap();
        while self.unread.len() < length {
            assert!(self.read() > 0, "closed inside a body");
        }
        response.body = String::from_utf8(self.unread.drain(..length).collect()).unwrap();
        response
    }

    /// Whether a request is still answered on this connection.
    pub(crate) fn answers(&mut self, body: &str) -> bool {
        if self.stream.write_all(&post(body)).is_err() {
            return false;
        }
        while !self.unread.ends_with(body.as_bytes()) {
            if self.read() == 0 {
                return false;
            }
        }
        self.unread.clear();
        true
    }

    /// Everything until the server closes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.read() > 0 {}
        std::mem::take(&mut self.unread)
    }

    /// The server closed, and said nothing more.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.rest().is_empty()
    }

    fn read(&mut self) -> usize {
        let mut buffer = [0; 65536];
        let n = match self.stream.read(&mut buffer) {
            Ok(n) => n,
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => 0,
            Err(e) => panic!("{e}"),
        };
        self.unread.extend_from_slice(&buffer[..n]);
        n
    }
}
