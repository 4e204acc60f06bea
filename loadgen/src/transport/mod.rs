//! How requests are carried: HTTP/1.1 over nonblocking sockets, one epoll, one thread. It knows connections and bytes; what a
//! request says, when it is due and what its answer counts as is known elsewhere.

mod connection;
pub(crate) mod response;

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    event::{
        Timespec,
        epoll::{self, EventData, EventFlags},
    },
    io::Errno,
    net::{AddressFamily, RecvFlags, SocketFlags, SocketType},
};

use crate::clock::{Clock, NS_PER_MS, NS_PER_S};
use connection::{Connection, State};

/// A request under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) stream: u16,
    /// When the plan wanted it sent.
    pub(crate) planned_ns: u64,
    /// When its bytes were handed to the kernel.
    pub(crate) sent_ns: u64,
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// Handed to the kernel, on a connection that could have taken it since `free_since_ns`.
    Sent {
        request: Pending,
        free_since_ns: u64,
    },
    Answered {
        request: Pending,
        at_ns: u64,
        status: u16,
        body: &'a [u8],
    },
    /// There will be no answer.
    Failed {
        request: Pending,
        why: &'a str,
    },
}

/// What happened to connections beside requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Upsets {
    /// Connections that ended and were opened again.
    pub(crate) reconnects: u64,
    /// Attempts to open one again that failed.
    pub(crate) connect_failures: u64,
}

pub(crate) struct Transport {
    clock: Clock,
    address: SocketAddr,
    pipeline: usize,
    epoll: OwnedFd,
    ready: Vec<epoll::Event>,
    ready_count: usize,
    connections: Vec<Connection>,
    /// By pool, connections that can take a request, the longest free first. One that ended meanwhile is skipped when its turn comes.
    free: Vec<VecDeque<usize>>,
    /// Connections with bytes to write this turn.
    dirty: Vec<usize>,
    /// Connections that wait to be opened again.
    down: Vec<usize>,
    buffer: Box<[u8]>,
    upsets: Upsets,
}

impl Transport {
    /// Opens all connections, so many of each pool, or says why one could not be opened.
    pub(crate) fn connect(address: SocketAddr, pools: &[usize], pipeline: usize, clock: Clock) -> io::Result<Self> {
        let connections = pools.iter().sum();
        let pool_of = pools.iter().enumerate().flat_map(|(pool, count)| std::iter::repeat_n(pool, *count));
        let mut transport = Self {
            clock,
            address,
            pipeline,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            ready: vec![epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; EVENTS_PER_TURN],
            ready_count: 0,
            connections: pool_of.map(|pool| Connection::new(pool, pipeline)).collect(),
            free: pools.iter().map(|count| VecDeque::with_capacity(*count)).collect(),
            dirty: Vec::with_capacity(connections),
            down: Vec::with_capacity(connections),
            buffer: vec![0; RECEIVE_BYTES].into_boxed_slice(),
            upsets: Upsets::default(),
        };
        let deadline_ns = clock.now_ns() + CONNECT_TIME_MAX_NS;
        let mut opening = 0;
        for at in 0..connections {
            transport.open(at)?;
            opening += 1;
            // A listener's queue is finite; more at once would wait for SYNs to be sent again.
            while opening >= OPENING_MAX || (at + 1 == connections && opening > 0) {
                if clock.now_ns() > deadline_ns {
                    return Err(io::Error::from(io::ErrorKind::TimedOut));
                }
                for nth in 0..transport.wait(Some(10 * NS_PER_MS))? {
                    let at = transport.ready_at(nth).0;
                    if transport.connections[at].state == State::Opening {
                        transport.finish_opening(at)?;
                        opening -= 1;
                    }
                }
            }
        }
        Ok(transport)
    }

