//! Files that a disk has damaged: what does not need them goes on, and there is a way out.

use super::{
    beside::{at, compacting, has},
    work::Lane,
    world::{Change, World},
    *,
};

fn damaged(world: &World) -> Vec<String> {
    world.status().damaged.into_keys().collect()
}

fn write_and_freeze(world: &mut World) {
    world.pass(10);
    let now_us = world.now_us();
    let rows = (1..4).map(|key| (key, now_us, Some(1))).collect();
    world.write(&[Change { token: None, rows }]).unwrap();
    world.process.as_mut().unwrap().recorder.wants_freeze = true;
    world.turn().unwrap();
}

/// Does what was handed out of this kind, and looks again.
fn work(world: &mut World, lane: Lane) {
    let at = at(world, lane).expect("it was handed out");
    world.work(at, false);
    world.adopt();
    world.turn().unwrap();
}

fn has_delta(world: &World, table: &str) -> bool {
    world.process.as_ref().unwrap().data.current().unwrap().unwrap().deltas.contains_key(table)
}

#[test]
fn a_damaged_table_keeps_no_other_from_being_compacted() {
    let mut world = compacting().unwrap();
    world.damage(PLAIN);
    work(&mut world, Lane::Compact);
    assert_eq!((damaged(&world), world.status().work_failures), (vec![PLAIN.to_owned()], 1));
    work(&mut world, Lane::Compact);
    assert!(has_delta(&world, PLAIN) && !has_delta(&world, SUMS), "the next one is compacted");
    while has(&world, Lane::Compact) {
        work(&mut world, Lane::Compact);
    }
    assert_eq!(
        (damaged(&world), world.status().work_failures),
        (vec![PLAIN.to_owned()], 1),
        "it is not read over and over"
    );

    world.damage(PLAIN);
    world.pass(3_600_000_000);
    world.turn().unwrap();
    work(&mut world, Lane::Compact);
    assert!(damaged(&world).is_empty() && !has_delta(&world, PLAIN), "it is tried again: {:?}", world.status());
    world.check("all is sound").unwrap();
}

/// As docs/operating/verify.md has it.
#[test]
fn flushes_go_on_when_a_view_whose_files_are_damaged_is_taken_out_and_put_in_again() {
    for (table, other) in [(PLAIN, SUMS), (SUMS, PLAIN)] {
        let mut world = compacting().unwrap();
        world.damage(table);
        write_and_freeze(&mut world);
        work(&mut world, Lane::Flush);
        assert_eq!(damaged(&world), [table]);
        assert!(!has(&world, Lane::Flush) && world.status().work_failed.is_some());

        world.take_out(table);
        world.adopt();
        world.pass(60_000_000);
        world.turn().unwrap();
        work(&mut world, Lane::Flush);
        assert_eq!((damaged(&world), world.status().work_failed), (Vec::new(), None));
        assert!(has_delta(&world, other) && !has_delta(&world, table));

        world.put_in();
        for _ in 0..2 {
            for _ in 0..8 {
                world.pass(2_000);
                world.turn().unwrap();
            }
            write_and_freeze(&mut world);
            world.check("a write").unwrap();
            work(&mut world, Lane::Flush);
        }
        assert!(damaged(&world).is_empty());
        world.check("it is another").unwrap();
    }
}
