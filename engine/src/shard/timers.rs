//! A wheel of coarse timers for connections. A connection stands in the wheel at most at one *valid* tick; when that comes, its
//! owner looks at the connection's phase, acts or sets it again. So a request moves no timer: it only updates when the
//! connection was last active, and the wheel finds out later.

use std::time::Duration;

use crate::reactor::Token;

/// Nanoseconds per tick. Timers fire up to this much late.
pub(super) const TICK_NS: u64 = 100_000_000;
/// Ticks in a turn of the wheel. A deadline further away is looked at once per turn of the wheel.
const TICKS: usize = 256;

#[derive(Debug)]
pub(super) struct Wheel {
    ticks: Vec<Vec<Token>>,
    /// The next tick to fire.
    next: u64,
    armed: usize,
}

impl Wheel {
    pub(super) fn new(now_ns: u64) -> Self {
        Self { ticks: (0..TICKS).map(|_| Vec::new()).collect(), next: now_ns / TICK_NS + 1, armed: 0 }
    }

    /// Puts `token` at `deadline_ns` unless it stands earlier already. `standing` is where it stands; the caller keeps it.
    pub(super) fn arm(&mut self, token: Token, deadline_ns: u64, standing: &mut u64) {
        let horizon = self.next + TICKS as u64 - 1;
        let tick = (deadline_ns / TICK_NS + 1).clamp(self.next, horizon);
        if tick < *standing {
            *standing = tick;
            self.ticks[index(tick)].push(token);
            self.armed += 1;
        }
    }

    /// Moves the tokens of all ticks up to now to `fired`, with the tick each stood at. A token that moved to an earlier
    /// tick in the meantime fires there too; whoever takes them compares the tick with where the token stands.
    pub(super) fn advance(&mut self, now_ns: u64, fired: &mut Vec<(Token, u64)>) {
        let now = now_ns / TICK_NS;
        while self.next <= now {
            let tick = self.next;
            self.next += 1;
            let tokens = &mut self.ticks[index(tick)];
            self.armed -= tokens.len();
            fired.extend(tokens.drain(..).map(|token| (token, tick)));
            if self.armed == 0 {
                self.next = now + 1;
            }
        }
    }
}

/// A duration as the wheel counts.
pub(super) fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 2)
}

/// Where a connection stands that is in no tick.
pub(super) const NOWHERE: u64 = u64::MAX;

#[expect(clippy::cast_possible_truncation, reason = "the remainder is below 256")]
fn index(tick: u64) -> usize {
    (tick % TICKS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn token(slot: u32) -> Token {
        Token { slot, generation: 0 }
    }

    #[test]
    fn a_deadline_fires_once_and_not_early() {
        let mut wheel = Wheel::new(0);
        let mut standing = NOWHERE;
        wheel.arm(token(1), SECOND, &mut standing);
        let mut fired = Vec::new();
        wheel.advance(SECOND - 1, &mut fired);
        assert!(fired.is_empty());
        wheel.advance(SECOND + TICK_NS, &mut fired);
        assert_eq!(fired, [(token(1), standing)]);
        fired.clear();
        wheel.advance(100 * SECOND, &mut fired);
        assert!(fired.is_empty());
        assert_eq!(wheel.armed, 0);
    }

    #[test]
    fn a_far_deadline_is_looked_at_at_the_horizon() {
        let mut wheel = Wheel::new(0);
        let mut standing = NOWHERE;
        wheel.arm(token(1), 3600 * SECOND, &mut standing);
        let mut fired = Vec::new();
        wheel.advance(26 * SECOND, &mut fired);
        assert_eq!(fired.len(), 1);
    }

    #[test]
    fn an_earlier_deadline_moves_the_token_and_the_old_place_is_told_apart() {
        let mut wheel = Wheel::new(0);
        let mut standing = NOWHERE;
        wheel.arm(token(1), 20 * SECOND, &mut standing);
        let late = standing;
        wheel.arm(token(1), 5 * SECOND, &mut standing);
        assert!(standing < late);
        let mut fired = Vec::new();
        wheel.advance(21 * SECOND, &mut fired);
        assert_eq!(fired, [(token(1), standing), (token(1), late)]);
    }

    #[test]
    fn an_idle_wheel_skips_ahead() {
        let mut wheel = Wheel::new(0);
        let mut standing = NOWHERE;
        wheel.advance(1_000_000 * SECOND, &mut Vec::new());
        wheel.arm(token(1), 1_000_001 * SECOND, &mut standing);
        let mut fired = Vec::new();
        wheel.advance(1_000_002 * SECOND, &mut fired);
        assert_eq!(fired.len(), 1);
    }
}
