//! Writes that come faster than flushes make room: first slowed down, then waiting, then refused.

use std::time::Duration;

use super::{work::Lane, world::World, *};

const WAIT: Duration = Duration::from_millis(50);

/// A process whose overlay is full: its other half waits for a flush that was handed out. One write more waits.
fn full(wait: Duration) -> World {
    let mut world = World::new(Durability::Always, 3);
    world.wait_when_full(wait);
    world.start(false).unwrap();
    for _ in 0..200 {
        world.hand_over(100);
        world.turn().unwrap();
        if world.under_way() > 0 {
            assert!(has_flush(&world), "what waits, waits for a flush");
            return world;
        }
    }
    panic!("it takes any number of writes");
}

fn has_flush(world: &World) -> bool {
    world.process.as_ref().unwrap().jobs.iter().any(|job| job.lane() == Lane::Flush)
}

fn flush(world: &mut World) {
    let at = world.process.as_ref().unwrap().jobs.iter().position(|job| job.lane() == Lane::Flush).unwrap();
    world.work(at, false);
    world.adopt();
    for _ in 0..8 {
        world.pass(2_000);
        world.turn().unwrap();
    }
}

#[test]
fn a_write_without_room_waits_and_is_taken_when_a_flush_made_room() {
    let mut world = full(WAIT);
    world.pass(30_000);
    world.turn().unwrap();
    assert_eq!((world.under_way(), world.refused), (1, 0));
    flush(&mut world);
    assert_eq!((world.under_way(), world.refused), (0, 0));
    world.check("the flush").unwrap();
}

#[test]
fn a_write_that_waited_long_enough_is_refused_and_so_are_those_behind_it_at_once() {
    let mut world = full(WAIT);
    world.pass(60_000);
    world.turn().unwrap();
    assert_eq!((world.under_way(), world.refused), (0, 1));
    world.hand_over(100);
    world.turn().unwrap();
    assert_eq!((world.under_way(), world.refused), (0, 2));
    flush(&mut world);
    world.hand_over(100);
    world.turn().unwrap();
    assert_eq!((world.under_way(), world.refused), (0, 2), "there is room");
    world.check("it all").unwrap();
}

#[test]
fn writes_that_wait_are_refused_when_the_plane_stops() {
    let mut world = full(WAIT);
    world.process.as_mut().unwrap().recorder.stop();
    world.turn().unwrap();
    assert_eq!((world.under_way(), world.refused), (0, 1));
}

#[test]
fn writes_are_taken_no_faster_than_the_last_flush_made_room() {
    let mut world = full(20 * WAIT);
    world.pass(30_000); // that long a flush takes
    flush(&mut world);
    let (mut taken, mut waited) = (0, 0);
    while !has_flush(&world) {
        world.hand_over(100);
        world.turn().unwrap();
    }
    for _ in 0..100 {
        world.hand_over(100);
        world.turn().unwrap();
        match world.under_way() {
            0 => taken += 1,
            _ => {
                waited += 1;
                world.pass(1_000);
                world.turn().unwrap();
            }
        }
        if waited == 20 {
            break;
        }
    }
    assert!(taken > 0, "the first half is taken as it comes");
    assert!(waited == 20 && world.refused == 0, "then some wait: {waited} of them, after {taken}");
    while world.under_way() > 0 {
        flush(&mut world);
    }
    assert_eq!((world.under_way(), world.refused), (0, 0));
    world.check("it all").unwrap();
}
