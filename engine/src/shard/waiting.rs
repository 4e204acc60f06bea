//! Requests that wait: their reads, their deadlines, and the answers that they hold up on their own connection.
//!
//! ```text
//!   finish ─► Waits ─► reads ─► [ring] ─► read_over ─► all there ─┐
//!                  └─► deadline wheel ────────────► time is over ─┴─► conclude ─► the answer, in its place
//! ```
//! A request that waits holds up what its own connection pipelined behind it, because answers leave in order. It holds up
//! nobody else, and what is behind it is rendered meanwhile.

use super::{
    Shard,
    connection::{Connection, Fate, Piece},
    queues::Offered,
    recycle,
};
use crate::{
    clock::Now,
    deadlines::Handle,
    http::Persistence,
    limits,
    reactor::{Token, reads::ReadLease},
    service::{Service, Waiting},
};

/// What is to be remembered of a request until it is concluded.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) token: Token,
    pub(super) persistence: Persistence,
    pub(super) head_only: bool,
    /// Its deadline in the wheel.
    pub(super) timer: Handle,
}

/// What the wheel of deadlines reminds of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// A waiting request's time is over.
    Conclude(Waiting),
    /// A read that was held back is to be made, with this buffer.
    Read(u32),
    /// The handshakes that were under way when a drain began are over.
    StopListening,
}

impl<S: Service> Shard<S> {
    /// A read is over: the service takes what it brought.
    pub(super) fn read_over(&mut self, now: Now, lease: ReadLease, tag: u64, outcome: Result<(), i32>) {
        let outcome = match outcome {
            Ok(()) => Ok(self.reactor.read_bytes(&lease)),
            Err(errno) => Err(errno),
        };
        self.metrics.reads.add(1);
        match &outcome {
            Ok(bytes) => self.metrics.read_bytes.add(bytes.len() as u64),
            Err(_) => self.metrics.reads_failed.add(1),
        }
        if let Some(waiting) = self.service.read_over(now, tag, outcome) {
            self.due.push(waiting);
        }
        self.reactor.give_back_read(lease);
    }

    /// Answers every waiting request that has all it needs, or whose time is over.
    pub(super) fn conclude_due(&mut self, now: Now) {
        if !self.deadlines.is_empty() {
            let mut reminders = std::mem::take(&mut self.reminders);
            self.deadlines.expire(now.monotonic_ns, &mut reminders);
            for reminder in reminders.drain(..) {
                match reminder {
                    Timer::Conclude(waiting) => self.due.push(waiting),
                    Timer::Read(slot) => self.reactor.make_read(slot),
                    Timer::StopListening => self.stop_listening(now),
                }
            }
            self.reminders = reminders;
        }
        self.service.ready(now, &mut self.due);
        let mut due = std::mem::take(&mut self.due);
        for waiting in due.drain(..) {
            self.conclude(now, waiting);
        }
        self.due = due;
    }

