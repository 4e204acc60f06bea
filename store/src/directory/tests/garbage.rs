use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use super::{directory, files, publish_table};
use crate::error::Error;

#[test]
fn the_newest_generations_stay_with_their_segments_and_all_else_below_segments_goes() {
    let (_folder, directory) = directory();
    let root = directory.root().to_owned();
    for name in ["a", "b", "c"] {
        publish_table(&directory, name);
    }
    for orphan in ["segments/prod/old/x.seg", "segments/y.seg.tmp", "tmp/build-1/run", "definitions/.000001.tmp-1-0/a"]
    {
        fs::create_dir_all(root.join(orphan).parent().unwrap()).unwrap();
        fs::write(root.join(orphan), "orphan").unwrap();
    }
    fs::write(root.join("manifests/.000004.json.tmp-1-0"), "half").unwrap();
    fs::write(root.join("manifests/notes.txt"), "an operator's").unwrap();
    fs::write(root.join(".keys.tmp-4294967295-0"), "half").unwrap(); // no process has this number
    fs::write(root.join(format!(".keys.tmp-{}-0", std::process::id())), "being written").unwrap();
    directory.replace_file("keys", b"k").unwrap();

    let lock = directory.lock().unwrap();
    let collected = directory.collect_garbage(&lock, 2).unwrap();
    assert_eq!((collected.manifests, collected.files), (1, 7));
    assert_eq!(
        files(&root),
        [
            &format!(".keys.tmp-{}-0", std::process::id()),
            "CURRENT",
            "VERSION",
            "keys",
            "manifests/000002.json",
            "manifests/000003.json",
            "manifests/notes.txt",
            "segments/prod/b.seg",
            "segments/prod/c.seg",
        ]
    );
    assert!(!root.join("segments/prod/old").exists());
    assert_eq!(directory.collect_garbage(&lock, 2).unwrap(), super::super::Collected::default());
}

#[test]
fn the_live_generation_stays_even_when_none_is_to_be_kept() {
    let (_folder, directory) = directory();
    let lock = directory.lock().unwrap();
    directory.collect_garbage(&lock, 0).unwrap();
    drop(lock);
    publish_table(&directory, "a");
    let live = publish_table(&directory, "b");
    let lock = directory.lock().unwrap();
    directory.collect_garbage(&lock, 0).unwrap();
    assert_eq!(directory.current().unwrap(), Some(live));
    assert!(directory.root().join("segments/prod/b.seg").exists());
    assert!(!directory.root().join("segments/prod/a.seg").exists());
}

#[test]
fn nothing_is_removed_when_a_kept_manifest_cannot_be_read() {
    let (_folder, directory) = directory();
    for name in ["a", "b", "c"] {
        publish_table(&directory, name);
    }
    for damaged in ["manifests/000002.json", "manifests/000003.json", "CURRENT"] {
        let file = directory.root().join(damaged);
        let sound = fs::read(&file).unwrap();
        fs::write(&file, &sound[1..]).unwrap();
        let before = files(directory.root());
        let lock = directory.lock().unwrap();
        assert!(matches!(directory.collect_garbage(&lock, 2).unwrap_err(), Error::Corrupt(_)), "{damaged}");
        assert_eq!(files(directory.root()), before);
        fs::write(&file, &sound).unwrap();
    }
}

#[test]
fn readers_see_one_generation_after_the_other_while_old_ones_are_collected() {
    let (_folder, directory) = directory();
    publish_table(&directory, "a");
    let is_done = AtomicBool::new(false);
    struct DoneWhenDropped<'d>(&'d AtomicBool); // also when an assertion fails
    impl Drop for DoneWhenDropped<'_> {
        fn drop(&mut self) {
            self.0.store(true, Relaxed);
        }
    }
    thread::scope(|scope| {
        let _done = DoneWhenDropped(&is_done);
        for _ in 0..2 {
            scope.spawn(|| {
                let mut seen = 0;
                while !is_done.load(Relaxed) {
                    let generation = directory.current().unwrap().unwrap().generation;
                    assert!(generation >= seen);
                    seen = generation;
                }
            });
        }
        for name in 0..300 {
            publish_table(&directory, &name.to_string());
            let lock = directory.lock().unwrap();
            directory.collect_garbage(&lock, 1).unwrap();
        }
    });
}

#[test]
fn what_somebody_builds_is_no_garbage_and_what_was_superseded_is() {
    let (_folder, directory) = directory();
    let root = directory.root().to_owned();
    for name in ["a", "b", "c"] {
        publish_table(&directory, name);
    }
    fs::write(root.join("segments/prod/built.seg"), "not published yet").unwrap();
    fs::create_dir_all(root.join("tmp/build-1")).unwrap();
    fs::write(root.join("tmp/build-1/run"), "of the build").unwrap();
    let (building, beside) = (directory.building().unwrap(), directory.building().unwrap());
    let lock = directory.lock().unwrap();
    directory.collect_garbage(&lock, 1).unwrap();
    let has = |file: &str| root.join(file).exists();
    assert!(has("segments/prod/built.seg") && has("tmp/build-1/run"));
    assert_eq!(["a", "b", "c"].map(|name| has(&format!("segments/prod/{name}.seg"))), [false, false, true]);
    drop(building);
    directory.collect_garbage(&lock, 1).unwrap();
    assert!(has("segments/prod/built.seg"), "one of two still builds");
    drop(beside);
    directory.collect_garbage(&lock, 1).unwrap();
    assert!(!has("segments/prod/built.seg") && !has("tmp/build-1/run") && has("segments/prod/c.seg"));
}
