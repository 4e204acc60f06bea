//! What the gate makes of overload, on a simulated core (docs/adr/0012-admission.md). Bounds are those promised of a real one;
//! `cargo test -p gannet-engine overload -- --nocapture` prints the figures.
#![expect(clippy::print_stdout, reason = "the figures are what a reader of the record wants to see again")]

use super::{
    super::*,
    simulator::{COSTLY, Clients, Costs, MS, ORDINARY, Outcome, Simulation, capped, percentile_us},
};

// Ordinary load, then overload, then ordinary load again.
const OVERLOAD_NS: u64 = 300 * MS;
const STEADY_NS: u64 = OVERLOAD_NS + 100 * MS;
const OVER_NS: u64 = 900 * MS;
const NORMAL_NS: u64 = OVER_NS + 50 * MS;
const END_NS: u64 = 1200 * MS;

/// 0.8 of the capacity before and after, `N` tenths of it in between.
fn step<const N: u32>(now_ns: u64) -> f64 {
    if (OVERLOAD_NS..OVER_NS).contains(&now_ns) { f64::from(N) / 10.0 } else { 0.8 }
}

/// The same beside 0.5 of critical requests.
fn step_beside<const N: u32>(now_ns: u64) -> f64 {
    if (OVERLOAD_NS..OVER_NS).contains(&now_ns) { f64::from(N) / 10.0 - 0.5 } else { 0.3 }
}

fn clients(criticality: Criticality, connections: usize, offers: fn(u64) -> f64) -> Clients {
    Clients { criticality, connections, offers, grain_ns: 1, budget_ns: None }
}

/// What came of a kind of clients, in the terms of the promises.
#[derive(Debug)]
struct Figures {
    /// Share of the capacity, in steady overload.
    goodput: f64,
    /// The p99 of those answered in steady overload, as a multiple of that at 0.8 of the capacity.
    slower: f64,
    /// From 50 ms after the overload on: the share of requests that were refused, could not be sent or took long.
    bad_after: f64,
    lost: usize,
    /// The p99 of those answered in steady overload.
    waits_us: f64,
}

fn figures(outcome: &Outcome, costs: Costs, usual_p99_us: f64) -> Figures {
    let bad = |took_ns: u64| took_ns as f64 > 2000.0 * usual_p99_us;
    let after = |what: &[(u64, u64)], of: &dyn Fn(u64) -> bool| {
        what.iter().filter(|(at, took)| at - took > NORMAL_NS && of(*took)).count() as f64
    };
    let unsent = outcome.unsent.iter().filter(|at| **at > NORMAL_NS).count() as f64;
    let refused = after(&outcome.refusals, &|_| true);
    let answered = after(&outcome.answers, &|_| true);
    let waits_us = percentile_us(&outcome.answers, 99.0, STEADY_NS, OVER_NS);
    Figures {
        waits_us,
        goodput: outcome.goodput(STEADY_NS, OVER_NS) / costs.capacity(),
        slower: waits_us / usual_p99_us,
        bad_after: (unsent + refused + after(&outcome.answers, &bad)) / (unsent + refused + answered),
        lost: outcome.refusals.len() + outcome.unsent.len(),
    }
}

fn run(name: &str, costs: Costs, kinds: &[Clients]) -> Vec<Figures> {
    let usual = [clients(Criticality::Default, 256, |_| 0.8)];
    let usual = &Simulation::new(AdmissionConfig::default(), costs, &usual, 7).run(OVER_NS)[0];
    let usual_p99_us = percentile_us(&usual.answers, 99.0, STEADY_NS, OVER_NS);
    let outcomes = Simulation::new(AdmissionConfig::default(), costs, kinds, 1).run(END_NS);
    let all: Vec<Figures> = outcomes.iter().map(|outcome| figures(outcome, costs, usual_p99_us)).collect();
    for ((kind, of), outcome) in kinds.iter().zip(&all).zip(&outcomes) {
        println!(
            "{name:14} {:5} {:9} goodput {:.3}, p99 {:5.0} us ({:4.2} x usual), p99 of 429 {:6.1} ms, lost {:7}, bad after 50 ms {:.4}",
            kind.connections,
            kind.criticality.label(),
            of.goodput,
            of.slower * usual_p99_us,
            of.slower,
            percentile_us(&outcome.refusals, 99.0, STEADY_NS, OVER_NS) / 1000.0,
            of.lost,
            of.bad_after,
        );
    }
    all
}

