//! One workload, stopped at each of its operations; and what recovers it, stopped at each of its own.

use gannet_store::disk::simulated::{Choices, Fault};

use crate::world::{BLOCK, Outcome, Step, World};

/// Everything a log does: batches of one block and of several, segments that follow each other, are freed and used again, closing.
const WORKLOAD: [Step; 20] = [
    Step::Append(100),
    Step::Append(30),
    Step::Commit,
    Step::Append(5000),
    Step::Append(1000),
    Step::Commit,
    Step::Prepare,
    Step::Heartbeat,
    Step::Append(6000),
    Step::Commit,
    Step::Cover,
    Step::Append(0),
    Step::Commit,
    Step::CloseAndOpen,
    Step::Append(4000),
    Step::Commit,
    Step::Cover,
    Step::Append(7000),
    Step::Append(10),
    Step::Commit,
];

fn world() -> World {
    World::new(6, 2, false)
}

/// Runs the workload with a fault at its operation `at`. None once it is through before that.
fn stopped(at: u64, fault: Fault) -> Option<World> {
    let mut world = world();
    world.disk.fail_at(at, fault, at);
    let opened = world.open(true).unwrap();
    if opened == Outcome::Done {
        for step in WORKLOAD {
            if world.step(step).unwrap() == Outcome::Failed {
                break;
            }
        }
    }
    world.disk.has_struck().then_some(world)
}

#[test]
fn a_crash_at_each_operation_and_again_at_each_of_the_recovery_loses_nothing() {
    let mut states = 0;
    for at in 0.. {
        let Some(mut crashed) = stopped(at, Fault::Crash) else { break };
        for way in 0..4 {
            let world = crashed.copy();
            world.disk.crash(&mut Choices::seeded(at << 8 | way));
            for again in 0.. {
                let mut second = world.copy();
                second.disk.fail_at(again, Fault::Crash, again);
                let opened = second.open(true).unwrap();
                let struck = second.disk.has_struck();
                second.end((way != 3).then_some(&mut Choices::seeded(again)));
                second.open(false).unwrap();
                states += 1;
                if !struck {
                    assert_eq!(opened, Outcome::Done);
                    break;
                }
            }
        }
        crashed.end(None);
        crashed.open(false).unwrap();
    }

    assert!(states > 2000, "{states} states only");
}

/// Whatever fails, nothing is acknowledged afterwards that is not there, and an operator who starts it again has a log that works.
#[test]
fn a_failure_of_each_operation_is_survived() {
    for fault in [Fault::Failure, Fault::Full, Fault::ShortWrite] {
        for at in 0.. {
            let Some(mut failed) = stopped(at, fault) else {
                assert!(at > 50, "{at} operations only");
                break;
            };
            for lost_power in [false, true] {
                let mut world = failed.copy();
                world.end(lost_power.then_some(&mut Choices::seeded(at)));
                assert_eq!(world.open(false).unwrap(), Outcome::Done);
                for step in [Step::Append(10), Step::Commit, Step::CloseAndOpen] {
                    assert_eq!(world.step(step).unwrap(), Outcome::Done);
                }
            }
            failed.end(None);
        }
    }
}

#[test]
fn a_full_disk_refuses_a_batch_and_takes_the_next_when_there_is_space() {
    let mut refusals = 0;
    for at in 0.. {
        let mut world = world();
        assert_eq!(world.open(false).unwrap(), Outcome::Done);
        world.disk.fail_at(at, Fault::Full, at);
        let mut outcome = Outcome::Done;
        for _ in 0..8 {
            for step in [Step::Append(BLOCK), Step::Commit] {
                if outcome == Outcome::Done {
                    outcome = world.step(step).unwrap();
                }
            }
        }
        if !world.disk.has_struck() {
            break;
        }
        if outcome == Outcome::Done {
            refusals += 1; // no space for a segment, and the log went on
        }
        world.end(None);
        assert_eq!(world.open(false).unwrap(), Outcome::Done);
    }
    // Making the file and filling it, of each segment that was begun.
    assert!(refusals >= 4, "{refusals} refusals");
}
