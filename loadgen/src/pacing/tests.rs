use super::*;
use crate::clock::NS_PER_MS;

/// The planned times of `steps`, each a rate and a length in milliseconds.
fn times(steps: &[(f64, u64)], spread: Spread, seed: u64) -> Vec<u64> {
    let step = |&(rate_per_s, ms): &(f64, u64)| Step { rate_per_s, length_ns: ms * NS_PER_MS };
    let mut schedule = Schedule::new(0, steps.iter().map(step).collect(), spread, seed);
    std::iter::from_fn(|| schedule.take_due(u64::MAX)).collect()
}

#[test]
fn equal_gaps_do_not_drift() {
    // A third of a second is no whole number of nanoseconds; an hour later the plan is still where it should be.
    let planned = times(&[(3.0, 3_600_000)], Spread::Constant, 0);
    assert_eq!(planned.len(), 3 * 3600);
    for (n, at) in planned.iter().enumerate() {
        let expected = n as u64 * NS_PER_S / 3;
        assert!(at.abs_diff(expected) <= 1, "request {n}: {at}, not {expected}");
    }
    assert_eq!(times(&[(130_000.0, 2000)], Spread::Constant, 0).len(), 260_000);
}

#[test]
fn a_time_is_given_when_it_has_come_and_not_before() {
    let mut schedule = Schedule::new(0, vec![Step { rate_per_s: 10.0, length_ns: NS_PER_S }], Spread::Constant, 0);
    assert_eq!(schedule.take_due(0), Some(0));
    assert_eq!(schedule.take_due(99_999_999), None);
    // After a pause every missed time is there, as planned.
    let missed: Vec<u64> = std::iter::from_fn(|| schedule.take_due(350_000_000)).collect();
    assert_eq!(missed, [100_000_000, 200_000_000, 300_000_000]);
    assert_eq!(schedule.take_due(400_000_000), Some(400_000_000));
    assert!(!schedule.is_over());
    assert_eq!(std::iter::from_fn(|| schedule.take_due(u64::MAX)).count(), 5);
    assert!(schedule.is_over());
}

#[test]
fn steps_follow_each_other_exactly() {
    let planned = times(&[(4.0, 1000), (0.0, 2000), (2.0, 1000)], Spread::Constant, 0);
    let ms: Vec<u64> = planned.iter().map(|at| at / 1_000_000).collect();
    assert_eq!(ms, [0, 250, 500, 750, 3000, 3500]);
    assert!(times(&[(0.0, 1000)], Spread::Poisson, 0).is_empty());
}

#[test]
fn poisson_arrivals_have_the_mean_and_the_spread_of_their_rate() {
    let planned = times(&[(1000.0, 100_000), (5000.0, 20_000)], Spread::Poisson, 7);
    let first = planned.iter().filter(|at| **at < 100 * NS_PER_S).count() as f64;
    // The count of a Poisson process varies by its square root; four of them and a fixed seed.
    assert!((first - 100_000.0).abs() < 4.0 * 100_000_f64.sqrt(), "{first}");
    let second = planned.len() as f64 - first;
    assert!((second - 100_000.0).abs() < 4.0 * 100_000_f64.sqrt(), "{second}");
    // Exponential gaps: a share of 1/e is longer than the mean; equal gaps have none.
    let gaps = planned.windows(2).map(|pair| pair[1] - pair[0]).take(100_000);
    let long = gaps.filter(|gap| *gap > 1_000_000).count() as f64 / first;
    assert!((long - (-1.0_f64).exp()).abs() < 0.01, "{long}");
}

#[test]
fn a_seed_fixes_the_plan() {
    let planned = |seed| times(&[(1000.0, 1000)], Spread::Poisson, seed);
    assert_eq!(planned(1), planned(1));
    assert_ne!(planned(1), planned(2));
}
