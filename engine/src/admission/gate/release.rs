//! What becomes of those who are held: once in a turn, when all that came in it was decided.

use super::{
    super::{Criticality, line::Held, load::HELD_PART},
    Decision, Gate, as_f64, as_ns, whole,
};

impl<T: Copy> Gate<T> {
    /// Moves to `released` the connections whose held request is now to be admitted or shed. Called when all requests of the turn
    /// were decided: those that just came are younger, and go first.
    ///
    /// A connection that is gone (`lives` says so) is dropped from the line, and nothing is paid for it.
    pub fn release(&mut self, now_ns: u64, lives: impl Fn(T) -> bool, released: &mut Vec<(T, Decision)>) {
        // What is left over when shedding ends is answered, but only as much as does not keep the core from new requests for long.
        let rest_ns = as_f64(self.line.len() as u64) * self.load.answer_ns / self.load.had();
        let much = rest_ns > as_f64(as_ns(self.config.window));
        let shedding = self.shedding.map(|shedding| much || shedding);
        self.line.move_late(now_ns);
        let mut moves = [false; Criticality::ALL.len()];
        for class in Criticality::ALL {
            moves[class.index()] = self.admit_held(now_ns, class, shedding[class.index()], &lives, released);
        }
        while let Some((held, class)) = self.next_to_tell(now_ns, shedding, moves) {
            self.turns.refused -= HELD_PART;
            if lives(held.connection) {
                let late = self.is_late(now_ns, held.seen_ns, held.budget_ns);
                released.push((held.connection, self.shed(class, late)));
            }
        }
    }

    /// Takes out of the line whom to give up for somebody new when there is no place left: who cannot be met any more, else the least
    /// critical, and of those who was held longest.
    pub fn push_out(&mut self, lives: impl Fn(T) -> bool) -> Option<T> {
        loop {
            let least = Criticality::ALL.into_iter().rev();
            let late = self.line.pop_late().map(|(held, _)| held);
            let held = late.or_else(|| least.into_iter().find_map(|class| self.line.pop_oldest(class)))?;
            if lives(held.connection) {
                return Some(held.connection);
            }
        }
    }

    /// Admits of one class as many as have room; says whether there were any.
    fn admit_held(
        &mut self,
        now_ns: u64,
        class: Criticality,
        shedding: bool,
        lives: &impl Fn(T) -> bool,
        released: &mut Vec<(T, Decision)>,
    ) -> bool {
        let at = class.index();
        // The rest of a burst is taken up at once; more than that would keep the core from new requests.
        let rest = !shedding && self.line.len() <= self.burst as usize;
        let young_ns = if self.has_spare(class) { self.turn_ns().max(self.queue_min_ns()) } else { self.turn_ns() };
        let young_after_ns = now_ns.saturating_sub(whole(young_ns));
        let mut moves = false;
        while (rest || !self.credit[at].is_spent()) && self.ahead < self.burst {
            // Who is shed has waited in vain for all that is older than a turn: the youngest can still be answered as if nothing was.
            let held = if shedding { self.line.pop_newest(class, young_after_ns) } else { self.line.pop_oldest(class) };
            let Some(held) = held else { break };
            moves = true;
            if !lives(held.connection) {
                self.turns.refused -= HELD_PART;
            } else if self.is_late(now_ns, held.seen_ns, held.budget_ns) {
                self.line.push_late(class, held);
            } else {
                self.turns.refused -= HELD_PART; // it was no refusal after all
                released.push((held.connection, self.admit(class)));
            }
        }
        moves
    }

    /// Whom to tell 429 next, as long as there is time for that. First who cannot be met any more, since the others still can.
    fn next_to_tell(
        &mut self,
        now_ns: u64,
        shedding: [bool; Criticality::ALL.len()],
        moves: [bool; Criticality::ALL.len()],
    ) -> Option<(Held<T>, Criticality)> {
        if self.refusal_credit_ns > 0.0
            && let Some(late) = self.line.pop_late()
        {
            return Some(late);
        }
        let shed = self.line.longest(|class| shedding[class.index()]);
        // A class that is passed over, because more critical requests fill every turn, is told after a while.
        let overdue = |since_ns| now_ns.saturating_sub(since_ns) > as_ns(self.config.held_time_max);
        let passed_over =
            || self.line.longest(|class| !moves[class.index()]).filter(|(_, since_ns)| overdue(*since_ns));
        let (class, _) = shed.or_else(passed_over)?;
        if self.refusal_credit_ns <= 0.0 {
            // A core that has time to spare while connections are held: after a stall, or because their callers send in bursts. Who has waited too
            // long to be answered is told, so that they can ask again.
            if !self.has_spare(class) {
                return None;
            }
            self.pay(class, self.load.refusal_ns); // or one turn would refuse everybody
        }
        Some((self.line.pop_oldest(class)?, class))
    }

    /// Whether the core has time that nobody came for.
    fn has_spare(&self, class: Criticality) -> bool {
        let credit = &self.credit[class.index()];
        credit.is_ample() || (self.ahead == 0 && !credit.is_spent())
    }
}
