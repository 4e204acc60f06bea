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
    aside::{Parked, Timer},
    connection::Fate,
    queues::Offered,
};
use crate::{
    clock::Now,
    reactor::{Token, reads::ReadLease},
    service::{Service, Waiting},
};

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
        if !self.aside.deadlines.is_empty() {
            let mut reminders = std::mem::take(&mut self.reminders);
            self.aside.deadlines.expire(now.monotonic_ns, &mut reminders);
            for reminder in reminders.drain(..) {
                match reminder {
                    Timer::Conclude(waiting) => self.due.push(waiting),
                    Timer::Read(slot) => self.reactor.make_read(slot),
                    Timer::StopListening => self.stop_listening(now),
                    Timer::LetGo => self.let_go_of_idle(now),
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
        let Some(Parked { token, persistence, head_only, .. }) = self.aside.take(waiting) else { return };
        let Self { aside, connections, service, responses, pool, dirty, ready, clock, metrics, .. } = self;
        metrics.waiting.set(aside.number() as u64);
        let Some(connection) = connections.of(token) else { return service.abandon(waiting) };
        let Some(place) = connection.answers.place_of(waiting) else { return service.abandon(waiting) };
        connection.begun = connection.begun.saturating_sub(1);
        let owed = connection.begun > 0 || connection.held || !place.is_last;
        let close = (self.drain_by_ns.is_some() && !owed) || !persistence.keep_alive;
        connection.answers.fill(place, pool, |buffer| {
            let mark = responses.begin(buffer);
            let answer = service.conclude(clock.now(), waiting, buffer);
            responses.finish(buffer, mark, &answer, persistence, head_only, close);
        });
        if close {
            connection.fate = connection.fate.max(Fate::Closing);
        }
        if connection.unconsumed() > 0 && !connection.ready {
            connection.ready = true; // it may have had too many under way to begin another
            ready.push(token);
        }
        if connection.answers.may_leave() && !connection.dirty {
            connection.dirty = true;
            dirty.push(token);
        }
        // What was rendered behind it could not say that it is the last.
        if self.drain_by_ns.is_some() && connection.begun == 0 && !connection.held && connection.answers.none_waits() {
            connection.fate = connection.fate.max(Fate::Closing);
        }
        if connection.fate == Fate::Open && connection.peer_done && connection.begun == 0 {
            self.end_of_input(now, token);
        }
    }

    /// Tells admission of those who wait. Looks at all of them, so that is done once a tick.
    pub(super) fn tell_of_waiting(&mut self) {
        self.gate.set_aside(self.aside.number() as u64, self.aside.oldest_seen_ns());
    }

    /// Gives the ring what the service wants read, as far as there are buffers. What is held back has one meanwhile, as it would have
    /// if the disk were as slow.
    pub(super) fn make_reads(&mut self, now: Now) {
        let Self { service, reads, aside, reactor, metrics, due, .. } = self;
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
                    aside.deadlines.arm(now.monotonic_ns.saturating_add(read.delay_ns), Timer::Read(slot));
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
        let Self { connections, service, aside, pool, metrics, .. } = self;
        let Some(connection) = connections.of(token) else { return };
        let waited = aside.give_up(&mut connection.answers, pool, |waiting| service.abandon(waiting));
        connection.begun = connection.begun.saturating_sub(waited);
        metrics.waiting.set(aside.number() as u64);
    }
}
