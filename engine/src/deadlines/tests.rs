use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1000 * MS;

fn expired(wheel: &mut Deadlines<u32>, now_ns: u64) -> Vec<u32> {
    let mut out = Vec::new();
    wheel.expire(now_ns, &mut out);
    out.sort_unstable();
    out
}

/// Armed at `start_ns`, a deadline fires when it is due and not a nanosecond earlier, and `next_ns` is within a tick of it.
#[track_caller]
fn check(start_ns: u64, at_ns: u64) {
    let mut wheel = Deadlines::new(start_ns);
    wheel.arm(at_ns, 7);
    let next_ns = wheel.next_ns().unwrap();
    if at_ns > start_ns {
        assert!(next_ns >= at_ns && next_ns - at_ns < TICK_NS, "{next_ns} for {at_ns}");
        assert_eq!(expired(&mut wheel, at_ns - 1), []);
        let next_ns = wheel.next_ns().unwrap();
        assert!(next_ns >= at_ns && next_ns - at_ns < TICK_NS, "{next_ns} for {at_ns}");
    } else {
        assert_eq!(next_ns, start_ns);
    }
    assert_eq!(expired(&mut wheel, at_ns.max(start_ns)), [7]);
    assert_eq!((wheel.len(), wheel.next_ns()), (0, None));
}

#[test]
fn a_deadline_fires_when_due_and_not_earlier() {
    for start_ns in [0, 1, TICK_NS - 1, TICK_NS, 12_345 * MS, 137 * SECOND - 1, (1 << 37) - 1, u64::MAX / 2] {
        check(start_ns, 0);
        check(start_ns, start_ns);
        for bits in 0..63 {
            for after_ns in [(1 << bits) - 1, 1 << bits, (1 << bits) + 1] {
                check(start_ns, start_ns + after_ns);
            }
        }
    }
}

#[test]
fn the_last_moment_of_all_can_be_armed() {
    check(0, u64::MAX);
    check(u64::MAX - 1, u64::MAX);
    check(u64::MAX, u64::MAX);
}

#[test]
fn a_stale_handle_finds_nothing() {
    let mut wheel = Deadlines::new(0);
    let fired = wheel.arm(MS, 1);
    assert_eq!(expired(&mut wheel, MS), [1]);
    assert_eq!(wheel.cancel(fired), None, "fired");
    let cancelled = wheel.arm(2 * MS, 2);
    assert_eq!(cancelled.index, fired.index, "the entry is used again");
    assert_eq!(wheel.cancel(fired), None, "another's entry");
    assert_eq!(wheel.cancel(cancelled), Some(2));
    assert_eq!(wheel.cancel(cancelled), None, "cancelled");
    assert_eq!((wheel.len(), wheel.next_ns()), (0, None));
    assert_eq!(wheel.cancel(Handle { index: 9, generation: 0 }), None, "never given");
}

#[test]
fn deadlines_of_one_moment_all_fire_and_any_of_them_can_be_cancelled() {
    for cancelled in 0..5 {
        let mut wheel = Deadlines::new(0);
        let handles: Vec<_> = (0..5u32).map(|value| wheel.arm(70 * MS, value)).collect();
        assert_eq!(wheel.cancel(handles[cancelled as usize]), Some(cancelled));
        let left: Vec<u32> = (0..5).filter(|value| *value != cancelled).collect();
        assert_eq!(expired(&mut wheel, 70 * MS), left);
    }
}

#[test]
fn deadlines_of_one_tick_fire_each_at_its_own_moment() {
    let mut wheel = Deadlines::new(0);
    wheel.arm(10 * TICK_NS + 5, 5);
    wheel.arm(10 * TICK_NS + 6, 6);
    assert_eq!(expired(&mut wheel, 10 * TICK_NS + 4), []);
    assert_eq!(expired(&mut wheel, 10 * TICK_NS + 5), [5]);
    assert_eq!(wheel.next_ns(), Some(11 * TICK_NS - 1), "one wake-up for the tick");
    assert_eq!(expired(&mut wheel, 11 * TICK_NS - 1), [6]);
}

