//! A disk that is full for flushes, and what the plane says of itself meanwhile.

use super::{
    world::{Change, World},
    *,
};
use crate::disk::simulated::Fault;

/// Rows of as many keys as there can be do not fit into the least memory there is.
fn write(world: &mut World, key: u8) {
    let change = Change { token: None, rows: vec![(key, world.now_us(), Some(1))] };
    world.write(&[change]).unwrap();
}

/// Every operation of the flush after some finds no room, each in its turn.
#[test]
fn a_flush_that_finds_no_room_refuses_nobody_until_memory_is_full() {
    for at in 0.. {
        let mut world = World::new(Durability::Always, 2);
        world.wait_when_full(std::time::Duration::ZERO);
        world.start(false).unwrap();
        write(&mut world, 0);
        world.process.as_mut().unwrap().recorder.wants_freeze = true;
        world.turn().unwrap();
        world.disk.fail_at(at, Fault::Full, 1);
        world.work_all();
        if !world.disk.has_struck() {
            assert!(at > 3, "a flush has that many operations");
            return;
        }
        if world.status().work_failed.is_none() {
            continue; // what failed was to remove what nobody needs
        }
        assert_eq!((world.status().state, world.status().work_failures), (PlaneState::Ready, 1), "operation {at}");
        for key in 0..=u8::MAX {
            if world.status().failures_full > 0 {
                break;
            }
            assert_eq!(world.status().state, PlaneState::Ready, "operation {at}");
            write(&mut world, key);
        }
        assert!(matches!(world.status().state, PlaneState::DiskFull { .. }), "operation {at}: {:?}", world.status());
        world.pass(2_000_000);
        world.turn().unwrap();
        world.work_all();
        assert_eq!((world.status().state, world.status().work_failed), (PlaneState::Ready, None), "operation {at}");
        world.check("there is room again").unwrap();
    }
}

/// A process that has taken as much as memory holds, of which nothing was flushed, was killed, and is to be started on a full disk.
fn killed_when_full(memory_bytes: usize) -> World {
    let mut world = World::new(Durability::Always, 3);
    world.give_memory(memory_bytes);
    world.start(false).unwrap();
    write(&mut world, 0);
    while world.refused == 0 {
        world.hand_over(100);
        world.turn().unwrap();
    }
    world.check("memory is full").unwrap();
    world.disk.fill(true);
    kill(&mut world);
    world
}

fn kill(world: &mut World) {
    world.process = None;
    world.disk.kill();
}

/// The disk has room again: what waited for it is done.
fn make_room(world: &mut World) {
    world.disk.fill(false);
    for _ in 0..8 {
        world.pass(40_000_000);
        world.turn().unwrap();
        world.work_all();
        world.adopt();
    }
    let (before, key) = (world.refused, 4);
    write(world, key);
    assert_eq!((world.refused, world.status().state), (before, PlaneState::Ready));
    world.check("there is room again").unwrap();
    kill(world);
    world.start(false).unwrap();
}

#[test]
fn what_memory_held_is_read_back_when_there_is_no_room_to_flush_it() {
    let mut world = killed_when_full(0);
    for _ in 0..2 {
        world.start(false).unwrap();
        let before = world.refused;
        while world.refused == before {
            world.hand_over(100);
            world.turn().unwrap();
        }
        world.work_all();
        assert!(matches!(world.status().state, PlaneState::DiskFull { .. }), "{:?}", world.status());
        world.check("a write that is refused").unwrap();
        kill(&mut world);
    }
    world.start(false).unwrap();
    make_room(&mut world);
}

/// With less memory than the process before had, it takes more than it was given rather than leave out what was answered.
#[test]
fn what_more_memory_held_is_read_back_when_there_is_no_room_to_flush_it() {
    let mut world = killed_when_full(512 << 10);
    world.give_memory(0);
    world.start(false).unwrap();
    make_room(&mut world);
}

/// Not even for the record that says that the log was opened.
#[test]
fn a_log_without_any_room_is_read_back() {
    let mut world = World::new(Durability::Always, 3);
    world.start(false).unwrap();
    world.disk.fill(true);
    while world.refused == 0 {
        write(&mut world, 0);
    }
    assert!(matches!(world.status().state, PlaneState::DiskFull { .. }), "{:?}", world.status());
    for _ in 0..3 {
        kill(&mut world);
        world.start(false).unwrap();
        assert!(matches!(world.status().state, PlaneState::DiskFull { .. }), "{:?}", world.status());
        let before = world.refused;
        write(&mut world, 1);
        assert_eq!(world.refused, before + 1);
    }
    make_room(&mut world);
}
