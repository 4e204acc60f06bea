//! The write log on a disk that crashes, tears and fails.
//!
//! `GANNET_LOG_RUNS=1000000 cargo test --release -p gannet-store --test log` makes a long run of it: so many seeds, and the recovery from
//! every state stopped at each of its operations. Fewer than [`RUNS`] make it short (the gate's pass under a sanitizer). `GANNET_LOG_SEED=… cargo test -p gannet-store --test log seeded` replays the one run
//! whose seed a failure printed.

#![expect(clippy::unwrap_used, clippy::tests_outside_test_module, reason = "all of this is tests")]

mod broken;
mod each_operation;
mod exhaustive;
mod ledger;
mod seeded;
mod world;

/// Seeds of an ordinary run.
const RUNS: u64 = 10_000;

/// How many seeds are asked for.
fn runs() -> u64 {
    number("GANNET_LOG_RUNS").unwrap_or(RUNS)
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}
