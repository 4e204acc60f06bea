use std::sync::Arc;

use super::super::*;

const US: u64 = 1000;
const MS: u64 = 1000 * US;

fn ask(criticality: Criticality) -> Ask {
    Ask { seen_ns: 0, criticality, budget_ns: None }
}

fn rested(rested_ns: u64) -> Option<Idle> {
    Some(Idle { rested_ns, delayed_ns: 0 })
}

/// A core with connections that always have a request, but for those that are held.
struct Core {
    gate: Gate<u32>,
    now_ns: u64,
    criticality: Criticality,
    free: Vec<u32>,
}

impl Core {
    /// One that has been full for 100 ms with many times what it can do, all of one class.
    fn overloaded(config: AdmissionConfig, criticality: Criticality) -> Self {
        let gate = Gate::new(config, Arc::default(), 0);
        let mut core = Self { gate, now_ns: 0, criticality, free: (0..256).collect() };
        while core.now_ns < 100 * MS {
            core.turn(&mut Vec::new());
        }
        core.gate.turn_began(core.now_ns, rested(0));
        core
    }

    /// A turn that takes as long as what was decided costs.
    fn turn(&mut self, decisions: &mut Vec<Decision>) {
        let Self { gate, now_ns, criticality, free } = self;
        let first = decisions.len();
        gate.turn_began(*now_ns, rested(0));
        free.retain(|connection| {
            decisions.push(gate.decide(*now_ns, *connection, ask(*criticality)));
            decisions.last() != Some(&Decision::Hold)
        });
        let mut released = Vec::new();
        gate.release(*now_ns, |_| true, &mut released);
        for (connection, decision) in released {
            free.push(connection);
            decisions.push(decision);
        }
        let cost_ns = |decision: &Decision| match decision {
            Decision::Admit => 8 * US,
            Decision::Shed { .. } => 6 * US,
            Decision::Hold => 2 * US,
        };
        *now_ns += decisions[first..].iter().map(cost_ns).sum::<u64>().max(US);
    }

    fn decide(&mut self, criticality: Criticality) -> Decision {
        self.gate.decide(self.now_ns, 1000, ask(criticality))
    }
}

#[test]
fn a_core_with_room_admits_everybody() {
    let mut gate = Gate::new(AdmissionConfig::default(), Arc::default(), 0);
    for turn in 0..1000 {
        let now_ns = turn * 100 * US;
        gate.turn_began(now_ns, rested(60 * US));
        for criticality in Criticality::ALL {
            assert_eq!(gate.decide(now_ns, 1, ask(criticality)), Decision::Admit);
        }
    }
    assert!((0.39..0.41).contains(&gate.utilization()), "{}", gate.utilization());
}

/// Answers were dear and are cheap now. Nobody who can come back later is admitted while all are thought too dear, so nothing is learnt
/// from answers: that the core is idle has to suffice.
#[test]
fn a_core_that_is_wrong_about_costs_finds_out() {
    let mut gate: Gate<u32> = Gate::new(AdmissionConfig::default(), Arc::default(), 0);
    let mut now_ns = 0;
    let wants = |budget_ns| Ask { seen_ns: 0, criticality: Criticality::Sheddable, budget_ns };
    for _ in 0..1000 {
        gate.turn_began(now_ns, rested(0));
        gate.decide(now_ns, 1, ask(Criticality::Default));
        gate.decide(now_ns, 2, wants(None));
        gate.release(now_ns, |_| false, &mut Vec::new());
        now_ns += 2 * MS;
    }
    let mut admitted = 0;
    for _ in 0..1000 {
        now_ns += MS;
        gate.turn_began(now_ns, rested(MS - 20 * US));
        let asks = Ask { seen_ns: now_ns, ..wants(Some(1500 * US)) };
        admitted += u32::from(gate.decide(now_ns, 3, asks) == Decision::Admit);
        gate.release(now_ns, |_| false, &mut Vec::new());
    }
    assert!(admitted > 850, "within 0.15 s: {admitted}");
}

