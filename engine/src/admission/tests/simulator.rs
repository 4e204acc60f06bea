//! A shard with given costs, and clients that send by an open loop over connections with one request in flight each; in virtual
//! time, from a seed.
#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the simulation's own small numbers")]

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
};

use super::super::*;

pub(super) const MS: u64 = 1_000_000;

/// What things cost the core, nanoseconds: as measured on the machine of docs/adr/0012.
#[derive(Debug, Clone, Copy)]
pub(super) struct Costs {
    /// A turn by itself: entering the kernel, waking up, looking around.
    pub(super) turn: u64,
    pub(super) receive: u64,
    pub(super) send: u64,
    /// Framing up to the decision, each time a request is looked at.
    pub(super) frame: u64,
    pub(super) service: u64,
    /// How long the core may run in each [`PERIOD_NS`]; then a control group's quota is used up, and it stands still until the next.
    pub(super) quota: u64,
}

pub(super) const ORDINARY: Costs =
    Costs { turn: 8000, receive: 2000, send: 2500, frame: 200, service: 1500, quota: PERIOD_NS };
pub(super) const COSTLY: Costs = Costs { service: 300_000, ..ORDINARY };

/// Half of a core.
pub(super) const fn capped(costs: Costs) -> Costs {
    Costs { quota: PERIOD_NS / 2, ..costs }
}

const PERIOD_NS: u64 = 5 * MS;

impl Costs {
    /// Answers per second of a core that does nothing else.
    pub(super) fn capacity(self) -> f64 {
        let share = self.quota as f64 / PERIOD_NS as f64;
        share * 1e9 / (self.receive + self.send + self.frame + self.service) as f64
    }
}

/// Clients of one kind: how many connections, and how much they offer when, in multiples of the core's capacity.
pub(super) struct Clients {
    pub(super) criticality: Criticality,
    pub(super) connections: usize,
    pub(super) offers: fn(now_ns: u64) -> f64,
    /// How often the client gets to sending.
    pub(super) grain_ns: u64,
    /// What the heads of its requests say.
    pub(super) budget_ns: Option<u64>,
}

/// What became of the requests of one kind of client, counted by when they were sent.
#[derive(Debug, Default, Clone)]
pub(super) struct Outcome {
    /// When each answer reached its client, and how long after the request was sent.
    pub(super) answers: Vec<(u64, u64)>,
    /// The same for 429.
    pub(super) refusals: Vec<(u64, u64)>,
    /// When requests were given up because every connection had been waiting for an answer for [`PATIENCE_NS`].
    pub(super) unsent: Vec<u64>,
}

impl Outcome {
    /// Answers per second in a stretch of time.
    pub(super) fn goodput(&self, from_ns: u64, to_ns: u64) -> f64 {
        let n = self.answers.iter().filter(|(at, _)| (from_ns..to_ns).contains(at)).count();
        n as f64 / ((to_ns - from_ns) as f64 / 1e9)
    }
}

/// How long those took that reached their client in a stretch of time.
pub(super) fn percentile_us(what: &[(u64, u64)], percent: f64, from_ns: u64, to_ns: u64) -> f64 {
    let mut times: Vec<u64> = what.iter().filter(|(at, _)| (from_ns..to_ns).contains(at)).map(|(_, t)| *t).collect();
    times.sort_unstable();
    let at = (times.len() as f64 * percent / 100.0) as usize;
    times.get(at.min(times.len().saturating_sub(1))).map_or(0.0, |ns| *ns as f64 / 1000.0)
}

/// Half a round trip and the client's own time: from the core's send to the next request's arrival.
const ROUND_TRIP_NS: u64 = 30_000;
/// How long a client waits for one of its connections to become free. Short, so that what clients saved up does not prolong the
/// overload that is to be simulated.
const PATIENCE_NS: u64 = 5 * MS;
/// What a turn can receive.
const RECEIVES: usize = 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A request of this kind of client is due.
    Due(usize),
    /// Nothing is due for a while: the rate is looked at again.
    Look(usize),
    /// A request reaches the shard's socket.
    Arrives { connection: u32, sent_ns: u64 },
    /// An answer has reached the client: the connection is free.
    Free(u32),
}

