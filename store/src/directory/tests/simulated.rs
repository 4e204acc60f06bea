//! Publication on a disk that loses, reorders and tears what was not synced: crashed at each operation, and again at each operation
//! of what comes next.

use std::{path::Path, sync::Arc};

use super::super::DataDirectory;
use crate::disk::{
    Disk,
    simulated::{Choices, Fault, SimulatedDisk},
};

const ROOT: &str = "/data";

/// What was acknowledged: how many publications, and up to which generation.
#[derive(Debug, Clone, Copy, Default)]
struct Acknowledged {
    published: i64,
    generation: u64,
}

fn on(disk: &SimulatedDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

/// Creates the directory, if need be, and publishes until `until` publications are live: each generation says which it is, and is
/// published with a version of the definitions that says so too. Ends early where the disk does.
fn publish(disk: &SimulatedDisk, until: i64, acknowledged: &mut Acknowledged) -> Option<()> {
    let directory = DataDirectory::create_on(Path::new(ROOT), on(disk)).ok()?;
    let live = directory.current().ok()?;
    for number in live.map_or(0, |live| live.created_at_us) + 1..=until {
        let lock = directory.lock().ok()?;
        let texts = [("a.toml".to_owned(), number.to_string())];
        let version = directory.put_definitions(&lock, &texts, number, "features").ok()?;
        let change = |manifest: &mut super::Manifest| {
            manifest.created_at_us = number;
            manifest.definitions_version = Some(version);
        };
        let published = directory.publish(&lock, change).ok()?;
        *acknowledged = Acknowledged { published: number, generation: published.generation };
        directory.collect_garbage(&lock, 2).ok()?;
    }
    Some(())
}

/// What the next process sees: the newest generation that was acknowledged, or one that was on its way, whole.
fn check(disk: &SimulatedDisk, acknowledged: Acknowledged) {
    let directory = match DataDirectory::open_on(Path::new(ROOT), on(disk)) {
        Ok(directory) => directory,
        Err(error) => {
            assert_eq!(acknowledged.published, 0, "{error}");
            return;
        }
    };
    let Some(live) = directory.current().unwrap() else {
        assert_eq!(acknowledged.published, 0);
        return;
    };
    assert!(live.created_at_us == acknowledged.published || live.created_at_us == acknowledged.published + 1);
    assert!(live.generation >= acknowledged.generation);
    let texts = directory.definitions(live.definitions_version.unwrap()).unwrap().files;
    assert_eq!(texts, [("a.toml".to_owned(), live.created_at_us.to_string())]);
    for generation in directory.generations().unwrap() {
        directory.manifest(generation).unwrap();
    }
}

/// Publishes three generations, a crash in each operation in turn, in `ways` ways each; then goes on to five, a crash in each again.
fn crash_everywhere(prepare: fn(&SimulatedDisk), ways: u64) -> u64 {
    let mut states = 0;
    for at in 0.. {
        let disk = SimulatedDisk::new();
        prepare(&disk);
        disk.fail_at(at, Fault::Crash, at);
        let mut acknowledged = Acknowledged::default();
        let is_through = publish(&disk, 3, &mut acknowledged).is_some();
        for way in 0..ways {
            let crashed = disk.copy();
            crashed.crash(&mut Choices::seeded(at << 16 | way));
            check(&crashed, acknowledged);
            // The second crash: at an operation that differs from way to way, so that all have their turn.
            let mut acknowledged = acknowledged;
            crashed.fail_at((way * 7 + at) % 80, Fault::Crash, way);
            let _ = publish(&crashed, 5, &mut acknowledged);
            crashed.crash(&mut Choices::seeded(way << 16 | at));
            check(&crashed, acknowledged);
            publish(&crashed, 6, &mut acknowledged).unwrap();
            assert_eq!(acknowledged.published, 6);
            states += 2;
        }
        if !disk.has_struck() {
            assert!(is_through);
            break;
        }
    }
    states
}

#[test]
fn a_power_loss_anywhere_leaves_the_old_generation_or_the_new_one() {
    assert!(crash_everywhere(|_| {}, 12) > 1500);
}

/// That the silence of the test above is worth something.
#[test]
fn a_publication_that_does_not_sync_is_found() {
    for prepare in
        [|disk: &SimulatedDisk| disk.let_syncs_lie(true), |disk: &SimulatedDisk| disk.let_folder_syncs_lie(true)]
    {
        std::panic::catch_unwind(|| crash_everywhere(prepare, 12)).unwrap_err();
    }
}

#[test]
fn a_failure_anywhere_leaves_a_directory_that_goes_on() {
    for fault in [Fault::Failure, Fault::Full, Fault::ShortWrite] {
        for at in 0.. {
            let disk = SimulatedDisk::new();
            disk.fail_at(at, fault, at);
            let mut acknowledged = Acknowledged::default();
            let _ = publish(&disk, 2, &mut acknowledged);
            let has_struck = disk.has_struck();
            disk.kill();
            check(&disk, acknowledged);
            publish(&disk, 4, &mut acknowledged).unwrap();
            if !has_struck {
                break;
            }
        }
    }
}