    fn open(&mut self, at: usize) -> io::Result<()> {
        let family = if self.address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        rustix::net::sockopt::set_tcp_nodelay(&socket, true)?;
        match rustix::net::connect(&socket, &self.address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(e) => return Err(e.into()),
        }
        // Edge-triggered, once and for all: a ready connection costs one receive and no further call to epoll.
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, &socket, EventData::new_u64(at as u64), flags)?;
        let connection = &mut self.connections[at];
        connection.socket = Some(socket);
        connection.state = State::Opening;
        Ok(())
    }

    fn finish_opening(&mut self, at: usize) -> io::Result<()> {
        let now_ns = self.clock.now_ns();
        let connection = &mut self.connections[at];
        if let Some(socket) = &connection.socket {
            rustix::net::sockopt::socket_error(socket.as_fd())??;
        }
        connection.state = State::Open;
        connection.free_since_ns = now_ns;
        self.list(at);
        Ok(())
    }

    /// Puts a connection that can take a request into the queue of free ones.
    fn list(&mut self, at: usize) {
        let connection = &mut self.connections[at];
        if !connection.listed && connection.has_room(self.pipeline) {
            connection.listed = true;
            self.free[connection.pool].push_back(at);
        }
    }

    /// Whether a request could be taken now, by a connection of this pool.
    pub(crate) fn has_room(&mut self, pool: usize) -> bool {
        let free = &mut self.free[pool];
        while let Some(at) = free.front() {
            let connection = &mut self.connections[*at];
            if connection.has_room(self.pipeline) {
                return true;
            }
            connection.listed = false;
            free.pop_front();
        }
        false
    }

    /// Takes a request, if a connection of the pool has room for it: `render` appends its bytes. They leave with the next flush.
    pub(crate) fn take(
        &mut self,
        pool: usize,
        stream: u16,
        planned_ns: u64,
        render: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        if !self.has_room(pool) {
            return false;
        }
        let Some(at) = self.free[pool].pop_front() else { return false };
        let connection = &mut self.connections[at];
        connection.listed = false;
        render(&mut connection.out);
        connection.pending.push_back(Pending { stream, planned_ns, sent_ns: 0 });
        connection.unstamped += 1;
        if connection.unstamped == 1 {
            self.dirty.push(at);
        }
        self.list(at);
        true
    }

    /// One write for each connection that has taken requests.
    pub(crate) fn flush(&mut self, tell: &mut impl FnMut(Event<'_>)) {
        while let Some(at) = self.dirty.pop() {
            let connection = &mut self.connections[at];
            let now_ns = self.clock.now_ns();
            let first = connection.pending.len() - connection.unstamped;
            for request in connection.pending.range_mut(first..) {
                request.sent_ns = now_ns;
                tell(Event::Sent { request: *request, free_since_ns: connection.free_since_ns });
            }
            connection.unstamped = 0;
            if let Err(e) = connection.write() {
                self.end(at, &e.to_string(), tell);
            }
        }
    }

    /// Waits for connections to become ready, at most `timeout_ns`; says how many did. Without a time it only looks.
    pub(crate) fn wait(&mut self, timeout_ns: Option<u64>) -> io::Result<usize> {
        let timeout_ns = i64::try_from(timeout_ns.unwrap_or(0)).unwrap_or(i64::MAX);
        let timeout = Timespec { tv_sec: timeout_ns / 1_000_000_000, tv_nsec: timeout_ns % 1_000_000_000 };
        self.ready_count = match epoll::wait(&self.epoll, &mut self.ready[..], Some(&timeout)) {
            Ok(count) => count,
            Err(Errno::INTR) => 0,
            Err(e) => return Err(e.into()),
        };
        Ok(self.ready_count)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the number is the index that was given to epoll")]
    fn ready_at(&self, nth: usize) -> (usize, EventFlags) {
        let epoll::Event { flags, data } = self.ready[nth];
        (data.u64() as usize, flags)
    }

    /// Takes up what the `nth` ready connection has.
    pub(crate) fn handle(&mut self, nth: usize, tell: &mut impl FnMut(Event<'_>)) {
        let (at, flags) = self.ready_at(nth);
        if self.connections[at].state == State::Opening {
            match self.finish_opening(at) {
                Ok(()) => self.upsets.reconnects += 1,
                Err(_) => self.retry_later(at),
            }
        }
        if self.connections[at].state == State::Down {
            return; // ended, perhaps earlier in this turn
        }
        let ends = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        if ends || flags.contains(EventFlags::IN) {
            self.receive(at, ends, tell);
        }
        let connection = &mut self.connections[at];
        if connection.is_blocked()
            && let Err(e) = connection.write()
        {
            self.end(at, &e.to_string(), tell);
        }
    }

    fn receive(&mut self, at: usize, ends: bool, tell: &mut impl FnMut(Event<'_>)) {
        loop {
            let connection = &mut self.connections[at];
            let Some(socket) = &connection.socket else { return };
            let received = match rustix::net::recv(socket, &mut self.buffer[..], RecvFlags::empty()) {
                Ok((0, _)) => return self.end(at, "the server closed the connection", tell),
                Ok((received, _)) => received,
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => continue,
                Err(e) => return self.end(at, &e.to_string(), tell),
            };
            let now_ns = self.clock.now_ns();
            let was_full = connection.pending.len() == self.pipeline;
            match connection.answers(&self.buffer[..received], now_ns, tell) {
                Ok(true) => {}
                Ok(false) => return self.end(at, "the server closed the connection", tell),
                Err(fault) => return self.end(at, fault, tell),
            }
            if was_full && connection.has_room(self.pipeline) {
                connection.free_since_ns = now_ns;
            }
            self.list(at);
            // A short receive has emptied the socket, unless its end is there to be met.
            if received < self.buffer.len() && !ends {
                return;
            }
        }
    }

    /// Ends a connection. Its requests have failed; it is opened again at once.
    fn end(&mut self, at: usize, why: &str, tell: &mut impl FnMut(Event<'_>)) {
        let now_ns = self.clock.now_ns();
        let connection = &mut self.connections[at];
        self.dirty.retain(|dirty| *dirty != at);
        let first_unsent = connection.pending.len() - connection.unstamped;
        for (nth, mut request) in connection.pending.drain(..).enumerate() {
            if nth >= first_unsent {
                request.sent_ns = now_ns;
                tell(Event::Sent { request, free_since_ns: connection.free_since_ns });
            }
            tell(Event::Failed { request, why });
        }
        connection.reset();
        connection.retry_ns = now_ns;
        connection.patience_ns = RETRY_FIRST_NS;
        self.down.push(at);
    }

    fn retry_later(&mut self, at: usize) {
        self.upsets.connect_failures += 1;
        let now_ns = self.clock.now_ns();
        let connection = &mut self.connections[at];
        connection.reset();
        connection.retry_ns = now_ns + connection.patience_ns;
        connection.patience_ns = (2 * connection.patience_ns).min(RETRY_LAST_NS);
        self.down.push(at);
    }

    /// Opens connections again whose time has come.
    pub(crate) fn reopen(&mut self, now_ns: u64) {
        let mut nth = 0;
        while nth < self.down.len() {
            let at = self.down[nth];
            if self.connections[at].retry_ns > now_ns {
                nth += 1;
                continue;
            }
            self.down.swap_remove(nth);
            if self.open(at).is_err() {
                self.retry_later(at);
            }
        }
    }

    /// The requests that are still under way.
    pub(crate) fn pending(&self) -> impl Iterator<Item = &Pending> {
        self.connections.iter().flat_map(|c| &c.pending)
    }

    pub(crate) fn upsets(&self) -> Upsets {
        self.upsets
    }
}

/// Taken from the kernel at once; between any two of them the caller asks the clock whether requests are due.
const EVENTS_PER_TURN: usize = 256;

/// Answers are a few KiB; a pipeline of them fits.
const RECEIVE_BYTES: usize = 256 << 10;

/// Less than the queue of any listener.
const OPENING_MAX: usize = 64;

const CONNECT_TIME_MAX_NS: u64 = 10 * NS_PER_S;

const RETRY_FIRST_NS: u64 = 10 * NS_PER_MS;

const RETRY_LAST_NS: u64 = NS_PER_S;
