//! What happens by the clock: timers of connections, counters, and what other threads asked for.

use super::{
    Shard,
    aside::Timer,
    connection::{Connection, Expiry, Fate, RateWindow},
    timers::{self, TICK_NS, ns},
};
use crate::{
    clock::Now,
    http::{Fault, Phase},
    limits::{self, Limits},
    reactor::{Token, system},
    service::Service,
};
use std::sync::atomic::Ordering;

impl<S: Service> Shard<S> {
    pub(super) fn look_at_timers(&mut self, now: Now) {
        let now_ns = now.monotonic_ns;
        if now_ns - self.ticked_ns < TICK_NS {
            return;
        }
        self.ticked_ns = now_ns;
        self.clock.look_at_the_wall();
        self.service.tick(now);
        self.metrics.cpu_ns.set(self.usage.worked_ns());
        self.metrics.major_faults.set(system::thread_major_faults());
        self.metrics.input_bytes.set(self.room.bytes() as u64);
        self.tell_of_waiting();
        self.rearm.append(&mut self.starved);
        self.look_at_control(now);
        self.accept();
        let mut fired = std::mem::take(&mut self.fired);
        self.wheel.advance(now_ns, &mut fired);
        for (token, tick) in fired.drain(..) {
            let Some(connection) = self.connections.of(token) else { continue };
            if connection.standing != tick {
                continue; // it moved to an earlier tick, and fired there
            }
            connection.standing = timers::NOWHERE;
            self.look_at_connection(now, token);
        }
        self.fired = fired;
        self.flush(now); // a 408 was rendered
    }

    /// A timer came: act if the deadline of the connection's phase is over, else set it again.
    pub(super) fn look_at_connection(&mut self, now: Now, token: Token) {
        let Some(connection) = self.connections.of(token) else { return };
        let (mut deadline_ns, mut expiry) = connection.deadline(&self.limits);
        if expiry == Expiry::Body && deadline_ns <= now.monotonic_ns && keeps_its_rate(connection, &self.limits, now) {
            (deadline_ns, expiry) = connection.deadline(&self.limits); // of the next window, or of the whole request
        }
        if deadline_ns > now.monotonic_ns {
            // What is owed has no deadline of its own, and is idle again afterwards.
            let look_ns = deadline_ns.min(now.monotonic_ns + ns(self.limits.idle_time_max));
            self.wheel.arm(token, look_ns, &mut connection.standing);
            return;
        }
        self.metrics.expired(expiry).add(1);
        match expiry {
            Expiry::Idle | Expiry::WriteStall | Expiry::Linger => self.drop_connection(token),
            Expiry::Head | Expiry::Body | Expiry::Request => {
                self.refuse_unfinished(now, token, Fault::Stalled);
                self.service.gather(now);
                self.answer();
                if let Some(connection) = self.connections.of(token) {
                    let (deadline_ns, _) = connection.deadline(&self.limits);
                    self.wheel.arm(token, deadline_ns, &mut connection.standing);
                }
            }
        }
    }

    pub(super) fn look_at_control(&mut self, now: Now) {
        let by_ns = self.control.drain_by_ns.load(Ordering::Acquire);
        if by_ns == 0 || self.drain_by_ns.is_some() {
            return;
        }
        self.drain_by_ns = Some(by_ns);
        if let Some(listener) = &self.listener {
            system::begin_no_more(listener);
            self.aside.deadlines.arm(now.monotonic_ns + ns(limits::HANDSHAKE_TIME_MAX), Timer::StopListening);
        }
        self.aside.deadlines.arm(now.monotonic_ns + ns(limits::DRAIN_IDLE_TIME_MAX), Timer::LetGo);
    }

    /// Ends the connections that wait for a next request. Those that are about to bring one, or are owed an answer, end with that answer.
    pub(super) fn let_go_of_idle(&mut self, now: Now) {
        let idle: Vec<Token> = self.connections.iter().filter(|(_, c)| c.is_idle()).map(|(token, _)| token).collect();
        for token in idle {
            if let Some(connection) = self.connections.of(token) {
                connection.fate = Fate::Closing;
            }
            self.settle(now, token); // which reads on for a moment, so that whoever asks just now is told of an end and not of a reset
        }
    }

    /// A shard that drains has waited for the handshakes that were under way.
    pub(super) fn stop_listening(&mut self, now: Now) {
        self.closing = self.listener.take();
        if self.accepting {
            self.reactor.cancel_accept();
        } else {
            self.close_listener(now);
        }
    }

    /// Closes a listener that is to be closed, once no accept is under way on it: until then the ring may take connections from its
    /// queue, and keeps it open behind our back. What is queued is ours to answer, because closing resets it.
    pub(super) fn close_listener(&mut self, now: Now) {
        if !self.accepting
            && let Some(listener) = self.closing.take()
        {
            while let Some(fd) = system::accept_queued(&listener) {
                self.admit(now, fd);
            }
        }
    }
}

/// Whether the window that just ended brought enough of the body; if so, the next one begins.
fn keeps_its_rate(connection: &mut Connection, limits: &Limits, now: Now) -> bool {
    let received = match connection.inbound.phase(connection.unconsumed()) {
        Phase::Body { received, .. } => received,
        Phase::Idle | Phase::Head | Phase::Closed => 0,
    };
    let until_ns = match connection.rate_window {
        // The first window ends with the grace.
        None => connection.message_since_ns.unwrap_or(now.monotonic_ns) + ns(limits.body_grace),
        Some(window) => {
            let wanted = limits::BODY_BYTES_PER_SECOND_MIN * (window.until_ns - window.from_ns) / 1_000_000_000;
            if ((received - window.received.min(received)) as u64) < wanted {
                return false;
            }
            now.monotonic_ns + ns(limits::BODY_RATE_WINDOW)
        }
    };
    let from_ns = now.monotonic_ns;
    connection.rate_window = Some(RateWindow { from_ns, until_ns: until_ns.max(from_ns), received });
    true
}
