//! The gate itself: decides, request by request and once at the end of a turn's reading.

mod release;

use std::sync::Arc;

use crate::limits::HELD_LOOK_NS;

use super::{
    AdmissionConfig, AdmissionMetrics, Criticality, Reason,
    credit::Credit,
    line::{Held, Line},
    load::{HELD_PART, Load, Turns},
    metrics::Last,
};

/// What is known of a request before its body is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// When its first byte was seen.
    pub seen_ns: u64,
    pub criticality: Criticality,
    /// What may pass from `seen_ns` to its answer, if it said so in its head.
    pub budget_ns: Option<u64>,
}

/// For how long the core did nothing since that was last said; the rest of the time, it ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Idle {
    /// There was nothing to do.
    pub rested_ns: u64,
    /// There was, but somebody else had the core, or a control group's quota was used up.
    pub delayed_ns: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Admit,
    /// 429, now.
    Shed {
        reason: Reason,
        retry_after_s: u32,
    },
    /// Neither yet: the request stays unread and so does its connection, until [`Gate::release`] names it.
    Hold,
}

/// Decides for one shard. `T` names a connection.
///
/// In a turn the shard calls `turn_began`, `decide` for each request that is no operator's, then `release`.
#[derive(Debug)]
pub struct Gate<T> {
    config: AdmissionConfig,
    metrics: Arc<AdmissionMetrics>,
    load: Load,
    began_ns: u64,
    /// What was done since the load was last measured, at `measured_ns`.
    turns: Turns,
    measured_ns: u64,
    refilled_ns: u64,
    /// Requests admitted in this turn: what another one would wait for.
    ahead: u32,
    /// The same by class, without those of operators.
    taken: [u32; Criticality::ALL.len()],
    /// When the oldest of them was seen.
    oldest_seen_ns: u64,
    /// Requests of earlier turns that wait for something else than the core, and when the oldest of them was seen.
    aside: (u64, Option<u64>),
    shedding: [bool; Criticality::ALL.len()],
    credit: [Credit; Criticality::ALL.len()],
    refusal_credit_ns: f64,
    line: Line<T>,
    random: u32,
    /// See [`Self::is_calm`]; judged when load is measured.
    calm: Calm,
    /// Requests admitted unasked since one was asked.
    unasked: u32,
    /// When a request that can come back later was met last.
    sheddable_seen_ns: Option<u64>,
    /// How many requests the turn takes on in any case.
    burst: u32,
}

impl<T: Copy> Gate<T> {
    pub fn new(config: AdmissionConfig, metrics: Arc<AdmissionMetrics>, now_ns: u64) -> Self {
        let mut gate = Self {
            load: Load::new(config.window.as_secs_f64() * 1e9),
            config,
            metrics,
            began_ns: now_ns,
            turns: Turns::default(),
            measured_ns: now_ns,
            refilled_ns: now_ns,
            ahead: 0,
            taken: [0; Criticality::ALL.len()],
            oldest_seen_ns: u64::MAX,
            aside: (0, None),
            shedding: [false; Criticality::ALL.len()],
            credit: [Credit::default(); Criticality::ALL.len()],
            refusal_credit_ns: 0.0,
            line: Line::new(),
            random: 0x9e37_79b9,
            calm: Calm::No,
            unasked: 0,
            sheddable_seen_ns: None,
            burst: 1,
        };
        gate.burst = gate.burst();
        gate
    }

    /// A turn begins, of which nothing is decided yet. `idle` is said if it was measured now: load is judged when it is.
    pub fn turn_began(&mut self, now_ns: u64, idle: Option<Idle>) {
        let wall_ns = now_ns.saturating_sub(self.began_ns);
        self.began_ns = now_ns;
        self.turns.end(wall_ns, self.taken, self.line.by_class());
        let measured = idle.filter(|_| now_ns > self.measured_ns);
        if let Some(Idle { rested_ns, delayed_ns }) = measured {
            let last = self.last(now_ns);
            let wall_ns = as_f64(now_ns - self.measured_ns);
            self.measured_ns = now_ns;
            let busy_ns = wall_ns - as_f64(rested_ns).min(wall_ns);
            self.load.add(wall_ns, busy_ns, busy_ns - as_f64(delayed_ns).min(busy_ns), &self.turns);
            self.turns = Turns::default();
            self.judge();
            self.burst = self.burst();
            self.metrics.publish(&self.load, &last);
        }
        (self.ahead, self.taken, self.oldest_seen_ns) = (0, [0; Criticality::ALL.len()], u64::MAX);
        // On a calm core credit is hardly used: once in a while is enough.
        if self.calm != Calm::Yes || measured.is_some() {
            self.refill(now_ns, as_f64(now_ns - self.refilled_ns));
            self.refilled_ns = now_ns;
        }
    }

