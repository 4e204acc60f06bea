use std::num::NonZeroU32;

use super::super::{InProgress, share_of};

fn n(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

#[test]
fn as_many_as_may_be_are_in_progress_until_a_permit_is_dropped() {
    let key = InProgress::default();
    let first = key.enter(n(2));
    let second = key.enter(n(2));
    assert!(first.is_some() && second.is_some());
    assert!(key.enter(n(2)).is_none());
    assert_eq!(key.count(), 2);
    drop(first);
    assert_eq!(key.count(), 1);
    assert!(key.enter(n(2)).is_some(), "and that permit is dropped at once");
    drop(second);
    assert_eq!(key.count(), 0);
}

#[test]
fn kinds_do_not_count_for_each_other_and_clones_do() {
    let (one, other) = (InProgress::default(), InProgress::default());
    let first = one.enter(n(1));
    assert!(other.enter(n(1)).is_some());
    assert!(one.clone().enter(n(1)).is_none());
    drop(first);
}

#[test]
fn a_limit_that_was_lowered_lets_nobody_in_until_enough_have_gone() {
    let key = InProgress::default();
    let permits: Vec<_> = (0..3).map(|_| key.enter(n(3))).collect();
    assert!(key.enter(n(1)).is_none());
    drop(permits);
    assert!(key.enter(n(1)).is_some());
}

#[test]
fn a_limit_of_the_process_is_shared_out_evenly_and_rounded_up() {
    let check = |max, cores, expected| assert_eq!(share_of(n(max), cores), n(expected), "{max} over {cores}");
    check(8, 4, 2);
    check(9, 4, 3);
    check(1, 4, 1);
    check(7, 1, 7);
    check(7, 0, 7);
    check(u32::MAX, 2, 1 << 31);
}
