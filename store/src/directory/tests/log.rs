//! The log within a data directory.

use std::{
    io::{BufRead, BufReader, Write},
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
