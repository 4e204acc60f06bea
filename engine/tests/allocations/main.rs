//! A shard in steady state allocates nothing: connections, buffers, framing, answering and sending all live on what was
//! allocated before. The service here tells, in each answer, how often the shard's thread has allocated so far.
#![expect(clippy::tests_outside_test_module, clippy::unwrap_used, reason = "an integration test is all test")]
#![expect(unsafe_code, reason = "counting allocations takes an allocator")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use gannet_engine::{
    Answer, Asked, Content, Finished, Form, Now, Read as ReadFile, Service, Ticket, Waiting,
    admission::{AdmissionConfig, Criticality},
    clock::Origin,
    http::{Head, Request, Status},
    limits::Limits,
    server::{self, ServerConfig, ShardMetrics},
};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Debug, Default)]
struct Teller(u32);

impl Service for Teller {
    fn turn(&mut self, _: Now) {}

    fn begin(&mut self, _: Now, _: Request<'_>) -> Ticket {
        self.0 += 1;
        Ticket(self.0)
    }

    fn asks(&mut self, _: Now, _: &Head<'_>) -> Asked {
        Asked::Features { criticality: Criticality::Default, budget_ns: None }
    }

    fn overloaded(&mut self, _: Now, _: Form, body: &mut Vec<u8>) {
        body.extend_from_slice(b"overloaded");
    }

    fn refuse_early(&mut self, _: Now, _: &Head<'_>) -> Option<Ticket> {
        None
    }

    fn gather(&mut self, _: Now) {}

    fn finish(&mut self, _: Now, _: Ticket, body: &mut Vec<u8>) -> Finished {
        write!(body, "{:020}", ALLOCATIONS.get()).unwrap();
        body.resize(body.len() + 880, b' ');
        Finished::Answer(Answer {
            status: Status::OK,
            content: Content::Json,
            allow: None,
            retry_after_s: None,
            authenticate: None,
            accept_encoding: None,
            server_timing: None,
            limited: None,
        })
    }

    fn ready(&mut self, _: Now, _: &mut Vec<Waiting>) {}

    fn take_reads(&mut self, _: &mut Vec<ReadFile>) {}

    fn wants(&self, _: u64) -> bool {
        false
    }

    fn read_over(&mut self, _: Now, _: u64, _: Result<&[u8], i32>) -> Option<Waiting> {
        None
    }

    fn conclude(&mut self, _: Now, _: Waiting, _: &mut Vec<u8>) -> Answer {
        unreachable!("nothing waits here")
    }

    fn abandon(&mut self, _: Waiting) {}

    fn turned(&mut self, _: Now) {}

    fn tick(&mut self, _: Now) {}
}

/// Sends `bytes` in pieces of `piece`, reads `answers` answers, and returns the last count told.
fn ask(stream: &mut TcpStream, bytes: &[u8], piece: usize, answers: usize) -> u64 {
    for piece in bytes.chunks(piece) {
        stream.write_all(piece).unwrap();
        if piece.len() < bytes.len() {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    let mut last = 0;
    for _ in 0..answers {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let mut body = [0; 900];
        stream.read_exact(&mut body).unwrap();
        last = std::str::from_utf8(&body[..20]).unwrap().parse().unwrap();
    }
    last
}

#[test]
fn a_request_in_steady_state_allocates_nothing() {
    let config = ServerConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        cores: vec![server::allowed_cpus()[0]],
        allowed: server::allowed_cpus(),
        spin: Duration::ZERO,
        limits: Limits::default(),
        admission: AdmissionConfig::default(),
        connections_per_core: 64,
        metrics: vec![Arc::new(ShardMetrics::default())],
        origin: Origin::now(),
    };
    let server = server::start(&config, |_, _| Teller::default).unwrap();
    let mut streams: Vec<_> = (0..8).map(|_| TcpStream::connect(server.address()).unwrap()).collect();
    let body = "x".repeat(300);
    let one = format!("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes();
    let pipelined = one.repeat(8);

    let mut told = Vec::new();
    for _ in 0..90 {
        for stream in &mut streams {
            ask(stream, &one, usize::MAX, 1);
            told.push(ask(stream, &pipelined, usize::MAX, 8));
        }
        told.push(ask(&mut streams[0], &one, 100, 1)); // in pieces: kept between turns, in a pooled buffer
    }
    // The first third warms pools and lists up; after that not one allocation.
    let (warm, steady) = told.split_at(told.len() / 3);
    assert_eq!(warm.last(), steady.last(), "allocations after {} requests, and at the end", warm.len() * 4);
    server.drain(Duration::ZERO);
    server.join().unwrap();
}