#[test]
fn what_was_due_when_it_was_armed_can_be_cancelled() {
    let mut wheel = Deadlines::new(SECOND);
    let handle = wheel.arm(MS, 1);
    wheel.arm(MS, 2);
    assert_eq!(wheel.cancel(handle), Some(1));
    assert_eq!(wheel.next_ns(), Some(SECOND));
    assert_eq!(expired(&mut wheel, SECOND), [2]);
    assert_eq!(wheel.next_ns(), None);
}

#[test]
fn a_clock_far_ahead_fires_everything_and_the_wheel_goes_on() {
    let mut wheel = Deadlines::new(0);
    for (value, at_ns) in (0..).zip([0, MS, 40 * MS, 3 * SECOND, 200 * SECOND, 20_000 * SECOND]) {
        wheel.arm(at_ns, value);
    }
    assert_eq!(expired(&mut wheel, 10_000_000 * SECOND), [0, 1, 2, 3, 4, 5]);
    wheel.arm(10_000_000 * SECOND + MS, 6);
    assert_eq!(expired(&mut wheel, 10_000_000 * SECOND + MS), [6]);
}

#[test]
fn a_clock_that_goes_back_changes_nothing() {
    let mut wheel = Deadlines::new(SECOND);
    wheel.arm(2 * SECOND, 1);
    assert_eq!(expired(&mut wheel, MS), []);
    assert_eq!(expired(&mut wheel, 2 * SECOND - 1), []);
    assert_eq!(expired(&mut wheel, 2 * SECOND), [1]);
}

#[test]
fn a_cancelled_neighbour_costs_one_wake_up_and_no_more() {
    let mut wheel = Deadlines::new(0);
    let early = wheel.arm(3 * SECOND, 1);
    wheel.arm(4 * SECOND, 2); // the same slot of level 3
    wheel.cancel(early);
    let next_ns = wheel.next_ns().unwrap();
    assert!(next_ns < 4 * SECOND, "not yet known better");
    assert_eq!(expired(&mut wheel, next_ns), []);
    let next_ns = wheel.next_ns().unwrap();
    assert!((4 * SECOND..4 * SECOND + TICK_NS).contains(&next_ns));
}

#[test]
fn the_slab_does_not_grow_while_its_entries_suffice() {
    let mut wheel = Deadlines::new(0);
    for turn in 0..1000 {
        let handles: Vec<_> = (0..8u32).map(|value| wheel.arm(turn * MS + u64::from(value) * 300_000, value)).collect();
        for handle in &handles[4..] {
            wheel.cancel(*handle);
        }
        wheel.expire((turn + 2) * MS, &mut Vec::new());
    }
    assert_eq!(wheel.entries.len(), 8);
}

/// As many as ten thousand connections with ten requests each: all fire, in time and once, but for those that were cancelled.
#[test]
fn a_hundred_thousand_are_armed_at_once() {
    const ARMED: u32 = 100_000;
    let start_ns = 12_345 * SECOND + 678;
    let mut wheel = Deadlines::new(start_ns);
    let mut seed = 88_172_645_463_325_252_u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    // From 0.1 ms to a minute by magnitude, and one in eight at a moment that many share.
    let at_ns: Vec<u64> = (0..ARMED)
        .map(|value| start_ns + if value % 8 == 0 { 20 * MS } else { 100_000 + random() % (1 << (17 + random() % 19)) })
        .collect();
    let handles: Vec<Handle> = (0..).zip(&at_ns).map(|(value, at_ns)| wheel.arm(*at_ns, value)).collect();
    assert_eq!((wheel.len(), wheel.entries.len()), (ARMED as usize, ARMED as usize));
    let mut armed = vec![true; ARMED as usize];
    for value in (0..ARMED).filter(|value| value % 3 == 0) {
        assert_eq!(wheel.cancel(handles[value as usize]), Some(value));
        armed[value as usize] = false;
    }
    // As a core does: it sleeps until the wheel says so, and wakes up a little late.
    let (mut out, mut now_ns) = (Vec::new(), start_ns);
    while let Some(next_ns) = wheel.next_ns() {
        let before_ns = now_ns;
        now_ns = now_ns.max(next_ns) + random() % 1000;
        wheel.expire(now_ns, &mut out);
        for value in out.drain(..) {
            let at_ns = at_ns[value as usize];
            assert!(std::mem::take(&mut armed[value as usize]), "{value} fires once, and not if it was cancelled");
            assert!(
                before_ns < at_ns && at_ns <= now_ns,
                "{value}, due at {at_ns}, fires after {before_ns} at {now_ns}"
            );
            assert!(now_ns - at_ns <= TICK_NS + 1000, "{value}, due at {at_ns}, fires at {now_ns}");
        }
    }
    assert!(wheel.is_empty() && !armed.contains(&true));
    assert_eq!(wheel.entries.len(), ARMED as usize, "none was lost");
}