pub(super) struct Simulation<'a> {
    costs: Costs,
    clients: &'a [Clients],
    owner: Vec<usize>,
    idle: Vec<Vec<u32>>,
    queued: Vec<VecDeque<u64>>,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    sockets: VecDeque<(u32, u64)>,
    outcomes: Vec<Outcome>,
    seed: u64,
    gate: Gate<u32>,
    now_ns: u64,
    /// What is left of the quota, and when it is renewed.
    quota_ns: u64,
    renewed_ns: u64,
    /// For how long the core stood still since that was last said.
    delayed_ns: u64,
}

impl<'a> Simulation<'a> {
    pub(super) fn new(config: AdmissionConfig, costs: Costs, clients: &'a [Clients], seed: u64) -> Self {
        let mut simulation = Self {
            costs,
            clients,
            owner: Vec::new(),
            idle: Vec::new(),
            queued: vec![VecDeque::new(); clients.len()],
            events: BinaryHeap::new(),
            sockets: VecDeque::new(),
            outcomes: vec![Outcome::default(); clients.len()],
            seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            gate: Gate::new(config, Arc::default(), 0),
            now_ns: 0,
            quota_ns: costs.quota,
            renewed_ns: PERIOD_NS,
            delayed_ns: 0,
        };
        for (kind, client) in clients.iter().enumerate() {
            let first = simulation.owner.len() as u32;
            simulation.owner.extend(std::iter::repeat_n(kind, client.connections));
            simulation.idle.push((first..first + client.connections as u32).collect());
            simulation.plan(0, kind);
        }
        simulation
    }

    /// Turn after turn until `end_ns`.
    pub(super) fn run(mut self, end_ns: u64) -> Vec<Outcome> {
        let (mut batch, mut decided, mut released) = (Vec::new(), Vec::new(), Vec::new());
        let (mut slept_ns, mut began_ns, mut asleep_ns, mut measured_ns) = (0, 0, 0, 0);
        // When the request in progress on each connection was sent.
        let mut sent: Vec<u64> = vec![0; self.owner.len()];
        while self.now_ns < end_ns {
            self.happen();
            if self.sockets.is_empty() && decided.is_empty() {
                let next_ns = self.events.peek().map_or(end_ns, |Reverse((at, _))| *at).max(self.now_ns);
                let look_ns = self.gate.look_in_ns().map_or(u64::MAX, |ns| began_ns + ns).max(asleep_ns);
                slept_ns += next_ns.min(look_ns) - self.now_ns;
                self.now_ns = next_ns.min(look_ns);
                if next_ns <= look_ns {
                    continue;
                }
            }
            // The enter: the last turn's sends, then what has come. Each answer leaves when the kernel comes to it.
            self.work(self.costs.turn);
            for (connection, decision) in decided.drain(..) {
                self.work(self.costs.send);
                let came_ns = self.now_ns + ROUND_TRIP_NS / 2;
                let outcome = &mut self.outcomes[self.owner[connection as usize]];
                let took_ns = came_ns - sent[connection as usize];
                if decision == Decision::Admit {
                    outcome.answers.push((came_ns, took_ns));
                } else {
                    outcome.refusals.push((came_ns, took_ns));
                }
                self.events.push(Reverse((came_ns, Event::Free(connection))));
            }
            self.happen();
            batch.clear();
            batch.extend((0..RECEIVES).map_while(|_| self.sockets.pop_front()));
            self.work(batch.len() as u64 * self.costs.receive);
            // As a shard does: measured once a millisecond.
            let measure = self.now_ns - measured_ns >= MS;
            let idle = measure.then_some(Idle { rested_ns: slept_ns, delayed_ns: self.delayed_ns });
            if measure {
                (measured_ns, slept_ns, self.delayed_ns) = (self.now_ns, 0, 0);
            }
            self.gate.turn_began(self.now_ns, idle);
            began_ns = self.now_ns;

            let now_ns = self.now_ns;
            let mut spent_ns = 0;
            for &(connection, sent_ns) in &batch {
                spent_ns += self.costs.frame;
                let Clients { criticality, budget_ns, .. } = self.clients[self.owner[connection as usize]];
                let ask = Ask { seen_ns: now_ns, criticality, budget_ns };
                sent[connection as usize] = sent_ns;
                match self.gate.decide(now_ns, connection, ask) {
                    Decision::Hold => {}
                    decision => decided.push((connection, decision)),
                }
            }
            self.gate.release(now_ns, |_| true, &mut released);
            spent_ns += released.len() as u64 * self.costs.frame;
            decided.append(&mut released);
            spent_ns += self.costs.service * decided.iter().filter(|(_, d)| *d == Decision::Admit).count() as u64;
            self.work(spent_ns);
            asleep_ns = self.now_ns;
        }
        self.outcomes
    }