/// Callers who reset their connections while they are held cost nothing when their turn comes.
#[test]
fn who_is_gone_takes_nobodys_turn() {
    let Core { mut gate, now_ns, .. } = Core::overloaded(AdmissionConfig::default(), Criticality::Default);
    let mut held = 0;
    for connection in 1000..2000 {
        held += u32::from(gate.decide(now_ns, connection, ask(Criticality::Default)) == Decision::Hold);
    }
    assert!(held > 900, "{held}");
    let (mut released, mut turns) = (Vec::new(), 0);
    while gate.holds() {
        turns += 1;
        gate.turn_began(now_ns + turns * 50 * US, rested(40 * US));
        gate.release(now_ns + turns * 50 * US, |connection| connection == 1500, &mut released);
        assert!(turns < 20);
    }
    assert_eq!(released.iter().map(|(connection, _)| *connection).collect::<Vec<_>>(), [1500]);
}

/// They go before all others, but a turn of theirs ends as well.
#[test]
fn a_turn_of_critical_requests_ends() {
    let mut gate: Gate<u32> = Gate::new(AdmissionConfig::default(), Arc::default(), 0);
    gate.turn_began(10 * MS, rested(10 * MS));
    let admit = |n| gate.decide(10 * MS, n, ask(Criticality::Critical)) == Decision::Admit;
    assert_eq!((0..1000).map(admit).filter(|admitted| *admitted).count(), 400);
}

/// One caller, on a core that others use: its requests take long, but none waits for another.
#[test]
fn a_caller_who_is_alone_is_never_shed() {
    let mut gate: Gate<u32> = Gate::new(AdmissionConfig::default(), Arc::default(), 0);
    for turn in 1..2000 {
        let now_ns = turn * 100 * US;
        gate.turn_began(now_ns, rested(5 * US));
        assert_eq!(gate.decide(now_ns, 1, ask(Criticality::Sheddable)), Decision::Admit);
        gate.release(now_ns, |_| true, &mut Vec::new());
    }
    assert!(gate.utilization() > 0.9);
}

/// They fill the core for a while, but none of them waits for long: who is held behind them is no reason to shed them.
#[test]
fn a_burst_of_critical_requests_is_not_shed_for_those_held_behind_it() {
    let mut core = Core::overloaded(AdmissionConfig::default(), Criticality::Default);
    for _ in 0..200 {
        core.gate.turn_began(core.now_ns, rested(0));
        for _ in 0..64 {
            assert_eq!(core.decide(Criticality::Critical), Decision::Admit);
        }
        core.now_ns += 64 * 8 * US;
    }
}

#[test]
fn a_request_that_would_be_late_for_its_budget_is_refused_although_there_is_room() {
    let mut gate = Gate::new(AdmissionConfig::default(), Arc::default(), 0);
    gate.turn_began(10 * MS, rested(10 * MS));
    let mut decide = |age_ns, budget_ns| {
        let ask = Ask { seen_ns: 10 * MS - age_ns, criticality: Criticality::Default, budget_ns: Some(budget_ns) };
        gate.decide(10 * MS, 1, ask)
    };
    assert_eq!(decide(0, MS), Decision::Admit);
    assert!(matches!(decide(2 * MS, MS), Decision::Shed { reason: Reason::Budget, .. }), "too old already");
    assert!(matches!(decide(0, US), Decision::Shed { reason: Reason::Budget, .. }), "shorter than an answer takes");
    for _ in 0..20 {
        decide(0, MS);
    }
    assert!(matches!(decide(0, 100 * US), Decision::Shed { reason: Reason::Budget, .. }), "too many before it");
}

#[test]
fn an_overloaded_core_sheds_its_class_and_says_when_to_come_back() {
    for criticality in Criticality::ALL {
        let mut core = Core::overloaded(AdmissionConfig::default(), criticality);
        let mut decisions = Vec::new();
        while core.now_ns < 2000 * MS {
            core.turn(&mut decisions);
        }
        let mut seconds = [0u32; 8];
        for decision in decisions {
            if let Decision::Shed { reason, retry_after_s } = decision {
                assert_eq!(reason, Reason::Capacity);
                seconds[retry_after_s as usize] += 1;
            }
        }
        let shed: u32 = seconds.iter().sum();
        assert!(shed > 1000, "{shed}");
        for (seconds, times) in seconds.into_iter().enumerate() {
            let spread = if (1..=3).contains(&seconds) { shed / 4..shed / 2 } else { 0..1 };
            assert!(spread.contains(&times), "{times} of {shed} are to come back in {seconds} s");
        }
    }
}