/// Goodput at least `goodput`, the tail of the admitted at most twice the usual, and back to normal after 50 ms.
#[track_caller]
fn check(name: &str, costs: Costs, connections: usize, offers: fn(u64) -> f64, goodput: f64) {
    let of = &run(name, costs, &[clients(Criticality::Default, connections, offers)])[0];
    assert!(of.goodput >= goodput, "{of:?}");
    assert!(of.slower <= 2.0, "{of:?}");
    assert!(of.bad_after <= 0.02, "{of:?}");
}

#[test]
fn usual_load_is_left_alone() {
    let of = &run("usual", ORDINARY, &[clients(Criticality::Default, 256, |_| 0.8)])[0];
    assert_eq!(of.lost, 0, "{of:?}");
    let of = &run("usual, costly", COSTLY, &[clients(Criticality::Default, 256, |_| 0.7)])[0];
    assert_eq!(of.lost, 0, "{of:?}");
}

#[test]
fn goodput_holds_when_everything_is_offered_and_more() {
    for connections in [256, 2000] {
        // At the edge callers wait for about as long as nobody is refused for it, rather than that a few of them are.
        let of = &run("1 x", ORDINARY, &[clients(Criticality::Default, connections, step::<10>)])[0];
        assert!(of.goodput >= 0.88 && of.waits_us <= 1500.0 && of.bad_after <= 0.02, "{of:?}");
        check("2 x", ORDINARY, connections, step::<20>, 0.90);
        check("10 x", ORDINARY, connections, step::<100>, 0.90);
    }
}

/// Those who are held when the overload ends are told in the time that usual load leaves, a tenth of a core here: two thousand take longer.
#[test]
fn goodput_holds_on_a_core_that_a_quota_stops_half_of_the_time() {
    for (connections, bad_after) in [(256, 0.02), (2000, 0.04)] {
        for (name, offers) in [("2 x, capped", step::<20> as fn(u64) -> f64), ("10 x, capped", step::<100>)] {
            let clients = [clients(Criticality::Default, connections, offers)];
            let of = &run(name, capped(ORDINARY), &clients)[0];
            assert!(of.goodput >= 0.90 && of.slower <= 2.0 && of.bad_after <= bad_after, "{of:?}");
        }
    }
}

/// A machine that stood still for 10 ms brings all at once what it kept back. The core has a fifth of its time to spare: it works that off.
#[test]
fn a_stall_at_usual_load_is_over_soon() {
    let stall = |now_ns: u64| match now_ns / MS {
        500..510 => 0.0,
        510 => 8.8,
        _ => 0.8,
    };
    for connections in [256, 2000] {
        let clients = [clients(Criticality::Default, connections, stall)];
        let outcome = &Simulation::new(AdmissionConfig::default(), ORDINARY, &clients, 1).run(END_NS)[0];
        let last = |what: &[(u64, u64)], longer_than_ns| {
            let late = what.iter().filter(|(_, took)| *took > longer_than_ns).map(|(at, _)| at / MS).max();
            late.unwrap_or_default()
        };
        let (slow, refused) = (last(&outcome.answers, 2 * MS), last(&outcome.refusals, 0));
        println!("stall over {connections}: the last slow answer at {slow} ms, the last refusal at {refused} ms");
        assert!(slow < 590 && refused < 590, "{slow} {refused}");
    }
}

