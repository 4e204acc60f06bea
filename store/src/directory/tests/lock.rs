use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use super::{super::DataDirectory, directory};
use crate::error::Error;

const HOLD: &str = "GANNET_TEST_HOLD_LOCK_OF";

/// Not a test of its own: the other process of the next one. Without the variable it does nothing.
#[test]
fn hold_the_lock_for_another_process() {
    let Ok(root) = std::env::var(HOLD) else { return };
    let _lock = DataDirectory::open(root).unwrap().lock().unwrap();
    std::io::stderr().write_all(b"held\n").unwrap();
    let _ = std::io::stdin().read_line(&mut String::new()); // until the parent lets go or kills
}

#[test]
fn a_second_writer_is_refused_with_the_holders_process_and_a_killed_holder_holds_no_longer() {
    let (_folder, directory) = directory();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "directory::tests::lock::hold_the_lock_for_another_process"])
        .env(HOLD, directory.root())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let held = BufReader::new(child.stderr.take().unwrap()).lines().any(|line| line.unwrap() == "held");
    assert!(held);
    let error = directory.lock().unwrap_err();
    assert!(matches!(error, Error::Locked { .. }));
    assert!(error.to_string().contains(&format!("process {}", child.id())), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    directory.lock().unwrap();
}

#[test]
fn the_lock_excludes_within_one_process_too_and_ends_with_its_guard() {
    let (_folder, directory) = directory();
    let first = directory.lock().unwrap();
    assert!(matches!(directory.lock().unwrap_err(), Error::Locked { .. }));
    drop(first);
    directory.lock().unwrap();
}

#[test]
#[should_panic(expected = "another data directory's")]
fn a_lock_of_another_directory_does_not_publish() {
    let ((_a, first), (_b, second)) = (directory(), directory());
    let lock = first.lock().unwrap();
    let _ = second.publish(&lock, |_| {});
}
