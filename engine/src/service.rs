//! What a shard needs of the thing it serves: plain functions, called on one core, in stages over a whole turn.
//!
//! Waiting is a value. A request that cannot be answered in its turn says what it reads and until when it waits; the shard
//! makes the reads, and calls again when they are over or the time is.

pub use crate::reactor::reads::Read;
use crate::{
    admission::{Criticality, Reason},
    clock::Now,
    http::{Fault, Head, Request, Status},
};

/// A request's place in the turn's batch, given by [`Service::begin`] and handed back to [`Service::finish`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(pub u32);

/// A request that waits: its place among the service's waiting requests, below [`crate::limits::WAITING_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting(pub u32);

/// One of the forms in which a service tells of errors; what it stands for is the service's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form(pub u8);

/// What became of a request that was to be finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    Answer(Answer),
    /// Not everything is there. [`Service::conclude`] is called once: when [`Service::read_over`] says so, or at `until_ns`.
    Waits {
        waiting: Waiting,
        until_ns: u64,
    },
}

/// What a request's head says to whoever decides whether it is taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Health, metrics, administration: never refused for want of room.
    Operation,
    Features {
        criticality: Criticality,
        /// What may pass until its answer, as far as its head or its key say so.
        budget_ns: Option<u64>,
    },
}

/// What the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// `application/json`.
    Json,
    /// Prometheus text exposition, `text/plain; version=0.0.4`.
    Metrics,
    /// OpenMetrics text exposition, version 1.0.0.
    OpenMetrics,
    /// No body (204).
    None,
}

/// What [`Service::finish`] decided; the body was appended to the buffer it was given. The engine writes the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    pub status: Status,
    pub content: Content,
    /// The value of an `Allow` header (405, and 204 to OPTIONS).
    pub allow: Option<&'static str>,
    /// The value of a `Retry-After` header, whole seconds (429, 503).
    pub retry_after_s: Option<u32>,
    /// The value of a `WWW-Authenticate` header (401).
    pub authenticate: Option<&'static str>,
    /// The value of an `Accept-Encoding` header (415).
    pub accept_encoding: Option<&'static str>,
    /// What a `Server-Timing` header tells, if the client asked for one.
    pub server_timing: Option<ServerTiming>,
    /// A 429 that a limit of its own is the reason for: admission counts it, and says in `Retry-After` when to come again.
    pub limited: Option<Limited>,
}

/// What was refused for a limit of its own, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limited {
    pub criticality: Criticality,
    pub reason: Reason,
}

/// Where an answer's time went, from when its request was seen. Microseconds, one stage after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServerTiming {
    /// Until the turn that took the request.
    pub queue_us: u32,
    /// Until all requests of the turn were decoded and planned.
    pub parse_us: u32,
    /// Until all rows of the turn that are in memory were found.
    pub lookup_us: u32,
    /// Set aside, until what had to be read was there or the time was over.
    pub cold_us: u32,
    /// Until `from_ns`: rendering what was before it in its turn. The answer's own rendering is added when its head is written.
    pub render_us: u32,
    /// When the service was asked for the answer, on the monotonic clock.
    pub from_ns: u64,
}

impl Answer {
    /// An answer with a JSON body and no field of its own.
    pub const fn json(status: Status) -> Self {
        Self {
            status,
            content: Content::Json,
            allow: None,
            retry_after_s: None,
            authenticate: None,
            accept_encoding: None,
            server_timing: None,
            limited: None,
        }
    }
}

/// The meaning behind a shard. One instance per core; nothing in it is shared on the hot path.
///
/// In a turn the shard calls `turn`, then `begin` for each whole request in arrival order and `read_over` for each read that
/// is over, then `ready` once, then `conclude` for each waiting request that is due, then `gather` once if there are tickets, then `finish` for
/// each of them in order, and in every turn, whatever there was to do, `turned`. Requests borrow receive buffers only during `begin`.
pub trait Service {
    /// A turn starts. Snapshots and definitions are taken up here and nowhere else, so that one answer never mixes two.
    fn turn(&mut self, now: Now);

    /// Decodes and plans one request, and touches the memory it will need. Never fails: a fault is remembered under
    /// the ticket and told by `finish`.
    fn begin(&mut self, now: Now, request: Request<'_>) -> Ticket;

    /// What this request is, from its head alone. Asked only when the core is busy enough for it to matter, and right before
    /// [`Self::begin`] if the request is taken on at once; [`Request::asked`] tells.
    fn asks(&mut self, now: Now, head: &Head<'_>) -> Asked;

    /// In which of the service's forms the sender of this request is told of errors, if it has several. Asked of requests that are not
    /// taken on, and handed to [`Self::overloaded`]; and of messages that break the rules of HTTP behind a head that could be read, and handed to
    /// [`Self::refused`].
    fn form(&self, _: &Head<'_>) -> Form {
        Form(0)
    }

    /// Appends the body of an answer that HTTP decided on; nothing of the message was served.
    fn refused(&mut self, fault: Fault, _: Form, body: &mut Vec<u8>) {
        body.extend_from_slice(fault.body().as_bytes());
    }

    /// Appends the body of a 429 to a request that was not taken on.
    fn overloaded(&mut self, now: Now, form: Form, body: &mut Vec<u8>);

    /// For `Expect: 100-continue` before the body came, and for a body that never came: a ticket if the final status is known from the head alone.
    fn refuse_early(&mut self, now: Now, head: &Head<'_>) -> Option<Ticket>;

    /// All requests of the turn have begun: probe indexes, touch rows. `now` is read afresh: what follows is the store's time.
    fn gather(&mut self, now: Now);

    /// Appends the answer's body to `body`, unless the request has to wait. `now` is read afresh for each request.
    fn finish(&mut self, now: Now, ticket: Ticket, body: &mut Vec<u8>) -> Finished;

    /// Moves the reads that became necessary since the last call to `reads`.
    fn take_reads(&mut self, reads: &mut Vec<Read>);

    /// Whether anybody still waits for the read with this tag; asked before one that had to queue is made.
    fn wants(&self, tag: u64) -> bool;

    /// Moves requests to `due` that have become ready by what other threads did, whoever woke the shard. Asked in every turn, so it
    /// costs no more than a look.
    fn ready(&mut self, now: Now, due: &mut Vec<Waiting>);

    /// A read is over: its bytes, fewer than asked for where the file ends, or the error number. Some: that request has all it
    /// waits for. Nobody may be waiting for it any more; then it is dropped.
    fn read_over(&mut self, now: Now, tag: u64, outcome: Result<&[u8], i32>) -> Option<Waiting>;

    /// Appends the body of a request that waited: with what has come, and no later than now.
    fn conclude(&mut self, now: Now, waiting: Waiting, body: &mut Vec<u8>) -> Answer;

    /// Nobody is left to answer to.
    fn abandon(&mut self, waiting: Waiting);

    /// The turn's answers are rendered; the batch is forgotten, and nothing is held on to any more that another thread may wait for: what
    /// follows may be a sleep. `now` is the end of the work.
    fn turned(&mut self, now: Now);

    /// Nothing to do for a while (at most every 100 ms): publish counters.
    fn tick(&mut self, now: Now);
}