#[test]
fn less_critical_overload_leaves_more_critical_requests_alone() {
    let mut core = Core::overloaded(AdmissionConfig::default(), Criticality::Sheddable);
    assert_eq!(core.decide(Criticality::Default), Decision::Admit);
    let mut core = Core::overloaded(AdmissionConfig::default(), Criticality::Default);
    assert_eq!(core.decide(Criticality::Critical), Decision::Admit);
    let mut core = Core::overloaded(AdmissionConfig::default(), Criticality::Critical);
    let decisions: Vec<Decision> = (0..20).map(|_| core.decide(Criticality::Sheddable)).collect();
    assert!(!decisions.contains(&Decision::Admit), "{decisions:?}");
}

/// A full core whose callers hardly wait sheds the sheddable only. As long as there are none, hardly anybody is asked.
#[test]
fn on_a_full_core_few_are_asked_until_one_can_come_back_later() {
    let mut gate: Gate<u32> = Gate::new(AdmissionConfig::default(), Arc::default(), 0);
    let mut turn = |nth: u64, criticality| {
        let now_ns = nth * 80 * US;
        gate.turn_began(now_ns, rested(0));
        let (mut asked, mut refused) = (0, 0);
        for _ in 0..10 {
            if gate.is_calm() {
                gate.admit_quietly(now_ns);
            } else {
                asked += 1;
                refused += u32::from(gate.decide(now_ns, 1, ask(criticality)) != Decision::Admit);
            }
        }
        gate.release(now_ns, |_| true, &mut Vec::new());
        (asked, refused)
    };
    let sum = |all: Vec<(u32, u32)>| all.into_iter().fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
    for nth in 0..1000 {
        turn(nth, Criticality::Default);
    }
    let (asked, refused) = sum((1000..2000).map(|nth| turn(nth, Criticality::Default)).collect());
    assert!((600..=650).contains(&asked) && refused == 0, "{asked} {refused}");
    // From the second turn at the latest all of them are.
    turn(2000, Criticality::Sheddable);
    turn(2001, Criticality::Sheddable);
    let (asked, refused) = turn(2002, Criticality::Sheddable);
    assert!(asked == 10 && refused > 0, "{asked} {refused}");
    // A second after the last of them it is as before.
    for nth in 2003..2100 {
        assert_eq!(turn(nth, Criticality::Default).0, 10);
    }
    for nth in 20_000..21_000 {
        turn(nth, Criticality::Default);
    }
    let (asked, _) = sum((21_000..22_000).map(|nth| turn(nth, Criticality::Default)).collect());
    assert!((600..=660).contains(&asked), "{asked}");
}

#[test]
fn what_is_held_is_named_once() {
    let Core { mut gate, mut now_ns, .. } = Core::overloaded(AdmissionConfig::default(), Criticality::Default);
    let mut released = Vec::new();
    while gate.holds() {
        now_ns += MS;
        gate.turn_began(now_ns, rested(MS));
        gate.release(now_ns, |_| true, &mut released);
    }
    let mut names: Vec<u32> = released.iter().map(|(connection, _)| *connection).collect();
    names.sort_unstable();
    names.dedup();
    assert!(!names.is_empty() && names.len() == released.len(), "{released:?}");
    assert!(released.iter().all(|(_, decision)| *decision != Decision::Hold));
}

#[test]
fn what_is_held_when_overload_ends_is_answered() {
    let Core { mut gate, mut now_ns, .. } = Core::overloaded(AdmissionConfig::default(), Criticality::Default);
    // Long enough for the load to be forgotten, so that what is held is no longer being shed.
    now_ns += 1000 * MS;
    gate.turn_began(now_ns, rested(1000 * MS));
    assert!(gate.holds());
    let mut released = Vec::new();
    while gate.holds() {
        now_ns += MS;
        gate.turn_began(now_ns, rested(MS / 2));
        gate.release(now_ns, |_| true, &mut released);
    }
    assert!(released.iter().all(|(_, decision)| *decision == Decision::Admit), "{released:?}");
}

#[test]
fn a_burst_on_an_idle_core_is_taken_up_in_several_turns_and_nobody_is_refused() {
    let mut gate = Gate::new(AdmissionConfig::default(), Arc::default(), 0);
    gate.turn_began(100 * MS, rested(100 * MS));
    let decisions: Vec<Decision> = (0..300).map(|n| gate.decide(100 * MS, n, ask(Criticality::Default))).collect();
    let admitted = decisions.iter().filter(|d| **d == Decision::Admit).count();
    assert_eq!(admitted, 100, "what a turn takes on in any case, at the first guess of 8 us each");
    assert_eq!(gate.decide(100 * MS, 300, ask(Criticality::Critical)), Decision::Admit);
    let (mut released, mut now_ns) = (Vec::new(), 100 * MS + 500 * US);
    while gate.holds() {
        gate.turn_began(now_ns, rested(0));
        let before = released.len();
        gate.release(now_ns, |_| true, &mut released);
        now_ns += 8 * US * ((released.len() - before) as u64).max(1);
    }
    assert_eq!(admitted + released.len(), 300);
    assert!(released.iter().all(|(_, decision)| *decision == Decision::Admit));
    assert!(now_ns < 105 * MS, "{now_ns}");
}

