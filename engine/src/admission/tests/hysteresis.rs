//! When a class begins to be shed and when it no longer is: at marks that lie apart, so that load that hovers about one of them does not
//! make it flap.

use std::{sync::Arc, time::Duration};

use super::super::*;

const MS: u64 = 1_000_000;
/// What an answer and a turn are taken for at first; here they cost just that, so that nothing is learnt.
const ANSWER_NS: u64 = 8_000;
const TURN_NS: u64 = 5_000;

/// A core that is asked for a share of it in turns of a millisecond, of which each takes on all that came.
struct Core {
    gate: Gate<u64>,
    now_ns: u64,
    rested_ns: u64,
    /// What was asked for and is less than a request.
    rest_ns: u64,
}

impl Core {
    fn new() -> Self {
        let config = AdmissionConfig {
            queue_time_min: Duration::ZERO,     // that the core is full is enough
            window: Duration::from_millis(200), // so that what a turn finds at hand adds little: half a percent
            turn_answers: 1024,                 // however much is shed, credit suffices for all
            ..AdmissionConfig::default()
        };
        Self { gate: Gate::new(config, Arc::default(), 0), now_ns: 0, rested_ns: 0, rest_ns: 0 }
    }

    /// One more turn, with requests for `per_mille` of the core (a fraction is carried on); says whether default requests are being shed.
    fn turn(&mut self, per_mille: u64) -> bool {
        self.now_ns += MS;
        self.gate.turn_began(self.now_ns, Some(Idle { rested_ns: self.rested_ns, delayed_ns: 0 }));
        let sheds = (0..16).all(|_| !self.gate.is_calm()); // then each is asked; else at most one in sixteen
        let asked_ns = self.rest_ns + per_mille * MS / 1000;
        let requests = asked_ns / ANSWER_NS;
        self.rest_ns = asked_ns % ANSWER_NS;
        for connection in 0..requests {
            let ask = Ask { seen_ns: self.now_ns, criticality: Criticality::Default, budget_ns: None };
            assert_eq!(self.gate.decide(self.now_ns, connection, ask), Decision::Admit);
        }
        self.rested_ns = MS - requests * ANSWER_NS - TURN_NS;
        sheds
    }

    /// Ten windows of it: nothing is left of what was before.
    fn settle(&mut self, per_mille: u64) -> bool {
        (0..2000).map(|_| self.turn(per_mille)).last().unwrap()
    }
}

#[test]
fn a_class_is_shed_above_one_mark_until_it_is_below_another() {
    let mut core = Core::new();
    let mut check = |per_mille, sheds| assert_eq!(core.settle(per_mille), sheds, "at {per_mille} per mille");
    check(940, false);
    check(960, true);
    check(920, true);
    check(905, true);
    check(890, false);
    check(920, false);
    check(940, false);
    check(960, true);
}

/// Between the marks nothing changes, and at one of them noise can change it once.
#[test]
fn load_that_hovers_about_a_mark_does_not_flap() {
    let flips = |around: u64| {
        let mut core = Core::new();
        let mut sheds = core.settle(around);
        let (mut flips, mut seed) = (0, 88_172_645_463_325_252_u64);
        for _ in 0..400 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let per_mille = around - 20 + (seed >> 32) % 41;
            for _ in 0..50 {
                let before = std::mem::replace(&mut sheds, core.turn(per_mille));
                flips += u32::from(sheds != before);
            }
        }
        flips
    };
    for around in [895, 925, 945] {
        assert!(flips(around) <= 1, "around {around} per mille");
    }
}
