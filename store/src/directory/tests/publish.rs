use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::{super::*, directory, files, publish_table, rewrite, table};
use crate::error::Error;

#[test]
fn a_new_directory_has_no_generation_and_is_its_owners_only() {
    let (_folder, directory) = directory();
    assert_eq!(directory.current().unwrap(), None);
    assert_eq!(directory.generations().unwrap(), Vec::<u64>::new());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(directory.root()), 0o700);
    assert_eq!(mode(&directory.root().join("CURRENT")), 0o600);
    assert!(files(directory.root()).iter().all(|file| !file.contains("tmp-")));
}

#[test]
fn creating_again_opens_and_a_foreign_folder_is_refused() {
    let (folder, directory) = directory();
    let published = publish_table(&directory, "a");
    assert_eq!(DataDirectory::create(directory.root()).unwrap().current().unwrap(), Some(published));

    let mounted = folder.path().join("mounted");
    fs::create_dir_all(mounted.join("lost+found")).unwrap();
    DataDirectory::create(&mounted).unwrap();

    let foreign = folder.path().join("home");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("thesis.tex"), "").unwrap();
    let error = DataDirectory::create(&foreign).unwrap_err();
    assert!(error.to_string().contains("holds thesis.tex"), "{error}");
    let error = DataDirectory::open(&foreign).unwrap_err();
    assert!(error.to_string().contains("no file VERSION"), "{error}");
    let error = DataDirectory::open(folder.path().join("nowhere")).unwrap_err();
    assert!(error.to_string().contains("no such folder"), "{error}");
}

#[test]
fn an_unknown_layout_is_refused_by_number_and_a_damaged_marker_as_damage() {
    let (_folder, directory) = directory();
    fs::write(directory.root().join("VERSION"), "gannet data directory, layout 2\n").unwrap();
    let error = DataDirectory::open(directory.root()).unwrap_err();
    assert!(matches!(error, Error::Unsupported { found: 2, supported: 1, .. }), "{error}");
    fs::write(directory.root().join("VERSION"), "gannet data directory").unwrap();
    assert!(matches!(DataDirectory::open(directory.root()).unwrap_err(), Error::Corrupt(_)));
}

#[test]
fn generations_grow_by_one_and_earlier_ones_stay_readable() {
    let (_folder, directory) = directory();
    let before = directory.stamp().unwrap();
    let first = publish_table(&directory, "a");
    let between = directory.stamp().unwrap();
    let second = publish_table(&directory, "b");
    assert_ne!(before, between);
    assert_ne!(between, directory.stamp().unwrap());
    assert_eq!(directory.stamp().unwrap(), directory.stamp().unwrap());
    assert_eq!((first.generation, second.generation), (1, 2));
    assert_eq!(directory.current().unwrap(), Some(second));
    assert_eq!(directory.manifest(1).unwrap(), first);
    assert_eq!(directory.generations().unwrap(), [1, 2]);
}

#[test]
fn an_earlier_state_is_put_back_as_a_new_generation() {
    let (_folder, directory) = directory();
    let first = publish_table(&directory, "a");
    publish_table(&directory, "b");
    let lock = directory.lock().unwrap();
    let back = directory.publish(&lock, |manifest| *manifest = first.clone()).unwrap();
    assert_eq!((back.generation, &back.tables), (3, &first.tables));
}

#[test]
fn a_manifest_naming_a_missing_or_short_or_outside_segment_is_not_published() {
    let (_folder, directory) = directory();
    let first = publish_table(&directory, "a");
    let lock = directory.lock().unwrap();
    let mut entry = table(directory.root(), "segments/prod/b.seg");
    let mut attempt = |change: &dyn Fn(&mut SegmentEntry)| {
        change(&mut entry.segments[0]);
        directory.publish(&lock, |manifest| drop(manifest.tables.insert("prod/b".into(), entry.clone()))).unwrap_err()
    };
    assert!(matches!(attempt(&|segment| segment.bytes = 8), Error::Corrupt(_)));
    assert!(matches!(attempt(&|segment| segment.file = "segments/prod/c.seg".into()), Error::Io { op: "publish", .. }));
    assert!(matches!(attempt(&|segment| segment.file = "segments/../VERSION".into()), Error::Io { op: "publish", .. }));
    assert_eq!(directory.current().unwrap(), Some(first));
}

