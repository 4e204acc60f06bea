//! One connection: what the shard remembers between turns. No I/O happens here.

use std::os::fd::OwnedFd;

use super::{
    answers::Answers,
    arrivals::Arrivals,
    timers::{NOWHERE, ns},
};
use crate::{
    admission::Decision,
    http::{Inbound, Phase},
    limits::{BODY_RATE_WINDOW, LINGER_TIME_MAX, Limits},
};

/// Where a connection stands in its life. It only moves down this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    /// Requests are read and answered.
    Open,
    /// The last answer is rendered; once it is sent the write side is shut. Nothing more is parsed.
    Closing,
    /// The write side is shut; what still comes is discarded, so that the peer reads our answer and not a reset.
    Lingering,
    /// Both sides are shut; gone as soon as the kernel holds nothing of it any more.
    Dropped,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) fd: OwnedFd,
    pub(super) inbound: Inbound,
    /// Received, not yet consumed; `input[..consumed]` is done with. Empty while whole requests come in single buffers.
    pub(super) input: Vec<u8>,
    pub(super) consumed: usize,
    /// What it has to say and has not given to the ring.
    pub(super) answers: Answers,
    pub(super) fate: Fate,
    /// A multishot receive is armed.
    pub(super) receiving: bool,
    /// A cancel for it is under way.
    pub(super) pausing: bool,
    /// A send is in flight, with this many bytes.
    pub(super) sending: Option<usize>,
    /// Stands in the turn's list of connections with something to send.
    pub(super) dirty: bool,
    /// Stands in the list of connections with input to be looked at next turn.
    pub(super) ready: bool,
    /// The peer will send no more.
    pub(super) peer_done: bool,
    /// Requests begun and not answered: this turn's, and those that wait.
    pub(super) begun: usize,
    /// Its next request is whole, and neither begun nor refused: see `admit.rs`.
    pub(super) held: bool,
    /// It was held already when its input was looked at last.
    pub(super) was_held: bool,
    /// What became of that request, once it was decided.
    pub(super) decided: Option<Decision>,
    /// When the newest bytes came.
    pub(super) received_ns: u64,
    /// When the pieces of `input` came.
    pub(super) arrivals: Arrivals,
    /// When the first byte of the message in progress came; `None` between messages.
    pub(super) message_since_ns: Option<u64>,
    /// When the connection last finished a message, sent something or changed fate.
    pub(super) active_ns: u64,
    /// The window over which the body's rate is being judged, once there is one.
    pub(super) rate_window: Option<RateWindow>,
    /// Bytes thrown away while lingering.
    pub(super) discarded: usize,
    /// The tick of the wheel at which this connection stands.
    pub(super) standing: u64,
}

/// A stretch of time over which a body must keep its minimum rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RateWindow {
    pub(super) from_ns: u64,
    pub(super) until_ns: u64,
    /// Bytes of the body that had come when it began.
    pub(super) received: usize,
}

/// Why a connection is ended from our side without an answer, or with a 408. Labels of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    Idle,
    Head,
    Body,
    Request,
    WriteStall,
    Linger,
}

impl Connection {
    pub(super) fn new(fd: OwnedFd, now_ns: u64) -> Self {
        Self {
            fd,
            inbound: Inbound::new(),
            input: Vec::new(),
            consumed: 0,
            answers: Answers::default(),
            fate: Fate::Open,
            receiving: false,
            pausing: false,
            sending: None,
            dirty: false,
            ready: false,
            peer_done: false,
            begun: 0,
            held: false,
            was_held: false,
            decided: None,
            received_ns: now_ns,
            arrivals: Arrivals::default(),
            message_since_ns: None,
            active_ns: now_ns,
            rate_window: None,
            discarded: 0,
            standing: NOWHERE,
        }
    }

    /// Bytes received and not consumed.
    pub(super) fn unconsumed(&self) -> usize {
        self.input.len() - self.consumed
    }

    /// Whether it only waits for a next request.
    pub(super) fn is_idle(&self) -> bool {
        let is_quiet = self.begun == 0 && !self.answers.may_leave() && self.unconsumed() == 0 && self.sending.is_none();
        self.fate == Fate::Open && self.message_since_ns.is_none() && is_quiet
    }

    /// Whether its next request waits in the gate's line.
    pub(super) fn is_held(&self) -> bool {
        self.held && self.fate == Fate::Open
    }

    /// Whether another request may begin: it is not held, and neither its share nor the unsent output is used up.
    pub(super) fn may_begin(&self, limits: &Limits) -> bool {
        let unsent = self.answers.bytes() + self.sending.unwrap_or(0);
        self.fate == Fate::Open
            && !self.held
            && self.begun < limits.requests_in_process_max
            && unsent <= limits.unsent_bytes_max
    }

    /// The kernel holds nothing of this connection any more.
    pub(super) fn is_released(&self) -> bool {
        !self.receiving && self.sending.is_none()
    }

    /// When this connection must be looked at, and why. Called with the limits in force, so that a reload moves timers.
    pub(super) fn deadline(&self, limits: &Limits) -> (u64, Expiry) {
        if self.sending.is_some() {
            return (self.active_ns + ns(limits.write_stall_max), Expiry::WriteStall);
        }
        // What waits for us is not idle, and a request that is whole is not slow: its sender has done its part.
        let owed = self.held || (self.begun > 0 && self.message_since_ns.is_none());
        match (self.fate, self.message_since_ns) {
            (Fate::Open | Fate::Closing, _) if owed => (u64::MAX / 2, Expiry::Idle),
            (Fate::Lingering | Fate::Dropped, _) => (self.active_ns + ns(LINGER_TIME_MAX), Expiry::Linger),
            (_, None) => (self.active_ns.max(self.received_ns) + ns(limits.idle_time_max), Expiry::Idle),
            (_, Some(since)) => {
                let part = match self.inbound.phase(self.unconsumed()) {
                    Phase::Idle | Phase::Head | Phase::Closed => (since + ns(limits.head_time_max), Expiry::Head),
                    // The first window ends with the grace, so it begins before.
                    Phase::Body { .. } => match self.rate_window {
                        Some(window) => (window.until_ns, Expiry::Body),
                        None => (since + ns(limits.body_grace.saturating_sub(BODY_RATE_WINDOW)), Expiry::Body),
                    },
                };
                let whole = (since + ns(limits.request_time_max), Expiry::Request);
                if part.0 < whole.0 { part } else { whole }
            }
        }
    }
}