    /// Which classes are being shed. A class is judged by what it and those more critical ask for, not by what they get, so that
    /// shedding does not end by its own effect.
    fn judge(&mut self) {
        let queue_min_ns = self.queue_min_ns();
        // Who has half of a core is asked for twice as much of it, and takes twice as long.
        let had = self.load.had();
        let (mut asked, mut queue_ns) = (self.load.operations / had, 0.0);
        for class in Criticality::ALL {
            let mark = self.config.mark(class);
            asked += self.load.offered[class.index()] / had;
            queue_ns += self.load.queue_ns[class.index()] / had;
            let shedding = &mut self.shedding[class.index()];
            // That the core is busy is measured; what is asked for is estimated.
            // A full core whose callers hardly wait, because there are few of them and each waits for its answer before it asks again, is
            // no reason to turn anybody away but those who can come back later. Who is held counts as waiting, so holding does not end by
            // its own effect; whoever is less critical does not, or a burst of critical requests would be shed for their sake.
            let enough_ns = if *shedding { queue_min_ns * QUEUE_LEAVE } else { queue_min_ns };
            // Where callers come one at a time nobody waits at all: then it is others who make the core busy, and shedding would not help.
            let alone = queue_ns < ALONE * self.load.answer_ns;
            let waits = queue_ns >= enough_ns || (class == Criticality::Sheddable && !alone);
            // Who waits asks as well: callers that only ask again when they were answered ask for no more than they get, however many there are.
            let wanted = asked + queue_ns / self.load.window_ns();
            *shedding = if *shedding {
                // A core that is mostly idle while a class is shed is wrong about what requests cost.
                waits && wanted >= share(mark.leave_percent) && self.load.busy >= IDLE_PART * share(mark.leave_percent)
            } else {
                waits && wanted >= share(mark.enter_percent) && self.load.busy >= share(mark.leave_percent)
            };
        }
        let first = Criticality::ALL.map(|class| self.config.mark(class).leave_percent).into_iter().min();
        let [critical, default, sheddable] = self.shedding;
        let seen = self.sheddable_seen_ns.is_some_and(|at_ns| self.began_ns - at_ns < SHEDDABLE_REMEMBERED_NS);
        self.calm = match self.config.enabled {
            false => Calm::Yes,
            true if !self.line.is_empty() || critical || default => Calm::No,
            true if !sheddable && asked < share(first.unwrap_or_default()) => Calm::Yes,
            true if seen => Calm::No,
            true => Calm::ButForTheSheddable,
        };
    }

    fn refill(&mut self, now_ns: u64, wall_ns: f64) {
        let (turn_ns, had) = (self.turn_ns(), self.load.had());
        let mut used = (self.load.operations + self.load.refused) / had;
        for class in Criticality::ALL {
            // Where more critical requests take a part of the turn, what is left of it is shorter too.
            let left = (share(self.config.mark(class).limit_percent) - used).max(0.0);
            self.credit[class.index()].refill(wall_ns, turn_ns, left);
            used += self.load.admitted[class.index()] / had;
        }
        let patient = |since_ns| now_ns - since_ns <= as_ns(self.config.held_time_max);
        let percent = match self.line.longest(|_| true) {
            Some((_, since_ns)) if patient(since_ns) => self.config.refusal_percent_held,
            _ => self.config.refusal_percent,
        };
        let most = (2.0 * turn_ns * share(self.config.refusal_percent)).max(self.load.refusal_ns);
        self.refusal_credit_ns = (self.refusal_credit_ns + wall_ns * had * share(percent)).clamp(-most, most);
    }

    /// A request for health, metrics or administration: it is admitted, and counted.
    pub fn operation(&mut self) {
        self.turns.operations += 1;
        self.ahead += 1;
    }

    /// So many requests wait for something else than the core. Said once in a while: it is only told on.
    pub fn set_aside(&mut self, number: u64, oldest_seen_ns: Option<u64>) {
        self.aside = (number, oldest_seen_ns);
    }

