//! Flushes and compactions that go on at the same time, and another process that publishes in between: in each order, step by step.

use super::{
    work::Lane,
    world::{Change, Violation, World},
    *,
};
use crate::disk::simulated::Choices;

/// One of several that follow each other.
type Step<'s> = &'s dyn Fn(&mut World) -> Result<(), Violation>;

/// A process whose tables have a base and a delta each, with a compaction handed out that is not begun.
pub(super) fn compacting() -> Result<World, Violation> {
    let mut world = World::new(Durability::Always, 3);
    world.start(false)?;
    for _ in 0..2 {
        write(&mut world)?;
        freeze(&mut world)?;
        flush(&mut world)?;
    }
    assert!(has(&world, Lane::Compact), "the delta is due");
    Ok(world)
}

/// A number more for two keys, and for one of them a delete before.
fn write(world: &mut World) -> Result<(), Violation> {
    world.pass(10);
    let now_us = world.now_us();
    let delete = Change { token: None, rows: vec![(2, now_us, None)] };
    let more =
        Change { token: None, rows: vec![(1, now_us, Some(1)), (2, now_us + 1, Some(10)), (3, now_us, Some(100))] };
    world.write(&[delete, more])?;
    world.check("a write")
}

fn freeze(world: &mut World) -> Result<(), Violation> {
    if let Some(process) = &mut world.process {
        process.recorder.wants_freeze = true;
    }
    world.turn()?;
    assert!(has(world, Lane::Flush), "the part before is gone");
    world.check("a freeze")
}

/// Does what is left of a flush, and goes on until the frozen part is gone.
fn flush(world: &mut World) -> Result<(), Violation> {
    run(world, Lane::Flush)?;
    world.adopt();
    for _ in 0..8 {
        world.pass(2_000);
        world.turn()?;
    }
    // Moves what has nothing below it, and finds nothing more to do.
    while world.compactions < 2 && has(world, Lane::Compact) {
        run(world, Lane::Compact)?;
        world.adopt();
        world.turn()?;
    }
    world.check("a flush")
}

fn build(world: &mut World, lane: Lane) -> Result<(), Violation> {
    let at = at(world, lane).expect("it was handed out");
    world.work(at, true);
    world.check("building")
}

fn run(world: &mut World, lane: Lane) -> Result<(), Violation> {
    let at = at(world, lane).expect("it was handed out");
    world.work(at, false);
    world.check("work")?;
    world.adopt();
    world.turn()?;
    world.check("its generation")
}

pub(super) fn at(world: &World, lane: Lane) -> Option<usize> {
    world.process.as_ref()?.jobs.iter().position(|job| job.lane() == lane)
}

pub(super) fn has(world: &World, lane: Lane) -> bool {
    at(world, lane).is_some()
}

/// All that was published is what is read after the machine went down.
fn start_again(world: &mut World) -> Result<(), Violation> {
    world.process = None;
    world.disk.crash(&mut Choices::seeded(1));
    world.start(false).map(drop)
}