    /// The core runs for so long, and stands still as soon as its quota is used up.
    fn work(&mut self, ns: u64) {
        let mut left_ns = ns;
        loop {
            if self.now_ns >= self.renewed_ns {
                self.renewed_ns = (self.now_ns + 1).next_multiple_of(PERIOD_NS);
                self.quota_ns = self.costs.quota;
            }
            let ran_ns = left_ns.min(self.quota_ns).min(self.renewed_ns - self.now_ns);
            self.now_ns += ran_ns;
            self.quota_ns -= ran_ns;
            left_ns -= ran_ns;
            if left_ns == 0 {
                return;
            }
            if self.quota_ns == 0 && self.now_ns < self.renewed_ns {
                self.delayed_ns += self.renewed_ns - self.now_ns;
                self.now_ns = self.renewed_ns;
            }
        }
    }

    /// Everything outside the core up to now.
    fn happen(&mut self) {
        while let Some(Reverse((at_ns, event))) = self.events.peek().copied() {
            if at_ns > self.now_ns {
                return;
            }
            self.events.pop();
            match event {
                Event::Due(kind) => {
                    self.plan(at_ns, kind);
                    self.queued[kind].push_back(at_ns);
                    self.send(at_ns, kind);
                }
                Event::Look(kind) => self.plan(at_ns, kind),
                Event::Arrives { connection, sent_ns } => self.sockets.push_back((connection, sent_ns)),
                Event::Free(connection) => {
                    let kind = self.owner[connection as usize];
                    self.idle[kind].push(connection);
                    self.send(at_ns, kind);
                }
            }
        }
    }

    fn send(&mut self, at_ns: u64, kind: usize) {
        while self.queued[kind].front().is_some_and(|due| at_ns - due > PATIENCE_NS) {
            self.queued[kind].pop_front();
            self.outcomes[kind].unsent.push(at_ns);
        }
        if self.queued[kind].is_empty() {
            return;
        }
        let Some(connection) = self.idle[kind].pop() else { return };
        self.queued[kind].pop_front();
        // A client that does several things at a time sends in bursts.
        let leaves_ns = at_ns.next_multiple_of(self.clients[kind].grain_ns);
        self.events.push(Reverse((leaves_ns + ROUND_TRIP_NS / 2, Event::Arrives { connection, sent_ns: at_ns })));
    }

    /// The next request of a kind of client: a Poisson process whose rate is looked at each time.
    fn plan(&mut self, now_ns: u64, kind: usize) {
        let rate = (self.clients[kind].offers)(now_ns) * self.costs.capacity();
        let after_ns = if rate > 0.0 { (-self.uniform().ln() / rate * 1e9) as u64 } else { MS };
        // Longer gaps are drawn again, which an exponential does not mind, so that a change of rate is not slept through.
        let (after_ns, event) = if after_ns < MS { (after_ns, Event::Due(kind)) } else { (MS, Event::Look(kind)) };
        self.events.push(Reverse((now_ns + after_ns, event)));
    }

    fn uniform(&mut self) -> f64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        ((self.seed >> 11) as f64 + 1.0) / (1u64 << 53) as f64
    }
}
