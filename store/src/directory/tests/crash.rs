//! Publication cut off at every operation of the disk: before it, in it, and after it.

use std::{path::Path, sync::Arc};

use super::{
    super::*,
    directory,
    fault_disk::{Fault, FaultDisk},
    publish_table, table,
};

const FAULTS: [Fault; 3] = [Fault::Once, Fault::Crash, Fault::CrashAfter];

/// Runs `attempt` with a disk that fails at its 0th, 1st, 2nd … operation, each on a directory with one generation, until
/// one goes through unharmed. After each, `check` sees the directory as the next process would.
fn at_every_operation(attempt: impl Fn(&DataDirectory) -> bool, check: impl Fn(&DataDirectory, bool)) {
    for fault in FAULTS {
        for at in 0.. {
            let (_folder, sound) = directory();
            publish_table(&sound, "a");
            let disk = FaultDisk::new(fault, at);
            let succeeded = attempt(&DataDirectory::open_on(sound.root(), disk.clone()).unwrap());
            check(&sound, succeeded);
            if !disk.has_struck() {
                assert!(succeeded && at >= 3);
                break;
            }
        }
    }
}

fn publish_second(directory: &DataDirectory) -> bool {
    let entry = table(directory.root(), "segments/prod/b.seg");
    let lock = directory.lock().unwrap();
    directory.publish(&lock, |manifest| drop(manifest.tables.insert("prod/t".into(), entry))).is_ok()
}

fn live_segment(directory: &DataDirectory) -> String {
    directory.current().unwrap().unwrap().tables["prod/t"].segments[0].file.clone()
}

#[test]
fn a_failed_publication_leaves_the_old_generation_or_the_new_one_and_the_next_goes_through() {
    at_every_operation(publish_second, |directory, succeeded| {
        let live = directory.current().unwrap().unwrap();
        let segment = live_segment(directory);
        if succeeded {
            assert_eq!(live.generation, 2);
        }
        assert_eq!(segment, if live.generation == 1 { "segments/prod/a.seg" } else { "segments/prod/b.seg" });
        assert_eq!(directory.manifest(1).unwrap().generation, 1);
        assert_eq!(directory.generations().unwrap().last(), Some(&live.generation));

        let next = publish_table(directory, "c");
        assert!(next.generation > live.generation);
        let kept = directory.generations().unwrap();
        assert_eq!(kept, if live.generation == 1 { vec![1, next.generation] } else { vec![1, 2, 3] });
        let lock = directory.lock().unwrap();
        directory.collect_garbage(&lock, 2).unwrap();
        assert!(super::files(directory.root()).iter().all(|file| !file.contains("tmp")));
    });
}

#[test]
fn a_number_that_a_killed_publication_took_is_not_given_out_again() {
    at_every_operation(publish_second, |directory, _| {
        let taken = directory.root().join("manifests/000002.json").exists();
        let lock = directory.lock().unwrap();
        directory.collect_garbage(&lock, 1).unwrap();
        drop(lock);
        let next = publish_table(directory, "c");
        assert_eq!(next.generation, if taken { 3 } else { 2 });
    });
}

#[test]
fn interrupted_garbage_collection_never_removes_what_a_kept_manifest_names() {
    let attempt = |directory: &DataDirectory| {
        let sound = DataDirectory::open(directory.root()).unwrap();
        publish_table(&sound, "b");
        publish_table(&sound, "c");
        let lock = directory.lock().unwrap();
        directory.collect_garbage(&lock, 2).is_ok()
    };
    at_every_operation(attempt, |directory, succeeded| {
        let generations = directory.generations().unwrap();
        assert!(generations.ends_with(&[2, 3]));
        for generation in &generations {
            let manifest = directory.manifest(*generation).unwrap();
            let whole = manifest.segments().all(|segment| directory.root().join(&segment.file).exists());
            assert!(whole, "generation {generation} lost a segment");
        }
        assert!(!succeeded || generations == [2, 3]);
    });
}

#[test]
fn interrupted_definitions_are_there_whole_or_not_at_all() {
    let files = [("a.toml".to_owned(), "a = 1".to_owned()), ("sub/b.toml".to_owned(), "b = 2".to_owned())];
    let attempt = |directory: &DataDirectory| {
        let lock = directory.lock().unwrap();
        directory.put_definitions(&lock, &files, 7, "features").is_ok()
    };
    at_every_operation(attempt, |directory, succeeded| {
        let versions = directory.definitions_versions().unwrap();
        assert!(!succeeded || versions == [1]);
        for version in &versions {
            assert_eq!(directory.definitions(*version).unwrap().files, files);
        }
        let lock = directory.lock().unwrap();
        let next = directory.put_definitions(&lock, &files, 8, "features").unwrap();
        assert_eq!(next, versions.len() as u64 + 1);
    });
}

#[test]
fn an_interrupted_creation_is_refused_by_open_and_completed_by_create() {
    for fault in FAULTS {
        for at in 0.. {
            let folder = tempfile::TempDir::new().unwrap();
            let root = folder.path().join("data");
            let disk = FaultDisk::new(fault, at);
            let created = DataDirectory::create_on(&root, Arc::clone(&disk) as Arc<dyn disk::Disk>).is_ok();
            let opened = DataDirectory::open(&root);
            assert!(!created || opened.is_ok());
            if let Ok(opened) = opened {
                assert_eq!(opened.current().unwrap(), None, "a directory with its marker is whole");
            }
            let directory = DataDirectory::create(&root).unwrap();
            publish_table(&directory, "a");
            assert!(Path::new(&root).join("segments").is_dir());
            if !disk.has_struck() {
                break;
            }
        }
    }
}

/// The order that a power loss tests and a killed process does not: bytes before their name, the name before its pointer.
#[test]
fn bytes_are_synced_before_their_name_and_the_manifest_before_its_pointer() {
    let (_folder, sound) = directory();
    let disk = FaultDisk::sound();
    let directory = DataDirectory::open_on(sound.root(), disk.clone()).unwrap();
    publish_table(&directory, "a");
    let published = "\
create manifests/.000001.json.tmp
write manifests/.000001.json.tmp
sync manifests/.000001.json.tmp
rename to manifests/000001.json
sync folder manifests
create .CURRENT.tmp
write .CURRENT.tmp
sync .CURRENT.tmp
rename to CURRENT
sync folder \n";
    assert_eq!(disk.take_log(directory.root()), published);

    let lock = directory.lock().unwrap();
    directory.put_definitions(&lock, &[("sub/a.toml".into(), "a".into())], 0, "").unwrap();
    let put = "\
create folder definitions/.000001.tmp
create folder definitions/.000001.tmp/files
create folder definitions/.000001.tmp/files/sub
sync folder definitions/.000001.tmp/files
create definitions/.000001.tmp/files/sub/a.toml
write definitions/.000001.tmp/files/sub/a.toml
sync definitions/.000001.tmp/files/sub/a.toml
create definitions/.000001.tmp/info.json
write definitions/.000001.tmp/info.json
sync definitions/.000001.tmp/info.json
sync folder definitions/.000001.tmp/files
sync folder definitions/.000001.tmp/files/sub
sync folder definitions/.000001.tmp
rename to definitions/000001
sync folder definitions\n";
    assert_eq!(disk.take_log(directory.root()), put);

    drop(lock);
    publish_table(&directory, "b");
    disk.take_log(directory.root());
    let lock = directory.lock().unwrap();
    directory.collect_garbage(&lock, 1).unwrap();
    let collected = "remove manifests/000001.json\nsync folder manifests\nremove segments/prod/a.seg\n";
    assert_eq!(disk.take_log(directory.root()), collected);
}
