//! How busy a core is, by whom, and what an answer, a refusal and a turn by itself cost it. All from a few facts of each stretch of
//! turns: how long the core ran, how long it had nothing to do, and how many requests it handled in how many turns.

use super::Criticality;

const CLASSES: usize = Criticality::ALL.len();

/// Work of a stretch of turns, in requests.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Turns {
    pub(super) number: u32,
    /// By class, each once, whatever became of it.
    pub(super) offered: [u32; CLASSES],
    pub(super) admitted: [u32; CLASSES],
    /// Health, metrics, administration.
    pub(super) operations: u32,
    /// In whole refusals; those who are held have cost the first part of one.
    pub(super) refused: f64,
    /// By class, what each turn found at hand times how long the turn was: requests that were taken on, or held.
    pub(super) queue_time: [f64; CLASSES],
}

impl Turns {
    /// A turn that took `wall_ns` is over.
    #[expect(clippy::cast_precision_loss, reason = "connections times a short time")]
    pub(super) fn end(&mut self, wall_ns: u64, taken: [u32; CLASSES], held: [usize; CLASSES]) {
        self.number += 1;
        for class in 0..CLASSES {
            self.queue_time[class] += (u64::from(taken[class]) + held[class] as u64) as f64 * wall_ns as f64;
        }
    }
}

/// Shares of the core, averaged over the window; 1 is the whole core.
#[derive(Debug)]
pub(super) struct Load {
    window_ns: f64,
    pub(super) busy: f64,
    pub(super) busy_1s: f64,
    /// While the core was busy, but could not run.
    delayed: f64,
    pub(super) offered: [f64; CLASSES],
    pub(super) admitted: [f64; CLASSES],
    pub(super) operations: f64,
    pub(super) refused: f64,
    /// By class, how long what a turn finds at hand takes, nanoseconds: what was taken on and what is held.
    pub(super) queue_ns: [f64; CLASSES],
    /// What one more request in a turn costs from receive to send, while the core runs.
    pub(super) answer_ns: f64,
    pub(super) refusal_ns: f64,
    /// What a turn costs by itself.
    pub(super) turn_ns: f64,
    /// By how much the last stretch took longer than predicted, as a share.
    last_excess: f64,
}

impl Load {
    pub(super) fn new(window_ns: f64) -> Self {
        Self {
            window_ns,
            busy: 0.0,
            busy_1s: 0.0,
            delayed: 0.0,
            offered: [0.0; CLASSES],
            admitted: [0.0; CLASSES],
            operations: 0.0,
            refused: 0.0,
            queue_ns: [0.0; CLASSES],
            answer_ns: ANSWER_NS_FIRST_GUESS,
            refusal_ns: REFUSAL_NS_FIRST_GUESS,
            turn_ns: TURN_NS_FIRST_GUESS,
            last_excess: 0.0,
        }
    }

    /// A stretch of `wall_ns`. The core had work for `busy_ns` of it, and ran for `ran_ns` of these, mostly for `turns`.
    pub(super) fn add(&mut self, wall_ns: f64, busy_ns: f64, ran_ns: f64, turns: &Turns) {
        self.learn_costs(wall_ns, ran_ns, turns);
        // The implicit step of an exponential average: no exponential, and stable however long the stretch was.
        let (part, part_1s) = (wall_ns / (self.window_ns() + wall_ns), wall_ns / (SECOND_NS + wall_ns));
        let toward = |average: &mut f64, work_ns: f64, part: f64| *average += part * (work_ns / wall_ns - *average);
        toward(&mut self.busy, busy_ns, part);
        toward(&mut self.busy_1s, busy_ns, part_1s);
        toward(&mut self.delayed, busy_ns - ran_ns, part);
        for class in 0..CLASSES {
            toward(&mut self.offered[class], f64::from(turns.offered[class]) * self.answer_ns, part);
            toward(&mut self.admitted[class], f64::from(turns.admitted[class]) * self.answer_ns, part);
        }
        toward(&mut self.operations, f64::from(turns.operations) * self.answer_ns, part);
        toward(&mut self.refused, turns.refused * self.refusal_ns, part);
        for (queue_ns, queue_time) in self.queue_ns.iter_mut().zip(turns.queue_time) {
            *queue_ns += part * (queue_time / wall_ns * self.answer_ns - *queue_ns);
        }
    }

    /// Longer if answers are so dear that chance would rule a shorter one.
    pub(super) fn window_ns(&self) -> f64 {
        self.window_ns.max(WINDOW_ANSWERS * self.answer_ns)
    }

    /// The part of the core that others left to it.
    pub(super) fn had(&self) -> f64 {
        (1.0 - self.delayed).max(HAD_MIN)
    }

    /// One equation for three unknowns: a stretch teaches about each by its part in what was predicted, so that stretches of many small turns
    /// and of few large ones tell turns and answers apart.
    fn learn_costs(&mut self, wall_ns: f64, ran_ns: f64, turns: &Turns) {
        let answers = f64::from(turns.admitted.iter().sum::<u32>() + turns.operations);
        let refusals = turns.refused.max(0.0);
        let parts = [answers * self.answer_ns, refusals * self.refusal_ns, f64::from(turns.number) * self.turn_ns];
        let predicted: f64 = parts.iter().sum();
        let squares: f64 = parts.iter().map(|part| part * part).sum();
        if answers + refusals <= 0.0 {
            return; // nobody knows what such turns were about
        }
        // A stretch during which the machine stood still says nothing of costs, and may not say it loudly: what takes much longer than
        // predicted is believed once it happens again. Then a stretch of many requests is believed at once.
        let excess = (ran_ns / predicted - 1.0).clamp(-1.0, ((answers + refusals) / FEW).max(1.0));
        let believed = excess.min(self.last_excess.max(DOUBTED));
        self.last_excess = excess;
        let step = believed * wall_ns / (self.window_ns() + wall_ns) * predicted / squares;
        let [answer, refusal, turn] = parts.map(|part| (1.0 + step * part).max(0.0));
        self.answer_ns = (self.answer_ns * answer).clamp(COST_NS_MIN, COST_NS_MAX);
        self.refusal_ns = (self.refusal_ns * refusal).clamp(COST_NS_MIN, self.answer_ns);
        self.turn_ns = (self.turn_ns * turn).clamp(COST_NS_MIN, TURN_NS_MAX);
    }
}

/// Before the first requests: about what was measured for a ten-feature answer and for a constant one.
const ANSWER_NS_FIRST_GUESS: f64 = 8_000.0;
const REFUSAL_NS_FIRST_GUESS: f64 = 5_700.0;
/// Entering the kernel, waking up, looking around.
const TURN_NS_FIRST_GUESS: f64 = 5_000.0;

/// No turn costs more by itself, whatever else the core did meanwhile.
const TURN_NS_MAX: f64 = 25_000.0;

/// A core that hardly runs is taken for one that has this part, or all that was asked of it would count without bounds.
const HAD_MIN: f64 = 0.02;

/// Answers that a window holds at least on a busy core.
const WINDOW_ANSWERS: f64 = 60.0;

/// A stretch that takes longer by more than this share is one to doubt.
const DOUBTED: f64 = 0.5;

/// So few requests are outweighed by one interruption.
const FEW: f64 = 8.0;

/// The part of a refusal that is receiving and framing the request; the rest is sending the answer.
pub(super) const HELD_PART: f64 = 0.45;

/// Below any request's share of the kernel, above any sensible one.
const COST_NS_MIN: f64 = 500.0;
const COST_NS_MAX: f64 = 100e6;

const SECOND_NS: f64 = 1e9;
