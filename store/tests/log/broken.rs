//! Logs that are wrong on purpose. That the simulation finds each of them is what its silence about the real one is worth.

use crate::seeded::{Disk, outcome};

/// How many of so many runs find something.
fn found(kind: Disk, runs: u64) -> usize {
    (0..runs).filter(|&seed| outcome(seed, kind).is_err()).count()
}

#[test]
fn acknowledging_before_syncing_is_found() {
    assert!(found(Disk::SyncsLie, 200) > 50);
}

#[test]
fn names_that_are_not_made_durable_are_found() {
    assert!(found(Disk::FolderSyncsLie, 200) > 20);
}

#[test]
fn building_on_what_was_read_and_is_not_durable_is_found() {
    assert!(found(Disk::OpeningSyncsLie, 2000) > 5);
}
