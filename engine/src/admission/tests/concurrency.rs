use super::super::Concurrency;

#[test]
fn a_slot_refuses_beyond_its_limit_until_a_permit_is_dropped() {
    let keys = Concurrency::new([Some(2), None]);
    let first = keys.enter(0);
    let second = keys.enter(0);
    assert!(first.is_some() && second.is_some());
    assert!(keys.enter(0).is_none());
    assert_eq!(keys.in_progress(0), 2);
    drop(first);
    assert_eq!(keys.in_progress(0), 1);
    assert!(keys.enter(0).is_some(), "and that permit is dropped at once");
    drop(second);
    assert_eq!(keys.in_progress(0), 0);
}

#[test]
fn slots_do_not_count_for_each_other() {
    let keys = Concurrency::new([Some(1), Some(1)]);
    let first = keys.enter(0);
    assert!(keys.enter(1).is_some());
    assert!(keys.enter(0).is_none());
    drop(first);
}

#[test]
fn without_a_limit_it_counts_and_never_refuses() {
    let keys = Concurrency::new([None]);
    let permits: Vec<_> = (0..1000).map(|_| keys.enter(0)).collect();
    assert!(permits.iter().all(Option::is_some));
    assert_eq!(keys.in_progress(0), 1000);
}

#[test]
fn a_slot_that_does_not_exist_is_not_limited() {
    let keys = Concurrency::new([Some(1)]);
    assert!(keys.enter(7).is_some());
    assert_eq!(keys.in_progress(7), 0);
}

#[test]
fn a_permit_outlives_the_table_that_a_reload_replaced() {
    let mut keys = Concurrency::new([Some(1)]);
    let permit = keys.enter(0);
    keys = Concurrency::new([Some(1)]);
    drop(permit);
    assert_eq!(keys.in_progress(0), 0);
}