#[test]
fn what_was_held_beyond_its_budget_is_refused_a_few_at_a_time() {
    let mut gate = Gate::new(AdmissionConfig::default(), Arc::default(), 0);
    gate.turn_began(100 * MS, rested(100 * MS));
    for connection in 0..1000 {
        let ask = Ask { seen_ns: 100 * MS, criticality: Criticality::Default, budget_ns: Some(2 * MS) };
        gate.decide(100 * MS, connection, ask);
    }
    let (mut released, mut now_ns) = (Vec::new(), 110 * MS);
    while gate.holds() {
        let before = released.len();
        gate.turn_began(now_ns, rested(0));
        gate.release(now_ns, |_| true, &mut released);
        assert!(released.len() - before < 30, "{} at once", released.len() - before);
        now_ns += 100 * US;
    }
    assert!(released.iter().all(|(_, d)| matches!(d, Decision::Shed { reason: Reason::Budget, .. })), "{released:?}");
}

/// Held connections are told in turn, but whoever cannot be met any more before all others: those still can.
#[test]
fn who_is_late_is_told_first() {
    let within = |budget_ns| Ask { seen_ns: 100 * MS, criticality: Criticality::Default, budget_ns };
    let first_told = |late: Ask| {
        let Core { mut gate, now_ns, .. } = Core::overloaded(AdmissionConfig::default(), Criticality::Default);
        for connection in 1000..6000 {
            let ask = if connection == 5000 { late } else { within(None) };
            gate.decide(now_ns, connection, ask);
        }
        let mut released = Vec::new();
        gate.turn_began(now_ns + 3 * MS, rested(0));
        gate.release(now_ns + 3 * MS, |_| true, &mut released);
        assert!(released.len() < 100, "{}", released.len());
        released.into_iter().find(|(_, decision)| matches!(decision, Decision::Shed { .. })).unwrap()
    };
    let check = |late, expected: Reason, is_first| {
        let (connection, decision) = first_told(late);
        assert!(matches!(decision, Decision::Shed { reason, .. } if reason == expected), "{decision:?}");
        assert_eq!(connection == 5000, is_first, "{connection}");
    };
    check(within(None), Reason::Capacity, false);
    check(within(Some(10 * MS)), Reason::Capacity, false);
    check(within(Some(2 * MS)), Reason::Budget, true); // its budget ended while it was held
    check(within(Some(0)), Reason::Budget, true); // late when it came, and no time to tell it
}

/// There is no place for another connection, so that of somebody who is held is given up.
#[test]
fn who_is_pushed_out_is_late_or_the_least_critical_and_was_held_longest() {
    let never = Mark { enter_percent: 0, leave_percent: 0, limit_percent: 0 };
    let config = AdmissionConfig {
        critical: never,
        default: never,
        sheddable: never,
        queue_time_min: std::time::Duration::ZERO,
        refusal_percent: 0,
        refusal_percent_held: 0,
        ..AdmissionConfig::default()
    };
    let mut gate = Gate::new(config, Arc::default(), 0);
    gate.turn_began(MS, rested(0));
    let [critical, default, sheddable] = Criticality::ALL.map(ask);
    let late = Ask { budget_ns: Some(US), ..critical };
    for (connection, ask) in (0..).zip([critical, default, sheddable, sheddable, default, late, critical]) {
        assert_eq!(gate.decide(MS, connection, ask), Decision::Hold, "{connection}");
    }
    let out: Vec<u32> = std::iter::from_fn(|| gate.push_out(|connection| connection != 2)).collect();
    assert_eq!(out, [5, 3, 1, 4, 0, 6]);
    assert!(!gate.holds());
}

#[test]
fn a_gate_that_is_off_admits_everybody_and_still_measures() {
    let config = AdmissionConfig { enabled: false, ..AdmissionConfig::default() };
    let mut core = Core::overloaded(config, Criticality::Sheddable);
    assert_eq!(core.decide(Criticality::Sheddable), Decision::Admit);
    assert!(!core.gate.holds());
    assert!(core.gate.utilization() > 0.95, "{}", core.gate.utilization());
}

