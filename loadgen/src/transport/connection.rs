//! One connection: what waits to be written, what is under way on it, and the beginning of an answer not yet whole.

use std::{collections::VecDeque, os::fd::OwnedFd};

use rustix::{io::Errno, net::SendFlags};

use super::{
    Event, Pending,
    response::{Fault, Parsed, parse},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Down,
    Opening,
    Open,
}

#[derive(Debug)]
pub(super) struct Connection {
    /// Whose requests it carries.
    pub(super) pool: usize,
    pub(super) socket: Option<OwnedFd>,
    pub(super) state: State,
    /// Rendered requests, and how many bytes of them the kernel has taken.
    pub(super) out: Vec<u8>,
    written: usize,
    /// Requests under way, in order. The last `unstamped` of them have not been handed to the kernel.
    pub(super) pending: VecDeque<Pending>,
    pub(super) unstamped: usize,
    /// The beginning of an answer, and how long it must be before looking at it again is worth it.
    partial: Vec<u8>,
    partial_needs: usize,
    /// Since when it has had room for a request.
    pub(super) free_since_ns: u64,
    /// Whether it stands in the queue of free connections.
    pub(super) listed: bool,
    /// When to open it again, and how long to wait if that fails.
    pub(super) retry_ns: u64,
    pub(super) patience_ns: u64,
}

impl Connection {
    pub(super) fn new(pool: usize, pipeline: usize) -> Self {
        Self {
            pool,
            socket: None,
            state: State::Down,
            out: Vec::new(),
            written: 0,
            pending: VecDeque::with_capacity(pipeline),
            unstamped: 0,
            partial: Vec::new(),
            partial_needs: 0,
            free_since_ns: 0,
            listed: false,
            retry_ns: 0,
            patience_ns: 0,
        }
    }

    pub(super) fn has_room(&self, pipeline: usize) -> bool {
        self.state == State::Open && self.pending.len() < pipeline
    }

    /// Whether the kernel would not take everything.
    pub(super) fn is_blocked(&self) -> bool {
        self.written < self.out.len()
    }

    /// Hands the kernel as much as it takes; the rest goes when it says that there is room.
    pub(super) fn write(&mut self) -> rustix::io::Result<()> {
        let Some(socket) = &self.socket else { return Ok(()) };
        while self.written < self.out.len() {
            match rustix::net::send(socket, &self.out[self.written..], SendFlags::NOSIGNAL) {
                Ok(sent) => self.written += sent,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }

    /// Takes received bytes and tells of each answer that is whole. False if the server said that no more will follow.
    pub(super) fn answers(
        &mut self,
        received: &[u8],
        now_ns: u64,
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<bool, Fault> {
        if self.partial.is_empty() {
            let (used, goes_on) = self.whole_answers(received, now_ns, tell)?;
            self.partial.extend_from_slice(&received[used..]);
            return Ok(goes_on);
        }
        self.partial.extend_from_slice(received);
        if self.partial.len() < self.partial_needs {
            return Ok(true);
        }
        let mut partial = std::mem::take(&mut self.partial);
        let (used, goes_on) = self.whole_answers(&partial, now_ns, tell)?;
        partial.drain(..used);
        self.partial = partial;
        Ok(goes_on)
    }

    fn whole_answers(
        &mut self,
        bytes: &[u8],
        now_ns: u64,
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<(usize, bool), Fault> {
        let mut used = 0;
        while used < bytes.len() {
            let response = match parse(&bytes[used..])? {
                Parsed::Whole(response) => response,
                Parsed::Needs(needs) => {
                    self.partial_needs = needs;
                    break;
                }
            };
            let body = &bytes[used + response.head_bytes..used + response.bytes];
            used += response.bytes;
            if response.status < 200 {
                continue; // an interim answer: the real one follows
            }
            if self.pending.len() == self.unstamped {
                return Err("an answer that nobody asked for");
            }
            if let Some(request) = self.pending.pop_front() {
                tell(Event::Answered { request, at_ns: now_ns, status: response.status, body });
            }
            if response.closes {
                return Ok((used, false));
            }
        }
        Ok((used, true))
    }

    /// Forgets everything about the socket it had.
    pub(super) fn reset(&mut self) {
        self.socket = None;
        self.state = State::Down;
        self.out.clear();
        self.written = 0;
        self.pending.clear();
        self.unstamped = 0;
        self.partial.clear();
        self.partial_needs = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Planned time, status and body.
    type Told = (u64, u16, String);

    /// What a connection with `asked` requests under way tells of `bytes`, received in pieces cut at `cuts`.
    fn told(asked: u64, bytes: &[u8], cuts: &[usize]) -> (Vec<Told>, Result<bool, Fault>) {
        let mut connection = Connection::new(0, 4);
        for planned_ns in 0..asked {
            connection.pending.push_back(Pending { stream: 0, planned_ns, sent_ns: 0 });
        }
        let (mut answers, mut start, mut last) = (Vec::new(), 0, Ok(true));
        for cut in cuts.iter().copied().chain([bytes.len()]) {
            last = connection.answers(&bytes[start..cut], 9, &mut |event| {
                if let Event::Answered { request, status, body, .. } = event {
                    answers.push((request.planned_ns, status, String::from_utf8_lossy(body).into_owned()));
                }
            });
            start = cut;
        }
        (answers, last)
    }

    const TWO: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 429 Later\r\nContent-Length: 4\r\n\r\nbusy";

    #[test]
    fn answers_are_told_in_order_wherever_the_bytes_are_cut() {
        let expected = vec![(0, 200, "hi".to_owned()), (1, 429, "busy".to_owned())];
        for first in 0..=TWO.len() {
            for second in (first..=TWO.len()).step_by(7) {
                assert_eq!(told(2, TWO, &[first, second]), (expected.clone(), Ok(true)), "cut at {first} and {second}");
            }
        }
        let every: Vec<usize> = (0..TWO.len()).collect();
        assert_eq!(told(2, TWO, &every), (expected, Ok(true)));
    }

    #[test]
    fn an_interim_answer_is_not_the_answer() {
        let bytes = [b"HTTP/1.1 103 Early Hints\r\n\r\n", TWO].concat();
        assert_eq!(told(2, &bytes, &[]).0.len(), 2);
    }

    #[test]
    fn an_answer_too_many_is_a_fault() {
        let (answers, last) = told(1, TWO, &[]);
        assert_eq!((answers.len(), last), (1, Err("an answer that nobody asked for")));
    }

    #[test]
    fn nothing_is_read_behind_an_answer_that_closes() {
        let bytes = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\nrubbish";
        let (answers, last) = told(2, bytes, &[]);
        assert_eq!((answers.len(), last), (1, Ok(false)));
    }
}
