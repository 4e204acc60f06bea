//! Requests that are set aside until they have what they wait for, or their time is over. It is handed the time and does no I/O.

#[cfg(test)]
mod tests;

use super::answers::Answers;
use crate::{
    deadlines::{Deadlines, Handle},
    http::Persistence,
    reactor::Token,
    service::Waiting,
};

/// What is to be remembered of a request until it is concluded.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) token: Token,
    /// When its first byte was seen.
    pub(super) seen_ns: u64,
    pub(super) persistence: Persistence,
    pub(super) head_only: bool,
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
    /// Whoever has not asked for anything since the drain began need not be waited for.
    LetGo,
}

#[derive(Debug)]
pub(super) struct Aside {
    /// By the place that the service gave each, with its deadline.
    parked: Vec<Option<(Parked, Handle)>>,
    number: usize,
    /// Exact ones, of these requests and of what else is to be remembered exactly; the wheel's are coarse.
    pub(super) deadlines: Deadlines<Timer>,
}

impl Aside {
    pub(super) fn new(now_ns: u64) -> Self {
        Self { parked: Vec::new(), number: 0, deadlines: Deadlines::new(now_ns) }
    }

    /// How many there are.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// When the oldest of them was seen. Looks at all.
    pub(super) fn oldest_seen_ns(&self) -> Option<u64> {
        self.parked.iter().flatten().map(|(parked, _)| parked.seen_ns).min()
    }

    /// Sets a request aside until `until_ns`, behind what its connection has to say.
    pub(super) fn park(&mut self, answers: &mut Answers, waiting: Waiting, until_ns: u64, request: Parked) {
        let place = waiting.0 as usize;
        if self.parked.len() <= place {
            self.parked.resize_with(place + 1, || None);
        }
        debug_assert!(self.parked[place].is_none(), "a waiting request has a place of its own");
        let timer = self.deadlines.arm(until_ns, Timer::Conclude(waiting));
        self.parked[place] = Some((request, timer));
        self.number += 1;
        answers.wait(waiting);
    }

    /// A request that is due. None: it is gone already, because its last read and its deadline came in the same turn.
    pub(super) fn take(&mut self, waiting: Waiting) -> Option<Parked> {
        let (parked, timer) = self.parked.get_mut(waiting.0 as usize)?.take()?;
        self.deadlines.cancel(timer);
        self.number -= 1;
        Some(parked)
    }

    /// Nobody is left to answer to: lets go of all that a connection waits for, names each, and says how many.
    pub(super) fn give_up(
        &mut self,
        answers: &mut Answers,
        pool: &mut Vec<Vec<u8>>,
        mut each: impl FnMut(Waiting),
    ) -> usize {
        let waited = answers.waiting();
        answers.give_up(pool, |waiting| {
            self.take(waiting);
            each(waiting);
        });
        waited
    }
}