#[test]
fn its_metrics_say_what_it_did() {
    let metrics = Arc::new(AdmissionMetrics::default());
    let mut gate = Gate::new(AdmissionConfig::default(), Arc::clone(&metrics), 0);
    gate.turn_began(MS, rested(0));
    let late = Ask { budget_ns: Some(1), ..ask(Criticality::Critical) };
    assert!(matches!(gate.decide(MS, 1, late), Decision::Shed { .. }));
    assert_eq!(gate.decide(MS, 1, ask(Criticality::Default)), Decision::Admit);
    let retry_after_s = gate.refused_further_on(Criticality::Default, Reason::KeyConcurrency);
    assert!((1..=3).contains(&retry_after_s));
    gate.operation();
    gate.set_aside(5, Some(MS / 2));
    gate.turn_began(2 * MS, rested(0));
    let mut lines = Vec::new();
    metrics.samples(&mut |sample| lines.push((sample.name, sample.label.map(|(_, value)| value), sample.value)));
    assert!(lines.contains(&("gannet_shed_critical_total", Some("budget"), 1.0)), "{lines:?}");
    assert!(lines.contains(&("gannet_shed_default_total", Some("key_concurrency"), 1.0)), "{lines:?}");
    assert!(lines.contains(&("gannet_admission_in_progress", None, 7.0)), "{lines:?}");
    assert!(lines.contains(&("gannet_admission_oldest_seconds", None, 0.002)), "of the turn, seen at 0: {lines:?}");
    let oldest = |gate: &mut Gate<u32>, now_ns| {
        gate.turn_began(now_ns, rested(0));
        let mut oldest = None;
        metrics.samples(&mut |sample| {
            oldest = (sample.name == "gannet_admission_oldest_seconds").then_some(sample.value).or(oldest)
        });
        oldest.unwrap()
    };
    assert_eq!(oldest(&mut gate, 3 * MS), 0.0025, "of those set aside, seen at half a millisecond");
    gate.set_aside(0, None);
    assert_eq!(oldest(&mut gate, 4 * MS), 0.0);
    assert!(!lines.iter().any(|(name, ..)| *name == "gannet_shed_sheddable_total"), "{lines:?}");
}

/// A full core with few callers, each of which asks again only when it was answered: nobody waits long, so nobody is refused but
/// those who can come back later.
#[test]
fn a_full_core_whose_callers_hardly_wait_refuses_only_what_can_come_back_later() {
    let run = |callers: u32, criticality| {
        let mut core = Core {
            gate: Gate::new(AdmissionConfig::default(), Arc::default(), 0),
            now_ns: 0,
            criticality,
            free: (0..callers).collect(),
        };
        let mut decisions = Vec::new();
        while core.now_ns < 200 * MS {
            core.turn(&mut decisions);
        }
        decisions.iter().filter(|decision| matches!(decision, Decision::Shed { .. })).count()
    };
    assert_eq!(run(32, Criticality::Default), 0);
    assert_eq!(run(32, Criticality::Critical), 0);
    assert!(run(32, Criticality::Sheddable) > 0);
    assert!(run(256, Criticality::Default) > 0);
}

/// More critical requests fill every turn: whoever is held for that is told so in the end.
#[test]
fn nobody_is_held_for_ever() {
    let config = AdmissionConfig::default();
    let mut gate = Gate::new(config, Arc::default(), 0);
    let mut released = Vec::new();
    let mut now_ns = 10 * MS;
    gate.turn_began(now_ns, rested(10 * MS));
    let fill = |gate: &mut Gate<u32>, now_ns: u64| {
        for connection in 0..100 {
            assert_eq!(gate.decide(now_ns, connection, ask(Criticality::Critical)), Decision::Admit);
        }
    };
    fill(&mut gate, now_ns);
    assert_eq!(gate.decide(now_ns, 1000, ask(Criticality::Default)), Decision::Hold);
    let held_ns = now_ns;
    while released.is_empty() {
        now_ns += 2 * MS;
        gate.turn_began(now_ns, rested(MS)); // half idle, and every turn is a burst
        fill(&mut gate, now_ns);
        gate.release(now_ns, |_| true, &mut released);
        assert!(now_ns - held_ns < 1000 * MS, "held for a second");
    }
    assert_eq!(released[0].0, 1000);
}