    /// What becomes of a request of `connection`.
    pub fn decide(&mut self, now_ns: u64, connection: T, ask: Ask) -> Decision {
        let class = ask.criticality.index();
        if ask.criticality == Criticality::Sheddable {
            if self.calm == Calm::ButForTheSheddable {
                self.calm = Calm::No;
            }
            self.sheddable_seen_ns = Some(now_ns);
        }
        self.turns.offered[class] += 1;
        self.oldest_seen_ns = self.oldest_seen_ns.min(ask.seen_ns);
        let late = self.is_late(now_ns, ask.seen_ns, ask.budget_ns);
        if !self.config.enabled {
            return self.admit(ask.criticality);
        }
        let critical = ask.criticality == Criticality::Critical;
        let burst = self.ahead >= if critical { CRITICAL_BURSTS * self.burst } else { self.burst };
        if !late && !burst && (!self.shedding[class] || !self.credit[class].is_spent()) {
            return self.admit(ask.criticality);
        }
        let may_refuse = (late || self.shedding[class]) && self.line.is_empty() && self.refusal_credit_ns > 0.0;
        if may_refuse {
            return self.shed(ask.criticality, late);
        }
        self.turns.refused += HELD_PART;
        let Ask { criticality, seen_ns, budget_ns } = ask;
        let held = Held { connection, since_ns: now_ns, seen_ns, budget_ns };
        if late {
            self.line.push_late(criticality, held)
        } else {
            self.line.push(criticality, held)
        }
        self.metrics.held(ask.criticality).add(1);
        Decision::Hold
    }

    /// Moves all that are held to `released`, to be admitted: the shard is about to end.
    pub fn release_all(&mut self, released: &mut Vec<(T, Decision)>) {
        for class in Criticality::ALL {
            while let Some(held) = self.line.pop_oldest(class) {
                self.turns.refused -= HELD_PART;
                released.push((held.connection, self.admit(class)));
            }
        }
        while let Some((held, class)) = self.line.pop_late() {
            self.turns.refused -= HELD_PART;
            released.push((held.connection, self.admit(class)));
        }
    }

    /// Whether a request need not even say what it is: nobody is held, and nothing is shed, or only what can come back later and none such
    /// has come for a while; then some are asked, to notice if one does. [`Self::admit_quietly`] then stands for [`Self::decide`].
    pub fn is_calm(&mut self) -> bool {
        if self.ahead >= self.burst {
            return false;
        }
        match self.calm {
            Calm::Yes => true,
            Calm::No => false,
            Calm::ButForTheSheddable => {
                self.unasked = (self.unasked + 1) % ASKED_EVERY;
                self.unasked != 0
            }
        }
    }

    /// Admits a request of which nothing was asked, because the gate is calm. It counts as an ordinary one.
    pub fn admit_quietly(&mut self, seen_ns: u64) {
        self.turns.offered[Criticality::Default.index()] += 1;
        self.oldest_seen_ns = self.oldest_seen_ns.min(seen_ns);
        self.admit(Criticality::Default);
    }

    /// Whether anybody is held.
    pub fn holds(&self) -> bool {
        !self.line.is_empty()
    }

    /// When anybody is held, how long after this turn began the shard comes back even if nothing happens: when there is credit again, and
    /// at most [`HELD_LOOK_NS`].
    pub fn look_in_ns(&self) -> Option<u64> {
        let waiting = self.line.by_class().into_iter().zip(self.credit).filter(|(held, _)| *held > 0);
        let saved_up = waiting.filter_map(|(_, credit)| credit.saved_up_in_ns()).map(whole);
        self.holds().then(|| saved_up.fold(HELD_LOOK_NS, u64::min))
    }

    /// A request that was admitted here was refused further on, for a limit of its own.
    pub fn refused_further_on(&mut self, criticality: Criticality, reason: Reason) -> u32 {
        let admitted = &mut self.turns.admitted[criticality.index()];
        *admitted = admitted.saturating_sub(1);
        self.turns.refused += 1.0;
        self.refusal_credit_ns -= self.load.refusal_ns;
        self.metrics.shed(reason, criticality).add(1);
        self.retry_after_s()
    }

    /// Busy share of the core over the window, 10 ms unless set otherwise.
    pub fn utilization(&self) -> f64 {
        self.load.busy
    }

    pub fn utilization_1s(&self) -> f64 {
        self.load.busy_1s
    }

