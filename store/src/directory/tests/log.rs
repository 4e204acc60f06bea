//! The log within a data directory.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Command, Stdio},
};

use super::{super::DataDirectory, directory, publish_table};
use crate::{
    error::Error,
    log::{Log, LogSettings, Sequence},
};

const APPEND_IN: &str = "GANNET_TEST_APPEND_IN";

fn open(directory: &DataDirectory) -> Result<(Log, Vec<Vec<u8>>), Error> {
    let settings = LogSettings { segment_bytes: 1 << 20, batch_bytes: 64 << 10, ..LogSettings::default() };
    let mut payloads = Vec::new();
    let mut each = |record: crate::log::Record<'_>| {
        payloads.push(record.payload.to_vec());
        Ok(())
    };
    let (log, _) = directory.open_log(settings, Sequence::default(), &mut each)?;
    Ok((log, payloads))
}

#[test]
fn a_directory_has_no_log_before_it_is_opened_and_publishing_goes_on_beside_it() {
    let (_folder, directory) = directory();
    assert_eq!(directory.read_log(Sequence::default(), &mut |_| Ok(())).unwrap(), None);
    let (mut log, _) = open(&directory).unwrap();
    log.append(&[b"a"]).unwrap();
    log.commit().unwrap();
    publish_table(&directory, "t");
    let lock = directory.lock().unwrap();
    directory.collect_garbage(&lock, 1).unwrap();
    drop(lock);
    assert_eq!(directory.read_log(Sequence::default(), &mut |_| Ok(())).unwrap().unwrap().records, 1);
    assert!(DataDirectory::create(directory.root()).is_ok(), "opened, as it is one already");
}

/// A log of several files, in none of which anything is in a generation; the names of its files.
fn several_files(directory: &DataDirectory) -> Vec<PathBuf> {
    let (mut log, _) = open(directory).unwrap();
    for _ in 0..70 {
        log.append(&[&[7; 50_000]]).unwrap();
        log.commit().unwrap();
    }
    drop(log);
    let (log, payloads) = open(directory).unwrap();
    assert_eq!(payloads.len(), 70);
    let files: Vec<_> = (1..=log.last_file().number)
        .map(|number| directory.root().join("log").join(crate::log::file_name(number)))
        .collect();
    assert!(files.len() >= 3 && files.iter().all(|file| file.exists()), "{files:?}");
    files
}

#[test]
fn a_log_of_which_files_are_gone_is_refused_by_their_names() {
    let check = |gone: &dyn Fn(usize, usize) -> bool, expected: &str, found: &str| {
        let (_folder, directory) = directory();
        let files = several_files(&directory);
        for (_, file) in files.iter().enumerate().filter(|(at, _)| gone(*at, files.len())) {
            fs::remove_file(file).unwrap();
        }
        let read = directory.read_log(Sequence::default(), &mut |_| Ok(())).map(drop);
        for refused in [open(&directory).map(drop), read] {
            let Err(Error::Corrupt(corrupt)) = refused else { panic!("{expected}: {refused:?}") };
            assert!(corrupt.expected.contains(expected) && corrupt.found.contains(found), "{corrupt}");
        }
    };
    check(&|at, _| at == 0, "record 1, in a file before 0000000002.log", "0000000002.log as the first");
    check(&|at, _| at == 1, "0000000002.log", "0000000001.log and 0000000003.log without it");
    check(&|at, files| at + 1 == files, "the write log's files up to 000000000", ".log as the last");
    check(&|_, _| true, "the write log's files up to 000000000", "none of them");
}

#[test]
fn a_log_whose_folder_is_gone_or_another_ones_is_refused() {
    let (_folder, one) = directory();
    several_files(&one);
    let (_folder, other) = directory();
    several_files(&other);
    fs::remove_dir_all(one.root().join("log")).unwrap();
    let Err(Error::Corrupt(corrupt)) = open(&one) else { panic!("it is gone") };
    assert_eq!(corrupt.found, "none of them");
    fs::rename(other.root().join("log"), one.root().join("log")).unwrap();
    let Err(Error::Corrupt(corrupt)) = open(&one) else { panic!("it is another one's") };
    assert!(corrupt.found.starts_with("those of write log "), "{corrupt}");
}

