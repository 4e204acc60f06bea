//! Requests that write: decoded when they begin, handed to the storage plane when their answer would be due, answered when what they
//! write is durable.
//!
//! ```text
//!   begin ─► tecton/ ─► rows in a buffer ─► finish ─► Submitter ─► Waits ─► ready (Done) ─► conclude ─► 200
//!                    └► faults ───────────► finish ─► told at once      └─► INGEST_WAIT_MS_MAX ─► 504
//! ```
//! What is handed over holds nothing of the turn, and what waits for it only its own answer. These requests may allocate.

use gannet_engine::{
    Answer, Content, Finished, Limited, Now, Waiting,
    admission::Criticality,
    http::{self, Head},
};
use gannet_store::plane::{Done, Failure, Refused, Submitter, Write, WriteBuilder};

use super::{
    Core,
    answer::{answer, refused},
    batch::{Pending, Seen},
    concurrency::Permits,
};
use crate::{
    auth::{Granted, Role},
    error::Fault,
    limits::{INGEST_WAIT_MS_MAX, WRITE_BUFFER_KEPT_BYTES_MAX, WRITE_BUFFERS_KEPT},
    routes::Route,
    tecton::{
        delete,
        ingest::{self, Asking, Taken},
        written,
    },
};

/// A core's way to the storage plane, and the turn's writes.
#[derive(Debug, Default)]
pub(super) struct Writes {
    submitter: Option<Submitter>,
    builder: WriteBuilder,
    /// Buffers to be used again.
    spare: Vec<Vec<u8>>,
    /// By the places that tickets have.
    turn: Vec<Intake>,
}

/// A request that writes, decoded.
#[derive(Debug)]
struct Intake {
    seen: Seen,
    /// What is told at once, or once it is written.
    answer: Answer,
    body: Vec<u8>,
    write: Option<Prepared>,
}

/// What is to be handed over.
#[derive(Debug)]
struct Prepared {
    payload: Vec<u8>,
    permits: Permits,
    criticality: Criticality,
    held: HeldWrite,
}

/// A write that waits.
#[derive(Debug)]
pub(super) struct HeldWrite {
    seen: Seen,
    /// By place of the view's counters.
    rows: Vec<(usize, u32)>,
    records: u32,
    deletes: bool,
    /// `None`: not yet.
    pub(super) outcome: Option<Result<(), Failure>>,
}

/// What a body came to, when nothing of it is borrowed any more.
enum Decoded {
    Taken(Taken),
    Refused(Answer),
}

impl Writes {
    pub(super) fn hand_to(&mut self, submitter: Submitter) {
        self.submitter = Some(submitter);
    }

    /// Shows every outcome that has come since the last call.
    pub(super) fn take_done(&mut self, mut over: impl FnMut(u64, Result<(), Failure>)) {
        let Some(submitter) = &self.submitter else { return };
        while let Some(Done { tag, outcome, payload }) = submitter.take_done() {
            over(tag, outcome);
            keep(&mut self.spare, payload);
        }
    }

    /// The turn is over.
    pub(super) fn clear(&mut self) {
        self.turn.clear();
    }

    fn ticket(&mut self, intake: Intake) -> Pending {
        self.turn.push(intake);
        Pending::Write(u32::try_from(self.turn.len() - 1).unwrap_or(u32::MAX)) // a turn has far fewer
    }
}

impl Core {
    /// Decodes a request that writes or deletes.
    pub(super) fn take_write(
        &mut self,
        now: Now,
        route: Route,
        head: &Head<'_>,
        body: &mut [u8],
        seen: Seen,
        granted: Granted,
    ) -> Pending {
        let criticality = granted.criticality(head.criticality);
        let permits = match self.concurrency.enter_key(granted) {
            Ok(permits) => permits,
            Err(reason) => {
                let limited = Some(Limited { criticality, reason });
                let mut out = Vec::new();
                let answer = Answer { limited, ..told(&Fault::Overloaded, &mut out) };
                return self.writes.ticket(Intake { seen, answer, body: out, write: None });
            }
        };
        let Self { decoder, catalog, keys, writes, metrics, .. } = self;
        let Some(catalog) = catalog else { return self.refuse_write(&Fault::Unavailable, seen) };
        let may = |workspace: &[u8], role: Role| granted.may(keys, workspace, role);
        let asking = Asking { intakes: catalog.intakes(), may, now_us: now.unix_us };
        let (builder, buffer) = (&mut writes.builder, writes.spare.pop().unwrap_or_default());
        let mut out = Vec::new();
        let deletes = route == Route::DeleteKeys;
        let read = decoder.json().read(body, |root| {
            let read = match deletes {
                true => delete::read(root, &asking, builder, buffer, &mut out),
                false => ingest::read(root, &asking, builder, buffer, &mut out),
            };
            read.map_or_else(|fault| Decoded::Refused(told(&fault, &mut out)), Decoded::Taken)
        });
        let taken = match read {
            Ok(Decoded::Taken(taken)) => taken,
            Ok(Decoded::Refused(answer)) => return writes.ticket(Intake { seen, answer, body: out, write: None }),
            Err(malformed) => {
                metrics.undecodable();
                let fault = Fault::InvalidJson { reason: malformed.reason, at: malformed.at };
                return self.refuse_write(&fault, seen);
            }
        };
        let (rows, payload) = (writes.builder.rows(), writes.builder.finish());
        let ok = answer(200, Content::Json);
        if let Some(counts) = taken.rejected {
            keep(&mut writes.spare, payload);
            metrics.ingest.rejected(&counts);
            return writes.ticket(Intake { seen, answer: answer(400, Content::Json), body: out, write: None });
        }
        if taken.dry_run || rows == 0 {
            keep(&mut writes.spare, payload);
            return writes.ticket(Intake { seen, answer: ok, body: out, write: None });
        }
        let held = HeldWrite { seen, rows: taken.rows, records: taken.records, deletes, outcome: None };
        let write = Some(Prepared { payload, permits, criticality, held });
        writes.ticket(Intake { seen, answer: ok, body: out, write })
    }