/// A client with more to do than a core can sends what it has saved up in bursts. None of it may make the core idle, or the next
/// burst meets a core that can do no more than a turn.
#[test]
fn goodput_holds_when_clients_send_in_bursts() {
    for connections in [256, 2000] {
        for (name, offers) in [("2 x, bursts", step::<20> as fn(u64) -> f64), ("10 x, bursts", step::<100>)] {
            let clients = Clients { grain_ns: MS / 5, ..clients(Criticality::Default, connections, offers) };
            let of = &run(name, ORDINARY, &[clients])[0];
            assert!(of.goodput >= 0.85 && of.waits_us <= 3000.0, "{of:?}");
        }
    }
}

/// Who is answered is answered in time, by the client's clock, but for what is on the wire and in the kernel at that moment; and
/// telling those who are too late does not cost the others their answers.
#[test]
fn budgets_are_kept_under_overload() {
    for (name, costs, budget_ns) in [("ordinary", ORDINARY, 2 * MS), ("costly", COSTLY, 10 * MS)] {
        for connections in [256, 2000] {
            let budget_ns = Some(budget_ns);
            let kinds = [Clients { budget_ns, ..clients(Criticality::Default, connections, step::<100>) }];
            let of = &run(&format!("10 x, {name}, budget"), costs, &kinds)[0];
            let outcome = &Simulation::new(AdmissionConfig::default(), costs, &kinds, 1).run(END_NS)[0];
            let late = outcome.answers.iter().filter(|(_, took)| Some(*took) > budget_ns).count();
            println!("{name} over {connections}: {late} late of {}", outcome.answers.len());
            assert!(late * 1000 <= outcome.answers.len() && of.goodput >= 0.85, "{late} {of:?}");
        }
    }
}

#[test]
fn goodput_holds_where_answers_are_dear_and_refusals_cheap() {
    for connections in [256, 2000] {
        check("1 x, costly", COSTLY, connections, step::<10>, 0.90);
        check("2 x, costly", COSTLY, connections, step::<20>, 0.90);
    }
    check("10 x, costly", COSTLY, 256, step::<100>, 0.90);
}

#[test]
fn critical_requests_at_half_of_capacity_lose_nothing() {
    for connections in [256, 2000] {
        for (name, offers) in [("2 x", step_beside::<20> as fn(u64) -> f64), ("10 x", step_beside::<100>)] {
            for (suffix, costs, slower) in [("", ORDINARY, 2.0), (", costly", COSTLY, 3.5)] {
                let critical = clients(Criticality::Critical, 256, |_| 0.5);
                let kinds = [clients(Criticality::Default, connections, offers), critical];
                let all = run(&format!("{name}{suffix}"), costs, &kinds);
                assert_eq!(all[1].lost, 0, "{all:?}");
                assert!(all[0].goodput + all[1].goodput >= 0.85, "{all:?}");
                assert!(all.iter().all(|of| of.slower <= slower), "{all:?}");
            }
        }
    }
}

#[test]
fn classes_are_shed_from_the_least_critical_on() {
    let kind = |criticality, offers| clients(criticality, 256, offers);
    // 0.9 in all: more than sheddable requests may bring a core to, less than others may.
    let all = run("0.3 each", ORDINARY, &Criticality::ALL.map(|c| kind(c, |_| 0.3)));
    assert_eq!((all[0].lost, all[1].lost), (0, 0), "{all:?}");
    assert!(all[2].lost > 0 && all[2].goodput > 0.1, "{all:?}");
    // 1.8 in all: what is left beside critical ones goes to the default ones.
    let all = run("0.6 each", ORDINARY, &Criticality::ALL.map(|c| kind(c, |_| 0.6)));
    assert_eq!(all[0].lost, 0, "{all:?}");
    assert!(all[1].goodput > 0.25 && all[2].goodput < 0.02, "{all:?}");
}
