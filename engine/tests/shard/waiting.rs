//! A service whose requests wait: it reads a file through the ring, with the delays that the request's path asks for.
//!
//! `/wait/<until_us>/<delay_us>`, or with a further `/<bytes>`: reads a block, or so much, that is held back for `delay_us`, and answers with its first eight bytes, or with
//! `late` once `until_us` are over. `/other/...` is the same of a second file, which answers whatever the first does. `/seen` is answered with the moment from which its time counts. Everything else is answered at once.

use std::{
    os::{fd::OwnedFd, unix::fs::FileExt as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use gannet_engine::{
    Answer, Asked, Content, Finished, Form, Now, Read, Service, Ticket, Waiting,
    admission::Criticality,
    http::{Head, Request, Status},
};

/// What tests look at from outside.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) abandoned: AtomicU64,
    pub(crate) concluded: AtomicU64,
    /// Reads that came when nobody waited any more.
    pub(crate) late_reads: AtomicU64,
    /// Requests that wait now.
    pub(crate) waiting: AtomicU64,
}

#[derive(Debug)]
enum Wanted {
    Now(Vec<u8>),
    Wait { other: bool, until_us: u64, delay_us: u64, length: u32, seen_ns: u64 },
}

#[derive(Debug, Default)]
struct Place {
    generation: u32,
    taken: bool,
    bytes: Option<[u8; 8]>,
    failed: bool,
}

#[derive(Debug)]
pub(crate) struct Patient {
    file: Arc<OwnedFd>,
    other: Arc<OwnedFd>,
    asked: Vec<Wanted>,
    places: Vec<Place>,
    reads: Vec<Read>,
    seen: Arc<Seen>,
}

impl Patient {
    /// Reads `file`, whose first block begins with `patience`.
    pub(crate) fn new(file: OwnedFd, seen: Arc<Seen>) -> Self {
        let other = Arc::new(Self::file());
        Self { file: Arc::new(file), other, asked: Vec::new(), places: Vec::new(), reads: Vec::new(), seen }
    }

    /// A file of one block.
    pub(crate) fn file() -> OwnedFd {
        let file = tempfile();
        let mut block = [0; 4096];
        block[..8].copy_from_slice(b"patience");
        file.write_all_at(&block, 0).unwrap();
        file.into()
    }

    fn release(&mut self, waiting: Waiting) {
        let place = &mut self.places[waiting.0 as usize];
        assert!(place.taken, "released once");
        *place = Place { generation: place.generation + 1, ..Place::default() };
        self.seen.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A file without a name.
#[expect(clippy::disallowed_types, reason = "what a shard reads is a file, and somebody has to make it")]
fn tempfile() -> std::fs::File {
    use std::os::unix::fs::OpenOptionsExt as _;
    let folder = std::env::temp_dir();
    std::fs::OpenOptions::new().read(true).write(true).custom_flags(libc::O_TMPFILE).open(folder).unwrap()
}

impl Service for Patient {
    fn turn(&mut self, _: Now) {
        assert!(self.asked.is_empty());
    }

    fn begin(&mut self, _: Now, request: Request<'_>) -> Ticket {
        let path = std::str::from_utf8(request.head.path).unwrap();
        let mut parts = path.split('/').skip(1);
        self.asked.push(match (parts.next(), parts.next(), parts.next()) {
            (Some(file @ ("wait" | "other")), Some(until), Some(delay)) => Wanted::Wait {
                other: file == "other",
                until_us: until.parse().unwrap(),
                delay_us: delay.parse().unwrap(),
                length: parts.next().map_or(4096, |bytes| bytes.parse().unwrap()),
                seen_ns: request.seen_ns,
            },
            (Some("seen"), None, None) => Wanted::Now(request.seen_ns.to_string().into_bytes()),
            _ => Wanted::Now(request.body.to_vec()),
        });
        Ticket(u32::try_from(self.asked.len() - 1).unwrap())
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

    fn finish(&mut self, _: Now, ticket: Ticket, body: &mut Vec<u8>) -> Finished {
        let (other, until_us, delay_us, length, seen_ns) = match &self.asked[ticket.0 as usize] {
            Wanted::Now(bytes) => {
                body.extend_from_slice(bytes);
                return Finished::Answer(ok());
            }
            Wanted::Wait { other, until_us, delay_us, length, seen_ns } => {
                (*other, *until_us, *delay_us, *length, *seen_ns)
            }
        };
        let place = self.places.iter().position(|place| !place.taken).unwrap_or_else(|| {
            self.places.push(Place::default());
            self.places.len() - 1
        });
        self.places[place].taken = true;
        self.seen.waiting.fetch_add(1, Ordering::Relaxed);
        let tag = u64::from(self.places[place].generation) << 32 | place as u64;
        let file = Arc::clone(if other { &self.other } else { &self.file });
        self.reads.push(Read { file, offset: 0, length, tag, delay_ns: delay_us * 1000 });
        let waiting = Waiting(u32::try_from(place).unwrap());
        Finished::Waits { waiting, until_ns: seen_ns + until_us * 1000 }
    }

    fn ready(&mut self, _: Now, _: &mut Vec<Waiting>) {}

    fn take_reads(&mut self, reads: &mut Vec<Read>) {
        reads.append(&mut self.reads);
    }

    fn wants(&self, tag: u64) -> bool {
        let place = &self.places[(tag & 0xffff_ffff) as usize];
        place.taken && u64::from(place.generation) == tag >> 32
    }

    fn read_over(&mut self, _: Now, tag: u64, outcome: Result<&[u8], i32>) -> Option<Waiting> {
        if !self.wants(tag) {
            self.seen.late_reads.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let place = &mut self.places[(tag & 0xffff_ffff) as usize];
        match outcome {
            Ok(bytes) => place.bytes = Some(bytes[..8].try_into().unwrap()),
            Err(_) => place.failed = true,
        }
        Some(Waiting(u32::try_from(tag & 0xffff_ffff).unwrap()))
    }

    fn conclude(&mut self, _: Now, waiting: Waiting, body: &mut Vec<u8>) -> Answer {
        let place = &self.places[waiting.0 as usize];
        match place.bytes {
            Some(bytes) => body.extend_from_slice(&bytes),
            None if place.failed => body.extend_from_slice(b"failed"),
            None => body.extend_from_slice(b"late"),
        }
        self.seen.concluded.fetch_add(1, Ordering::Relaxed);
        self.release(waiting);
        ok()
    }

    fn abandon(&mut self, waiting: Waiting) {
        self.seen.abandoned.fetch_add(1, Ordering::Relaxed);
        self.release(waiting);
    }

    fn turned(&mut self, _: Now) {
        self.asked.clear();
    }

    fn tick(&mut self, _: Now) {}
}

fn ok() -> Answer {
    Answer {
        status: Status::OK,
        content: Content::Json,
        allow: None,
        retry_after_s: None,
        authenticate: None,
        accept_encoding: None,
        server_timing: None,
        limited: None,
    }
}