    /// Renders the answer of a request that waited, in its place.
    fn conclude(&mut self, now: Now, waiting: Waiting) {
        // Gone already if its last read and its deadline came in the same turn.
        let Some(parked) = self.parked.get_mut(waiting.0 as usize).and_then(Option::take) else { return };
        let Parked { token, persistence, head_only, timer } = parked;
        self.deadlines.cancel(timer);
        let Self { connections, service, responses, pool, dirty, ready, clock, metrics, .. } = self;
        metrics.waiting.set(metrics.waiting.value() - 1);
        let Some(connection) = connections.of(token) else { return service.abandon(waiting) };
        let place = connection.behind.iter().position(|piece| matches!(piece, Piece::Waits(w) if *w == waiting));
        let Some(place) = place else { return service.abandon(waiting) };
        connection.begun = connection.begun.saturating_sub(1);
        connection.waits -= 1;
        let last = place + 1 == connection.behind.len();
        let owed = connection.begun > 0 || connection.held || !last;
        let close = (self.drain_by_ns.is_some() && !owed) || !persistence.keep_alive;
        let first = place == 0;
        let mut buffer = if first { std::mem::take(&mut connection.out) } else { Vec::new() };
        if buffer.capacity() == 0 {
            buffer = pool.pop().unwrap_or_else(|| Vec::with_capacity(limits::POOLED_BUFFER_BYTES));
        }
        let mark = responses.begin(&mut buffer);
        let answer = service.conclude(clock.now(), waiting, &mut buffer);
        responses.finish(&mut buffer, mark, &answer, persistence, head_only, close);
        if close {
            connection.fate = connection.fate.max(Fate::Closing);
        }
        if connection.unconsumed() > 0 && !connection.ready {
            connection.ready = true; // it may have had too many under way to begin another
            ready.push(token);
        }
        if !first {
            connection.behind[place] = Piece::Rendered(buffer);
            return;
        }
        connection.out = buffer;
        connection.behind.pop_front();
        while let Some(Piece::Rendered(_)) = connection.behind.front()
            && let Some(Piece::Rendered(bytes)) = connection.behind.pop_front()
        {
            connection.out.extend_from_slice(&bytes);
            recycle(pool, bytes);
        }
        if !connection.dirty {
            connection.dirty = true;
            dirty.push(token);
        }
        // What was rendered behind it could not say that it is the last.
        if self.drain_by_ns.is_some() && connection.begun == 0 && !connection.held && connection.behind.is_empty() {
            connection.fate = connection.fate.max(Fate::Closing);
        }
        if connection.fate == Fate::Open && connection.peer_done && connection.begun == 0 {
            self.end_of_input(now, token);
        }
    }

    /// Gives the ring what the service wants read, as far as there are buffers. What is held back has one meanwhile, as it would have
    /// if the disk were as slow.
    pub(super) fn make_reads(&mut self, now: Now) {
        let Self { service, reads, deadlines, reactor, metrics, due, .. } = self;
        service.take_reads(&mut reads.wanted);
        let mut wanted = std::mem::take(&mut reads.wanted);
        wanted.drain(..).for_each(|read| reads.queue(read));
        reads.wanted = wanted;
        reads.offer(|read| {
            if !service.wants(read.tag) {
                return Offered::Done;
            }
            match reactor.claim_read(read) {
                Ok(Some(slot)) if read.delay_ns == 0 => reactor.make_read(slot),
                Ok(Some(slot)) => {
                    deadlines.arm(now.monotonic_ns.saturating_add(read.delay_ns), Timer::Read(slot));
                }
                Ok(None) => return Offered::NoBuffer,
                Err(_) => {
                    // No pages for a large read: as if the disk had failed.
                    metrics.reads_failed.add(1);
                    due.extend(service.read_over(now, read.tag, Err(libc::ENOMEM)));
                }
            }
            Offered::Done
        });
        reads.thin_out(|read| service.wants(read.tag));
        metrics.reads_queued.set(reads.queued() as u64);
        metrics.reads_in_flight.set(reactor.reads_in_flight() as u64);
    }

    /// Lets go of a connection's waiting requests: nobody is left to answer to.
    pub(super) fn abandon_waiting(&mut self, token: Token) {
        let Self { connections, service, parked, deadlines, pool, metrics, .. } = self;
        let Some(connection) = connections.of(token) else { return };
        for piece in connection.behind.drain(..) {
            match piece {
                Piece::Rendered(bytes) => recycle(pool, bytes),
                Piece::Waits(waiting) => {
                    if let Some(parked) = parked.get_mut(waiting.0 as usize).and_then(Option::take) {
                        deadlines.cancel(parked.timer);
                        metrics.waiting.set(metrics.waiting.value() - 1);
                    }
                    service.abandon(waiting);
                }
            }
        }
        connection.begun = connection.begun.saturating_sub(connection.waits);
        connection.waits = 0;
    }
}

/// Puts a request that waits behind what its connection has to send.
pub(super) fn park(connection: &mut Connection, parked: &mut Vec<Option<Parked>>, waiting: Waiting, request: Parked) {
    let place = waiting.0 as usize;
    if parked.len() <= place {
        parked.resize_with(place + 1, || None);
    }
    debug_assert!(parked[place].is_none(), "a waiting request has a place of its own");
    parked[place] = Some(request);
    connection.behind.push_back(Piece::Waits(waiting));
    connection.waits += 1;
}
