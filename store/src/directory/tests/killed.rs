//! A process that publishes without end is killed, again and again. What it said it published is there.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use super::{super::DataDirectory, directory, publish_table};

const PUBLISH_IN: &str = "GANNET_TEST_PUBLISH_IN";

/// Not a test of its own: the process that the next one kills. Without the variable it does nothing.
#[test]
fn publish_until_killed() {
    let Ok(root) = std::env::var(PUBLISH_IN) else { return };
    let directory = DataDirectory::open(root).unwrap();
    loop {
        let next = directory.current().unwrap().map_or(1, |manifest| manifest.generation + 1);
        let published = publish_table(&directory, &format!("{}-{next}", std::process::id()));
        let lock = directory.lock().unwrap();
        directory.collect_garbage(&lock, 2).unwrap();
        drop(lock);
        // Gone with its reader is as good as killed.
        if std::io::stderr().write_all(format!("published {}\n", published.generation).as_bytes()).is_err() {
            return;
        }
    }
}

#[test]
fn what_a_killed_process_published_stays_published() {
    let (_folder, directory) = directory();
    let mut last = 0;
    for round in 1..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "directory::tests::killed::publish_until_killed"])
            .env(PUBLISH_IN, directory.root())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let told =
            lines.by_ref().map_while(Result::ok).filter_map(|line| line.strip_prefix("published ")?.parse().ok());
        let told: u64 = told.take(round).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();

        let live = directory.current().unwrap().unwrap();
        assert!(live.generation >= told && told > last);
        last = live.generation;
        assert!(directory.generations().unwrap().contains(&last));
        for generation in directory.generations().unwrap() {
            let manifest = directory.manifest(generation).unwrap();
            assert!(manifest.segments().all(|segment| directory.root().join(&segment.file).exists()));
        }
    }
}