#[test]
fn a_log_is_given_up_only_if_it_cannot_be_read_and_is_put_aside() {
    let settings = LogSettings { segment_bytes: 1 << 20, batch_bytes: 64 << 10, ..LogSettings::default() };
    let (_folder, directory) = directory();
    let files = several_files(&directory);
    assert_eq!(directory.give_up_log(settings, Sequence::default()).unwrap(), None);
    let (log, _) = open(&directory).unwrap();
    assert!(matches!(directory.give_up_log(settings, Sequence::default()), Err(Error::Locked { .. })));
    drop(log);
    let from = Sequence(20);
    for (round, aside) in ["log.given-up-1", "log.given-up-2"].into_iter().enumerate() {
        fs::remove_file(&files[round]).unwrap();
        let from = Sequence(if round == 0 { 0 } else { from.0 });
        let given_up = directory.give_up_log(settings, from).unwrap().unwrap();
        assert_eq!(given_up.folder, Some(directory.root().join(aside)));
        let mut each = |_: crate::log::Record<'_>| panic!("nothing is behind it");
        let (mut log, read) = directory.open_log(settings, from, &mut each).unwrap();
        assert!(read.last > from && read.was_closed, "{read:?}");
        // What is written from here on is behind it, and read back.
        log.append(&[b"after"]).unwrap();
        let written = log.commit().unwrap();
        drop(log);
        let mut found = Vec::new();
        directory
            .read_log(from, &mut |record| {
                found.push((record.sequence, record.payload.to_vec()));
                Ok(())
            })
            .unwrap();
        assert_eq!(found, [(written, b"after".to_vec())]);
        fs::write(directory.root().join("log").join(crate::log::file_name(2)), "rot").unwrap();
    }
    // With nothing left there is nothing to put aside.
    fs::remove_dir_all(directory.root().join("log")).unwrap();
    let given_up = directory.give_up_log(settings, from).unwrap().unwrap();
    assert_eq!(given_up.folder, None);
    assert!(directory.open_log(settings, from, &mut |_| Ok(())).is_ok());
}

/// Not a test of its own: the process that the next one kills. Without the variable it does nothing.
#[test]
fn append_until_killed() {
    let Ok(root) = std::env::var(APPEND_IN) else { return };
    let (mut log, payloads) = open(&DataDirectory::open(root).unwrap()).unwrap();
    for number in payloads.len().. {
        log.append(&[&number.to_le_bytes(), &vec![7; number % 3000]]).unwrap();
        if number % 3 == 0 {
            log.commit().unwrap();
            // Gone with its reader is as good as killed.
            if std::io::stderr().write_all(format!("committed {number}\n").as_bytes()).is_err() {
                return;
            }
        }
    }
}

#[test]
fn a_process_killed_while_it_appends_loses_nothing_that_it_acknowledged_and_holds_the_log_no_longer() {
    let (_folder, directory) = directory();
    let mut acknowledged = 0;
    for round in 1..=8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "directory::tests::log::append_until_killed"])
            .env(APPEND_IN, directory.root())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        let committed = |line: String| line.strip_prefix("committed ").map(|number| number.parse::<usize>().unwrap());
        let mut lines = said.lines().map_while(Result::ok).filter_map(committed);
        acknowledged = lines.nth(round * 5).unwrap();
        if round == 1 {
            let Err(Error::Locked { holder, .. }) = open(&directory) else { panic!("two have the log open") };
            assert_eq!(holder, format!("process {}", child.id()));
        }
        child.kill().unwrap();
        acknowledged = lines.last().unwrap_or(acknowledged); // what it said before it died
        child.wait().unwrap();
        let (_, payloads) = open(&directory).unwrap();
        assert!(payloads.len() > acknowledged, "{} records, and {acknowledged} was acknowledged", payloads.len());
        for (number, payload) in payloads.iter().enumerate() {
            assert!(payload[..8] == number.to_le_bytes() && payload.len() == 8 + number % 3000, "record {number}");
        }
    }
    assert!(acknowledged > 100);
}
