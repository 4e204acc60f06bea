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
