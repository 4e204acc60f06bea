//! When the pieces of a connection's input came: a request's time counts from its first byte on, and neither what came before it nor
//! what is sent behind it moves that.

use std::collections::VecDeque;

/// Pieces by where they begin in the input, each with when it came. Empty if there is no input to remember.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    pieces: VecDeque<(usize, u64)>,
}

impl Arrivals {
    /// A piece that begins at `place` came.
    pub(super) fn add(&mut self, place: usize, seen_ns: u64) {
        // Very many small pieces: the last ones count as older than they are.
        if self.pieces.len() < PIECES_MAX {
            self.pieces.push_back((place, seen_ns));
        }
    }

    /// All that there is from `place` on belongs to one message that is not whole: nothing but its first byte will be asked for.
    pub(super) fn is_one_message(&mut self, place: usize) {
        self.seen_ns(place);
        self.pieces.truncate(1);
    }

    /// When the byte at `place` came, if it is remembered. What lies before it is not asked for again.
    pub(super) fn seen_ns(&mut self, place: usize) -> Option<u64> {
        while self.pieces.get(1).is_some_and(|(start, _)| *start <= place) {
            self.pieces.pop_front();
        }
        self.pieces.front().map(|(_, seen_ns)| *seen_ns)
    }

    /// The first `bytes` of the input are gone, and there are more.
    pub(super) fn forget(&mut self, bytes: usize) {
        self.seen_ns(bytes);
        for (start, _) in &mut self.pieces {
            *start = start.saturating_sub(bytes);
        }
    }

    /// All of the input is gone.
    pub(super) fn clear(&mut self) {
        self.pieces.clear();
    }
}

/// A pipeline of requests that had to wait has one or two pieces each. More are only many small ones that came while nothing could begin.
const PIECES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_was_seen_when_its_first_byte_was() {
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.seen_ns(0), None);
        for (place, seen_ns) in [(0, 100), (10, 200), (25, 300)] {
            arrivals.add(place, seen_ns);
        }
        assert_eq!((arrivals.seen_ns(0), arrivals.seen_ns(9)), (Some(100), Some(100)));
        // One that begins in the second piece and ends in the third.
        assert_eq!(arrivals.seen_ns(12), Some(200));
        arrivals.forget(12);
        assert_eq!(
            (arrivals.seen_ns(0), arrivals.seen_ns(12), arrivals.seen_ns(13)),
            (Some(200), Some(200), Some(300))
        );
        arrivals.clear();
        assert_eq!(arrivals.seen_ns(0), None);
    }

    #[test]
    fn what_follows_a_message_of_many_pieces_was_seen_when_it_came() {
        let mut arrivals = Arrivals::default();
        for nth in 0..10_000 {
            arrivals.add(nth * 4096, nth as u64);
            if nth < 9_999 {
                arrivals.is_one_message(7);
            }
        }
        assert_eq!(arrivals.seen_ns(7), Some(0));
        assert_eq!(arrivals.seen_ns(9_999 * 4096 + 100), Some(9_999), "it began in the last piece");
    }

    #[test]
    fn however_many_pieces_there_are_few_are_remembered() {
        let mut arrivals = Arrivals::default();
        for nth in 0..10_000 {
            arrivals.add(nth, nth as u64);
        }
        assert_eq!(arrivals.pieces.len(), PIECES_MAX);
        assert_eq!(arrivals.seen_ns(9_999), Some(PIECES_MAX as u64 - 1));
    }
}
