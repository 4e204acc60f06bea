//! Runs drawn from a seed: steps, an end by crash, kill or close, recovery that fails in its midst too, and on.

use gannet_store::disk::simulated::{Choices, Fault};

use crate::{
    ledger::Violation,
    number, runs,
    world::{BLOCK, Outcome, Step, World},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    Honest,
    /// Syncs do nothing: what a log would do that acknowledges before it syncs.
    SyncsLie,
    /// Syncs of the folder do nothing: what a log would do that forgets that names are not durable.
    FolderSyncsLie,
    /// Syncs do nothing while the log is being opened: what a log would do that builds on what it read without making it durable.
    OpeningSyncsLie,
}

/// One run. The same seed runs the same way.
pub(crate) fn run(seed: u64, kind: Disk) -> Result<(), Violation> {
    let mut choices = Choices::seeded(seed);
    let batch_blocks = 1 + choices.below(3);
    let segment_blocks = batch_blocks + 2 + choices.below(4);
    let are_alike = choices.either();
    let mut world = World::new(segment_blocks, batch_blocks, are_alike);
    world.disk.let_syncs_lie(kind == Disk::SyncsLie);
    world.disk.let_folder_syncs_lie(kind == Disk::FolderSyncsLie);
    for _ in 0..2 + choices.below(3) {
        recover(&mut world, &mut choices, kind)?;
        if choices.below(4) != 0 {
            let fault = Fault::ALL[choices.below(Fault::ALL.len())];
            let (at, way) = (choices.below(60) as u64, choices.below(1 << 30) as u64);
            world.disk.fail_at(at, fault, way);
        }
        let steps = if choices.either() { choices.below(40) } else { choices.below(6) };
        for _ in 0..steps {
            let step = if are_alike && choices.below(8) != 0 {
                step_alike(&mut choices)
            } else {
                step(&mut choices, batch_blocks * BLOCK)
            };
            if world.step(step)? == Outcome::Failed {
                break;
            }
        }
        let lost_power = choices.below(4) != 0;
        world.end(lost_power.then_some(&mut choices));
    }
    world.open(false).map(drop)
}

/// Recovers, being stopped in the midst of it up to three times.
fn recover(world: &mut World, choices: &mut Choices, kind: Disk) -> Result<(), Violation> {
    let opening_lies = kind == Disk::OpeningSyncsLie;
    if opening_lies {
        world.disk.let_syncs_lie(true);
    }
    for _ in 0..choices.below(4) {
        let fault = if choices.either() { Fault::Crash } else { Fault::ALL[choices.below(Fault::ALL.len())] };
        world.disk.fail_at(choices.below(24) as u64, fault, choices.below(1 << 30) as u64);
        let _ = world.open(true)?;
        let lost_power = choices.below(4) != 0;
        world.end(lost_power.then_some(&mut *choices));
    }
    world.open(false)?;
    if opening_lies {
        world.disk.let_syncs_lie(false);
    }
    Ok(())
}

fn step(choices: &mut Choices, batch_bytes: usize) -> Step {
    match choices.below(16) {
        0..3 => Step::Append(choices.below(20)),
        3..5 => Step::Append(100 + choices.below(500)),
        5..7 => Step::Append(choices.below(batch_bytes - 56)),
        7..12 => Step::Commit,
        12 => Step::Heartbeat,
        13 => Step::Prepare,
        14 => Step::Cover,
        _ => Step::CloseAndOpen,
    }
}

/// Records alike, each of just a block: what was torn off behind one fits behind any other, and comes back if nothing prevents it.
fn step_alike(choices: &mut Choices) -> Step {
    if choices.below(5) < 3 { Step::Append(BLOCK - 56) } else { Step::Commit }
}

/// What a seed does that goes wrong, panics included.
pub(crate) fn outcome(seed: u64, kind: Disk) -> Result<(), String> {
    match std::panic::catch_unwind(|| run(seed, kind)) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(Violation(what))) => Err(what),
        Err(_) => Err("a panic".to_owned()),
    }
}

#[test]
fn seeded_runs_lose_nothing_that_was_acknowledged() {
    let (first, runs) = match number("GANNET_LOG_SEED") {
        Some(seed) => (seed, 1),
        None => (0, runs()),
    };
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for seed in (first..first + runs).filter(|seed| seed % threads == thread) {
                    if let Err(what) = outcome(seed, Disk::Honest) {
                        panic!(
                            "seed {seed}: {what}\nGANNET_LOG_SEED={seed} cargo test --release -p gannet-store --test log seeded"
                        );
                    }
                }
            });
        }
    });
}