/// What goes on in this order reads as it should after each step, and this many tables were compacted by it.
fn check(compacted: u64, steps: &[Step<'_>]) {
    let outcome = || {
        let mut world = compacting()?;
        let before = world.compactions;
        for step in steps {
            step(&mut world)?;
        }
        assert_eq!(world.compactions - before, compacted);
        start_again(&mut world)
    };
    assert_eq!(outcome(), Ok(()));
}

fn build_compaction(world: &mut World) -> Result<(), Violation> {
    build(world, Lane::Compact)
}

fn build_flush(world: &mut World) -> Result<(), Violation> {
    build(world, Lane::Flush)
}

fn compact(world: &mut World) -> Result<(), Violation> {
    run(world, Lane::Compact)
}

fn set_aside(world: &mut World) -> Result<(), Violation> {
    for table in [PLAIN, SUMS] {
        world.publish_beside(table, None).map_err(|error| Violation(error.to_string()))?;
    }
    world.check("another's publication")
}

/// With a row that all that is written hides.
fn materialize(world: &mut World) -> Result<(), Violation> {
    for table in [PLAIN, SUMS] {
        world.publish_beside(table, Some(&[2])).map_err(|error| Violation(error.to_string()))?;
    }
    world.check("another's build")
}

fn let_time_pass(world: &mut World) -> Result<(), Violation> {
    world.pass(100_000_000);
    world.turn()
}

/// With a row that all that is written hides, and one of a key that nobody writes.
fn materialize_two(world: &mut World) -> Result<(), Violation> {
    for table in [PLAIN, SUMS] {
        world.publish_beside(table, Some(&[2, 9])).map_err(|error| Violation(error.to_string()))?;
    }
    world.check("another's build")
}

/// Of keys of which a base that was built has none.
fn delete(world: &mut World) -> Result<(), Violation> {
    world.pass(10);
    let now_us = world.now_us();
    world.write(&[Change { token: None, rows: vec![(1, now_us, None)] }])?;
    world.check("a delete")
}

/// Compacts whatever is due, until nothing is for a long time.
fn compact_all(world: &mut World) -> Result<(), Violation> {
    let mut idle = 0;
    while idle < 3 {
        let before = world.compactions;
        if !has(world, Lane::Compact) {
            world.pass(61_000_000);
            world.turn()?;
        }
        compact(world)?;
        idle = if world.compactions == before { idle + 1 } else { 0 };
    }
    Ok(())
}

/// Whether nothing is kept but what is live.
fn is_alone(world: &World) -> bool {
    world.process.as_ref().unwrap().data.generations().unwrap().len() == 1
}

#[test]
fn a_flush_is_published_while_a_compaction_is_built_and_neither_is_lost() {
    check(1, &[&build_compaction, &write, &freeze, &flush, &compact]);
}

#[test]
fn any_number_of_flushes_go_by_while_a_compaction_is_built() {
    check(1, &[&build_compaction, &write, &freeze, &flush, &write, &freeze, &flush, &write, &freeze, &flush, &compact]);
}

#[test]
fn a_compaction_is_published_while_a_flush_is_built() {
    check(1, &[&build_compaction, &write, &freeze, &build_flush, &compact, &flush]);
    check(1, &[&build_compaction, &write, &freeze, &flush, &write, &freeze, &build_flush, &compact, &flush]);
    check(1, &[&write, &freeze, &build_flush, &compact, &flush]);
}

#[test]
fn a_compaction_gives_up_where_a_flush_did_not_know_of_it() {
    check(0, &[&write, &freeze, &build_flush, &build_compaction, &flush, &compact]);
}

#[test]
fn what_was_built_upon_something_that_another_process_replaced_is_built_again_or_given_up() {
    check(0, &[&build_compaction, &set_aside, &compact]);
    check(0, &[&build_compaction, &write, &freeze, &flush, &set_aside, &compact]);
    check(0, &[&build_compaction, &write, &freeze, &build_flush, &set_aside, &flush, &compact]);
}

#[test]
fn a_base_that_was_built_again_meanwhile_stays() {
    // What was handed out before finds nothing that is due so soon.
    let begin: [Step<'_>; 3] = [&materialize, &compact, &let_time_pass];
    let check = |compacted, steps: &[Step<'_>]| check(compacted, &[&begin, steps].concat());
    check(1, &[&compact]);
    check(1, &[&build_compaction, &write, &freeze, &flush, &compact]);
    check(0, &[&build_compaction, &materialize, &compact]);
}

#[test]
fn while_another_process_has_the_lock_what_was_built_is_kept() {
    let outcome = || {
        let mut world = compacting()?;
        write(&mut world)?;
        build_compaction(&mut world)?;
        freeze(&mut world)?;
        let (data, before) = (world.process.as_ref().unwrap().data.clone(), world.compactions);
        let lock = data.lock().unwrap();
        for lane in [Lane::Flush, Lane::Compact] {
            run(&mut world, lane)?;
        }
        assert_eq!(world.compactions, before);
        drop(lock);
        world.pass(1_000_000);
        world.turn()?;
        run(&mut world, Lane::Compact)?;
        assert_eq!(world.compactions, before + 1);
        run(&mut world, Lane::Flush)?;
        start_again(&mut world)
    };
    assert_eq!(outcome(), Ok(()));
}

/// Also of keys that the base does not have, and of those that were written again since.
#[test]
fn beside_a_base_that_was_built_deletes_go_with_all_that_they_hid() {
    let delete_alone: [Step<'_>; 3] = [&delete, &freeze, &flush];
    let write_again: [Step<'_>; 3] = [&write, &freeze, &flush];
    for steps in [delete_alone, write_again] {
        let outcome = || {
            let mut world = compacting()?;
            materialize_two(&mut world)?;
            compact_all(&mut world)?;
            for step in steps {
                step(&mut world)?;
            }
            assert!(!is_alone(&world));
            let_time_pass(&mut world)?; // tombstones are kept for 5,000
            compact_all(&mut world)?;
            assert!(is_alone(&world));
            let live = world.process.as_ref().unwrap().data.current().unwrap().unwrap();
            for delta in live.deltas.values() {
                assert_eq!((delta.tombstones, delta.has_deletes), (0, false));
            }
            assert_eq!(live.deltas.len(), 2, "they stay two");
            start_again(&mut world)
        };
        assert_eq!(outcome(), Ok(()));
    }
}

#[test]
fn a_base_that_was_built_is_not_written_anew_for_what_was_written_without_deletes() {
    let outcome = || -> Result<(), Violation> {
        let mut world = compacting()?;
        materialize_two(&mut world)?;
        delete(&mut world)?;
        freeze(&mut world)?;
        flush(&mut world)?;
        let_time_pass(&mut world)?;
        compact_all(&mut world)?;
        let tables = |world: &World| world.process.as_ref().unwrap().data.current().unwrap().unwrap().tables;
        let (before, compactions) = (tables(&world), world.compactions);
        let now_us = world.now_us();
        world.write(&[Change { token: None, rows: vec![(2, now_us, Some(1))] }])?;
        freeze(&mut world)?;
        flush(&mut world)?;
        let_time_pass(&mut world)?;
        compact_all(&mut world)?;
        assert_eq!((tables(&world), world.compactions), (before, compactions));
        Ok(())
    };
    assert_eq!(outcome(), Ok(()));
}
