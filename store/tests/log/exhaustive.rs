//! Every workload of up to three steps, crashed at each operation, in every state that the crash can leave.

use gannet_store::disk::simulated::{Choices, Fault};

use crate::{
    RUNS, runs,
    world::{Outcome, Step, World},
};

const STEPS: [Step; 6] =
    [Step::Append(20), Step::Append(4500), Step::Commit, Step::Cover, Step::Heartbeat, Step::CloseAndOpen];

/// As many as an opening makes, or one more.
const RECOVERY_OPERATIONS: u64 = 16;

/// A log in segments of one batch of two blocks, so that every other commit begins another one.
fn world() -> World {
    World::new(4, 2, true)
}

fn workloads() -> Vec<Vec<Step>> {
    let longer = |shorter: &[Vec<Step>]| -> Vec<Vec<Step>> {
        shorter.iter().flat_map(|steps| STEPS.map(|step| [steps.as_slice(), &[step]].concat())).collect()
    };
    let one = longer(&[Vec::new()]);
    let two = longer(&one);
    let three = longer(&two);
    [one, two, three].concat()
}

/// Goes through every state that a crash of this stopped world can leave, and stops the recovery from each: at each of its operations,
/// or at one, another one from state to state. Returns how many states that were.
fn check_each_state(stopped: &World, stop_at_each: bool) -> u64 {
    let (mut choices, mut states) = (Choices::each(), 0);
    loop {
        let world = stopped.copy();
        world.disk.crash(&mut choices);
        let first = if stop_at_each { 0 } else { states % RECOVERY_OPERATIONS };
        for again in first.. {
            let mut second = world.copy();
            second.disk.fail_at(again, Fault::Crash, states);
            let _ = second.open(true).unwrap();
            let has_struck = second.disk.has_struck();
            second.end(Some(&mut Choices::seeded(again)));
            check_goes_on(second);
            states += 1;
            if !has_struck || !stop_at_each {
                break;
            }
        }
        if !choices.next_way() {
            return states;
        }
    }
}

fn check_goes_on(mut world: World) {
    assert_eq!(world.open(false).unwrap(), Outcome::Done);
    world.step(Step::Append(4000)).unwrap();
    world.step(Step::Commit).unwrap();
    world.end(None);
    assert_eq!(world.open(false).unwrap(), Outcome::Done);
}

fn check_workload(steps: &[Step]) -> u64 {
    let mut opened = world();
    assert_eq!(opened.open(false).unwrap(), Outcome::Done);
    opened.end(None);
    let mut states = 0;
    let is_long_run = runs() > RUNS;
    for at in 0.. {
        let mut world = opened.copy();
        assert_eq!(world.open(false).unwrap(), Outcome::Done);
        world.disk.fail_at(at, Fault::Crash, at);
        for &step in steps {
            if world.step(step).unwrap() == Outcome::Failed {
                break;
            }
        }
        states += check_each_state(&world, steps.len() < 3 || is_long_run);
        if !world.disk.has_struck() {
            return states;
        }
    }
    states
}

#[test]
fn every_crash_of_every_short_workload_loses_nothing() {
    let workloads = workloads();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let states: u64 = std::thread::scope(|scope| {
        let share = |thread: usize| workloads.iter().skip(thread).step_by(threads);
        let checked: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || share(thread).map(|steps| check_workload(steps)).sum::<u64>()))
            .collect();
        checked.into_iter().map(|thread| thread.join().unwrap()).sum()
    });

    assert!(states > 20_000, "{states} states only");
}

#[test]
fn every_crash_of_the_first_start_leaves_a_log_that_opens() {
    let mut states = 0;
    for at in 0.. {
        let mut world = world();
        world.disk.fail_at(at, Fault::Crash, at);
        let opened = world.open(true).unwrap();
        states += check_each_state(&world, true);
        if !world.disk.has_struck() {
            assert_eq!(opened, Outcome::Done);
            break;
        }
    }

    assert!(states > 500, "{states} states only");
}