#[test]
fn a_newer_format_is_refused_with_both_numbers_before_anything_else_is_read() {
    let (_folder, directory) = directory();
    publish_table(&directory, "a");
    let file = directory.root().join("manifests/000001.json");
    let (bytes, _) = envelope::seal(&file, &serde_json::json!({ "format_version": 3, "all": "different" })).unwrap();
    fs::write(&file, bytes).unwrap();
    let error = directory.manifest(1).unwrap_err();
    assert!(error.to_string().ends_with("has format version 3; this binary reads 2"), "{error}");
}

#[test]
fn every_flipped_bit_of_manifest_and_pointer_is_refused_and_the_previous_stays_readable() {
    let (_folder, directory) = directory();
    let first = publish_table(&directory, "a");
    publish_table(&directory, "b");
    for name in ["manifests/000002.json", "CURRENT"] {
        let file = directory.root().join(name);
        let sound = fs::read(&file).unwrap();
        for bit in 0..sound.len() * 8 {
            let mut damaged = sound.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            rewrite(&file, &damaged);
            let error = directory.current().unwrap_err();
            assert!(matches!(error, Error::Corrupt(_)) && error.to_string().contains(name), "bit {bit}: {error}");
        }
        for length in 0..sound.len() {
            rewrite(&file, &sound[..length]);
            assert!(matches!(directory.current().unwrap_err(), Error::Corrupt(_)), "length {length}");
        }
        assert_eq!(directory.manifest(1).unwrap(), first);
        let lock = directory.lock().unwrap();
        assert!(matches!(directory.publish(&lock, |_| {}).unwrap_err(), Error::Corrupt(_)));
        fs::write(&file, &sound).unwrap();
    }
    assert_eq!(directory.current().unwrap().unwrap().generation, 2);
}

#[test]
fn a_sound_manifest_under_anothers_name_is_refused() {
    let (_folder, directory) = directory();
    publish_table(&directory, "a");
    publish_table(&directory, "b");
    let manifests = directory.root().join("manifests");
    fs::copy(manifests.join("000001.json"), manifests.join("000002.json")).unwrap();
    let error = directory.current().unwrap_err();
    assert!(error.to_string().contains("expected generation 2, found generation 1"), "{error}");
}

#[test]
fn a_lost_pointer_is_damage_and_not_a_fresh_start() {
    let (_folder, directory) = directory();
    publish_table(&directory, "a");
    fs::remove_file(directory.root().join("CURRENT")).unwrap();
    assert!(matches!(directory.current().unwrap_err(), Error::Corrupt(_)));
    let lock = directory.lock().unwrap();
    assert!(directory.publish(&lock, |_| {}).is_err());
}

#[test]
fn a_small_file_is_replaced_whole_and_names_of_our_own_are_refused() {
    let (_folder, directory) = directory();
    assert_eq!(directory.read_file("keys").unwrap(), None);
    directory.replace_file("keys", b"one").unwrap();
    directory.replace_file("keys", b"two").unwrap();
    assert_eq!(directory.read_file("keys").unwrap().unwrap(), b"two");
    assert_eq!(fs::metadata(directory.root().join("keys")).unwrap().permissions().mode() & 0o777, 0o600);
    for name in ["", "CURRENT", "../keys", "manifests/x", ".keys", "a/b", "a\0"] {
        assert!(directory.replace_file(name, b"").is_err(), "{name:?}");
        assert!(directory.read_file(name).is_err(), "{name:?}");
    }
}
