use std::fs;

use super::{directory, files, rewrite};
use crate::error::Error;

fn sample() -> Vec<(String, String)> {
    [("a.toml", "workspace = \"prod\"\n"), ("views/deep/b.toml", ""), ("info.json", "{}")]
        .map(|(path, text)| (path.to_owned(), text.to_owned()))
        .to_vec()
}

#[test]
fn versions_count_up_and_read_back_what_was_put() {
    let (_folder, directory) = directory();
    assert!(directory.definitions_versions().unwrap().is_empty());
    let lock = directory.lock().unwrap();
    assert_eq!(directory.put_definitions(&lock, &sample(), 11, "features/").unwrap(), 1);
    assert_eq!(directory.put_definitions(&lock, &[], 12, "features/").unwrap(), 2);
    assert_eq!(directory.definitions_versions().unwrap(), [1, 2]);
    let first = directory.definitions(1).unwrap();
    assert_eq!(first.files, sample());
    assert_eq!((first.info.applied_at_us, first.info.source_folder.as_str()), (11, "features/"));
    assert!(directory.definitions(2).unwrap().files.is_empty());
}

#[test]
fn a_path_that_leads_elsewhere_is_refused_and_leaves_nothing() {
    let (_folder, directory) = directory();
    let lock = directory.lock().unwrap();
    let before = files(directory.root());
    for path in ["../x", "/etc/x", "a//b", "", "a/../../b", "./a", "a/"] {
        let error = directory.put_definitions(&lock, &[(path.into(), String::new())], 0, "").unwrap_err();
        assert!(matches!(error, Error::Io { op: "store definitions", .. }), "{path:?}: {error}");
    }
    assert_eq!(files(directory.root()), before);
    assert!(directory.definitions_versions().unwrap().is_empty());
}

#[test]
fn every_flipped_bit_of_a_version_is_refused() {
    let (_folder, directory) = directory();
    let lock = directory.lock().unwrap();
    directory.put_definitions(&lock, &sample(), 11, "features/").unwrap();
    for name in ["info.json", "files/a.toml"] {
        let file = directory.root().join("definitions/000001").join(name);
        let sound = fs::read(&file).unwrap();
        for bit in 0..sound.len() * 8 {
            let mut damaged = sound.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            rewrite(&file, &damaged);
            let error = directory.definitions(1).unwrap_err();
            assert!(matches!(error, Error::Corrupt(_)), "{name} bit {bit}: {error}");
        }
        fs::write(&file, &sound).unwrap();
    }
    fs::remove_file(directory.root().join("definitions/000001/files/views/deep/b.toml")).unwrap();
    assert!(matches!(directory.definitions(1).unwrap_err(), Error::Corrupt(_)));
}