    /// A request that writes is refused for what its head says.
    pub(super) fn refuse_write(&mut self, fault: &Fault<'_>, seen: Seen) -> Pending {
        let mut body = Vec::new();
        let answer = told(fault, &mut body);
        self.writes.ticket(Intake { seen, answer, body, write: None })
    }

    /// Appends the body of a 429 to a request that admission did not take on; it is not timed.
    pub(super) fn shed_write(&self, out: &mut Vec<u8>) {
        let answer = told(&Fault::Overloaded, out);
        self.metrics.ingest.shed(answer.status.0);
    }

    /// Hands a write over and sets its request aside, or tells what there is to tell.
    pub(super) fn hand_over(&mut self, now: Now, place: u32, out: &mut Vec<u8>) -> Finished {
        let Some(intake) = self.writes.turn.get_mut(place as usize) else {
            return Finished::Answer(told(&Fault::Internal, out));
        };
        let Intake { seen, answer, write, .. } = intake;
        let (seen, answer, write) = (*seen, *answer, write.take());
        let server_timing = self.batch.timing(seen, now.monotonic_ns);
        let Some(Prepared { payload, permits, criticality, held }) = write else {
            out.extend_from_slice(&intake.body);
            return Finished::Answer(Answer { server_timing, ..self.counted(now, seen, answer) });
        };
        let Some(submitter) = &self.writes.submitter else {
            return self.not_handed_over(now, seen, &Fault::TakesNoWrites, payload, out);
        };
        let (waiting, tag) = match self.waiting.hold_write(held, &intake.body, permits, server_timing) {
            Ok(held) => held,
            Err(reason) => {
                let limited = Some(Limited { criticality, reason });
                let answer = Answer { limited, server_timing, ..told(&Fault::Overloaded, out) };
                keep(&mut self.writes.spare, payload);
                return Finished::Answer(self.counted(now, seen, answer));
            }
        };
        let (fault, Write { payload, .. }) = match submitter.submit(Write { tag, payload }) {
            Ok(()) => {
                let until_ns = seen.at_ns + INGEST_WAIT_MS_MAX * 1_000_000;
                return Finished::Waits { waiting, until_ns };
            }
            Err(Refused::Full(write)) => (Fault::WritesFull, write),
            Err(Refused::Poisoned(write)) => (Fault::LogFailed, write),
        };
        self.waiting.release(waiting);
        self.not_handed_over(now, seen, &fault, payload, out)
    }

    fn not_handed_over(
        &mut self,
        now: Now,
        seen: Seen,
        fault: &Fault<'_>,
        payload: Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Finished {
        keep(&mut self.writes.spare, payload);
        let server_timing = self.batch.timing(seen, now.monotonic_ns);
        let answer = Answer { server_timing, ..told(fault, out) };
        Finished::Answer(self.counted(now, seen, answer))
    }

    /// Answers a request whose write is over, or whose time is.
    pub(super) fn written(&mut self, now: Now, waiting: Waiting, out: &mut Vec<u8>) -> Answer {
        let Some((held, body)) = self.waiting.write(waiting) else { return told(&Fault::Internal, out) };
        let seen = held.seen;
        let answer = match held.outcome {
            Some(Ok(())) => {
                out.extend_from_slice(body);
                self.metrics.ingest.took(held.records);
                for (slot, rows) in &held.rows {
                    self.metrics.wrote(*slot, *rows, held.deletes);
                }
                answer(200, Content::Json)
            }
            Some(Err(Failure::Full)) => told(&Fault::MemoryFull, out),
            Some(Err(Failure::DiskFull)) => told(&Fault::DiskFull, out),
            Some(Err(Failure::Unavailable)) => told(&Fault::LogUnavailable, out),
            Some(Err(Failure::Poisoned)) => told(&Fault::LogFailed, out),
            Some(Err(Failure::Malformed)) => told(&Fault::NotAccepted, out),
            None => told(&Fault::WriteTimedOut, out),
        };
        let server_timing = self.waiting.timing(waiting, now.monotonic_ns);
        self.waiting.release(waiting);
        Answer { server_timing, ..self.counted(now, seen, answer) }
    }

    fn counted(&self, now: Now, seen: Seen, answer: Answer) -> Answer {
        self.metrics.ingest.answered(answer.status.0, now.monotonic_ns.saturating_sub(seen.at_ns));
        answer
    }
}

/// Appends what the sender of a request is told that HTTP refused.
pub(super) fn told_by_http(fault: http::Fault, is_write: bool, out: &mut Vec<u8>) {
    match is_write {
        true => written::request_error_of(fault.status().0, fault.message(), out),
        false => out.extend_from_slice(fault.body().as_bytes()),
    }
}

/// Appends what the sender of a write is told.
fn told(fault: &Fault<'_>, out: &mut Vec<u8>) -> Answer {
    written::request_error(fault, out);
    refused(fault.refusal())
}

/// Keeps a buffer for the next write, if it is worth it.
fn keep(spare: &mut Vec<Vec<u8>>, buffer: Vec<u8>) {
    if spare.len() < WRITE_BUFFERS_KEPT && (1..=WRITE_BUFFER_KEPT_BYTES_MAX).contains(&buffer.capacity()) {
        spare.push(buffer);
    }
}