    /// How long a request admitted now waits for those before it.
    pub fn predicted_wait_ns(&self) -> u64 {
        whole(f64::from(self.ahead) * self.load.answer_ns / self.load.had())
    }

    fn is_late(&self, now_ns: u64, seen_ns: u64, budget_ns: Option<u64>) -> bool {
        // Its own time is not in it: what is thought of that may be wrong, and would stay so if nobody were admitted for it.
        budget_ns.is_some_and(|budget_ns| (now_ns + self.predicted_wait_ns()).saturating_sub(seen_ns) > budget_ns)
    }

    /// How many requests a turn takes on in any case.
    fn burst(&self) -> u32 {
        let fit = self.config.turn_time_max.as_secs_f64() * 1e9 / self.load.answer_ns;
        u32::try_from(whole(fit)).unwrap_or(u32::MAX).max(self.config.turn_answers)
    }

    /// What takes this long may be at hand before anybody is shed.
    fn queue_min_ns(&self) -> f64 {
        self.config.queue_time_min.as_secs_f64() * 1e9
    }

    /// The longest a turn gets while shedding.
    fn turn_ns(&self) -> f64 {
        (f64::from(self.config.turn_answers) * self.load.answer_ns).max(TURN_COSTS * self.load.turn_ns)
    }

    fn admit(&mut self, criticality: Criticality) -> Decision {
        let class = criticality.index();
        self.turns.admitted[class] += 1;
        self.taken[class] += 1;
        self.ahead += 1;
        self.pay(criticality, self.load.answer_ns);
        Decision::Admit
    }

    fn pay(&mut self, criticality: Criticality, ns: f64) {
        let owed_ns_max = self.turn_ns();
        self.credit[criticality.index()].pay(ns, owed_ns_max);
    }

    /// 429.
    fn shed(&mut self, criticality: Criticality, late: bool) -> Decision {
        self.turns.refused += 1.0;
        self.refusal_credit_ns -= self.load.refusal_ns;
        let reason = if late { Reason::Budget } else { Reason::Capacity };
        self.metrics.shed(reason, criticality).add(1);
        Decision::Shed { reason, retry_after_s: self.retry_after_s() }
    }

    fn retry_after_s(&mut self) -> u32 {
        // Xorshift: clients are to be spread, nobody is to be surprised.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        let (min, max) =
            (self.config.retry_after_s_min, self.config.retry_after_s_max.max(self.config.retry_after_s_min));
        min + self.random % (max - min + 1)
    }

    fn last(&self, now_ns: u64) -> Last {
        let (aside, aside_seen_ns) = self.aside;
        let oldest_seen_ns =
            self.line.oldest_seen_ns().into_iter().chain(aside_seen_ns).fold(self.oldest_seen_ns, u64::min);
        Last {
            in_progress: u64::from(self.ahead) + aside,
            predicted_wait_ns: self.predicted_wait_ns(),
            oldest_ns: now_ns.saturating_sub(oldest_seen_ns),
            held: self.line.len() as u64,
        }
    }
}

/// How much has to be known of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Calm {
    Yes,
    /// Sheddable requests would be shed, if there were any.
    ButForTheSheddable,
    No,
}

/// Cheap answers fill a turn up to so many times what it costs by itself.
const TURN_COSTS: f64 = 30.0;

/// How many times as much critical requests may make a turn longer.
const CRITICAL_BURSTS: u32 = 4;

/// Requests that a turn finds at hand, on average, if callers come one at a time.
const ALONE: f64 = 1.5;

/// Below this part of where shedding would end anyway, the core is taken for idle.
const IDLE_PART: f64 = 0.5;

/// One request in so many is asked on a full core on which nobody can come back later. A class that makes up a hundredth of all is
/// noticed within about as many requests as ten milliseconds bring.
const ASKED_EVERY: u32 = 16;

/// For how long one that can come back later stands for others.
const SHEDDABLE_REMEMBERED_NS: u64 = 1_000_000_000;

/// Shedding ends when what is at hand takes less than this part of what let it begin.
const QUEUE_LEAVE: f64 = 0.8;

fn share(percent: u32) -> f64 {
    f64::from(percent) / 100.0
}

fn as_ns(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "durations are far below 2⁵³ ns")]
fn as_f64(ns: u64) -> f64 {
    ns as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a duration, and conversion saturates")]
fn whole(ns: f64) -> u64 {
    ns as u64
}
