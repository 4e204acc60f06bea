//! The plane on a disk that crashes, tears and fails, at any operation of any step: what was answered is there, or, where writes are
//! synced only now and then, what was answered before the last sync; what was not is there whole or not at all, and nothing that came
//! later without what came before; and what is read in between is just that.
//!
//! `GANNET_PLANE_RUNS=1000000 cargo test --release -p gannet-store --lib plane::tests::crashes` makes a long run of it, half as many for
//! writes that are synced now and then; `GANNET_PLANE_SEED=…` replays the one whose seed a failure printed.

use std::time::Duration;

use super::{
    world::{Change, KEYS, Violation, World},
    *,
};
use crate::disk::simulated::{Choices, Fault};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Honest,
    /// Syncs do nothing: what a plane would do that answers before it syncs.
    SyncsLie,
    /// Folders are not synced.
    FolderSyncsLie,
}

/// When a write is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answered {
    Synced,
    Readable,
}

fn run(seed: u64, kind: Kind, answered: Answered) -> Result<(), Violation> {
    let mut choices = Choices::seeded(seed);
    let batch_blocks = 1 + choices.below(3);
    let durability = match answered {
        Answered::Synced => Durability::Always,
        Answered::Readable => Durability::Interval(Duration::from_micros(1 + choices.below(1_500) as u64)),
    };
    let mut world = World::new(durability, batch_blocks);
    world.disk.let_syncs_lie(kind == Kind::SyncsLie);
    world.disk.let_folder_syncs_lie(kind == Kind::FolderSyncsLie);
    let mut sequence = 0;
    for _ in 0..1 + choices.below(3) {
        start(&mut world, &mut choices)?;
        if choices.below(4) != 0 {
            let fault = Fault::ALL[choices.below(Fault::ALL.len())];
            world.disk.fail_at(choices.below(120) as u64, fault, choices.below(1 << 30) as u64);
        }
        for _ in 0..choices.below(50) {
            step(&mut world, &mut choices, &mut sequence)?;
            if world.disk.has_struck() && choices.below(4) == 0 {
                break;
            }
        }
        end(&mut world, &mut choices);
    }
    world.start(false).map(drop)
}

/// Starts, being stopped in the midst of it up to three times.
fn start(world: &mut World, choices: &mut Choices) -> Result<(), Violation> {
    for _ in 0..choices.below(3) {
        let fault = if choices.either() { Fault::Crash } else { Fault::ALL[choices.below(Fault::ALL.len())] };
        world.disk.fail_at(choices.below(40) as u64, fault, choices.below(1 << 30) as u64);
        world.start(true)?;
        end(world, choices);
    }
    world.start(false).map(drop)
}

fn end(world: &mut World, choices: &mut Choices) {
    world.process = None;
    match choices.below(4) {
        0 => world.disk.kill(),
        _ => world.disk.crash(choices),
    }
}

fn step(world: &mut World, choices: &mut Choices, sequence: &mut u64) -> Result<(), Violation> {
    world.pass(choices.below(300) as u64);
    match choices.below(16) {
        0..6 => {
            let changes: Vec<Change> = (0..1 + choices.below(5)).map(|_| change(world, choices, sequence)).collect();
            world.write(&changes)?;
            world.check("a write")
        }
        6..8 => {
            if world.work(choices.below(4), false) {
                world.check("work")
            } else {
                Ok(())
            }
        }
        12..15 => {
            world.work(choices.below(4), true);
            world.check("building")
        }
        15 => {
            let table = if choices.either() { PLAIN } else { SUMS };
            // Another process: what ends it, or keeps it from the lock, is nothing to the server.
            let _ = world.publish_beside(table, (choices.below(4) == 0).then_some(&[]));
            world.check("another's publication")
        }
        8..10 => {
            world.adopt();
            world.turn()?;
            world.check("taking up a generation")
        }
        10 => {
            if let Some(process) = &mut world.process {
                process.recorder.wants_freeze = true;
            }
            world.turn()?;
            world.check("a freeze")
        }
        _ => {
            world.pass(2_000_000);
            world.turn()?;
            world.check("a long time")
        }
    }
}

fn change(world: &World, choices: &mut Choices, sequence: &mut u64) -> Change {
    let rows = (0..1 + choices.below(4)).map(|_| {
        let number = (choices.below(4) != 0).then(|| 1 + below(choices, 100));
        let key = u8::try_from(choices.below(usize::from(KEYS))).unwrap();
        // Late, but not so late that a delete would have been forgotten.
        (key, world.now_us() - below(choices, 200), number)
    });
    let rows = rows.collect();
    let token = (choices.below(3) == 0).then(|| {
        let is_again = choices.below(3) == 0;
        *sequence += u64::from(!is_again);
        let back = if is_again { choices.below(3) as u64 } else { 0 };
        SourceToken {
            source: "orders".into(),
            partition: choices.below(2) as u64,
            sequence: sequence.saturating_sub(back),
        }
    });
    Change { token, rows }
}

fn below(choices: &mut Choices, number: usize) -> i64 {
    i64::try_from(choices.below(number)).unwrap()
}

fn outcome(seed: u64, kind: Kind, answered: Answered) -> Result<(), String> {
    match std::panic::catch_unwind(|| run(seed, kind, answered)) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(Violation(what))) => Err(what),
        Err(_) => Err("a panic".to_owned()),
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// As many runs as are asked for, or a share of them.
fn runs(answered: Answered, share: u64) {
    let (first, runs) = match number("GANNET_PLANE_SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("GANNET_PLANE_RUNS").unwrap_or(5_000) / share),
    };
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for seed in (first..first + runs).filter(|seed| seed % threads == thread) {
                    if let Err(what) = outcome(seed, Kind::Honest, answered) {
                        panic!("seed {seed}, answered when {answered:?}: {what}\nGANNET_PLANE_SEED={seed} replays it");
                    }
                }
            });
        }
    });
}

#[test]
fn seeded_runs_lose_nothing_that_was_answered() {
    runs(Answered::Synced, 1);
}

#[test]
fn seeded_runs_that_sync_now_and_then_lose_nothing_that_was_synced() {
    runs(Answered::Readable, 2);
}

/// That the silence of the tests above is worth something.
#[test]
fn a_plane_that_answers_too_early_is_found() {
    for kind in [Kind::SyncsLie, Kind::FolderSyncsLie] {
        for answered in [Answered::Synced, Answered::Readable] {
            assert!((0..300).any(|seed| outcome(seed, kind, answered).is_err()), "{kind:?}, {answered:?}");
        }
    }
}

/// One who is told of a full disk deletes files.
#[test]
fn only_a_disk_that_is_full_is_called_full() {
    let check = |fault: Fault, told: bool| {
        let mut refused = 0;
        for at in 0..40 {
            let mut world = World::new(Durability::Always, 1);
            world.start(false).unwrap();
            world.disk.fail_at(at, fault, 0);
            for _ in 0..12 {
                let change = Change { token: None, rows: vec![(0, world.now_us(), Some(1))] };
                world.write(&[change]).unwrap();
            }
            let harmless = world.failures.iter().filter(|failure| **failure != Failure::Poisoned);
            for failure in harmless {
                assert_eq!(*failure == Failure::DiskFull, told, "{fault:?} at {at}: {failure:?}");
                refused += 1;
            }
        }
        assert!(refused > 0, "{fault:?}");
    };
    check(Fault::Full, true);
    check(Fault::Failure, false);
}