#[derive(Debug, Clone)]
enum Step {
    Arm {
        after_ns: i64,
    },
    Cancel {
        which: usize,
    },
    Advance {
        by_ns: u64,
    },
    /// As the shard does: sleep until `next_ns`.
    Follow,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // By magnitude, so that every level, ties and jumps over whole levels come up.
    let span = (0u32..42, any::<u64>()).prop_map(|(bits, n)| n & ((1 << bits) - 1));
    let after = prop_oneof![
        9 => span.clone().prop_map(|n| i64::try_from(n).unwrap()),
        1 => span.clone().prop_map(|n| -i64::try_from(n).unwrap()),
    ];
    let step = prop_oneof![
        6 => after.prop_map(|after_ns| Step::Arm { after_ns }),
        2 => any::<usize>().prop_map(|which| Step::Cancel { which }),
        2 => span.prop_map(|by_ns| Step::Advance { by_ns }),
        2 => Just(Step::Follow),
    ];
    proptest::collection::vec(step, 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Beside an ordered map, whatever is armed, cancelled and however time goes.
    #[test]
    fn behaves_as_an_ordered_map(start_ns in 0u64..1 << 45, steps in steps()) {
        let mut wheel = Deadlines::new(start_ns);
        let mut model: BTreeMap<(u64, u32), ()> = BTreeMap::new();
        let mut handles = Vec::new();
        let mut now_ns = start_ns;
        for step in steps {
            match step {
                Step::Arm { after_ns } => {
                    let at_ns = now_ns.saturating_add_signed(after_ns);
                    let value = u32::try_from(handles.len()).unwrap();
                    handles.push((wheel.arm(at_ns, value), at_ns));
                    model.insert((at_ns, value), ());
                }
                Step::Cancel { which } if !handles.is_empty() => {
                    let value = which % handles.len();
                    let (handle, at_ns) = handles[value];
                    let value = u32::try_from(value).unwrap();
                    prop_assert_eq!(wheel.cancel(handle).is_some(), model.remove(&(at_ns, value)).is_some());
                }
                Step::Cancel { .. } => {}
                Step::Advance { .. } | Step::Follow => {
                    now_ns = match step {
                        Step::Advance { by_ns } => now_ns + by_ns,
                        _ => wheel.next_ns().unwrap_or(now_ns).max(now_ns),
                    };
                    let later = model.split_off(&(now_ns + 1, 0));
                    let mut due: Vec<u32> = std::mem::replace(&mut model, later).into_keys().map(|(_, v)| v).collect();
                    due.sort_unstable();
                    prop_assert_eq!(expired(&mut wheel, now_ns), due);
                }
            }
            prop_assert_eq!(wheel.len(), model.len());
            match (wheel.next_ns(), model.keys().next()) {
                (None, None) => {}
                (Some(next_ns), Some((at_ns, _))) => prop_assert!(next_ns < (*at_ns).max(now_ns) + TICK_NS),
                other => prop_assert!(false, "{other:?}"),
            }
        }
        // Following `next_ns` ends, with a few wake-ups for each deadline at most.
        let mut wakes = 0;
        let armed = wheel.len();
        while let Some(next_ns) = wheel.next_ns() {
            let before_ns = now_ns;
            now_ns = now_ns.max(next_ns);
            let fired = expired(&mut wheel, now_ns).len();
            prop_assert!(fired > 0 || now_ns > before_ns, "a wake-up for nothing");
            wakes += 1;
            prop_assert!(wakes <= armed * LEVELS as usize);
        }
        prop_assert!(wheel.is_empty());
    }
}
