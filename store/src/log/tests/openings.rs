//! Appending, committing, opening again.

use super::*;
use crate::{disk::SystemDisk, limits::LOG_PAYLOAD_BYTES_MAX};

#[test]
fn what_was_committed_is_read_back_in_order_and_what_was_not_is_not() {
    let (disk, mut log) = new_log();
    assert_eq!(log.committed(), Sequence(1), "the opening");
    assert_eq!(log.append(&[b"a", b"", b"b"]).unwrap(), Sequence(2));
    assert_eq!(log.append(&[]).unwrap(), Sequence(3));
    assert_eq!(log.commit().unwrap(), Sequence(3));
    assert_eq!(log.commit().unwrap(), Sequence(3), "nothing to do");
    log.append(&[b"not committed"]).unwrap();
    drop(log);
    let (read, recovered) = records(&disk, 0).unwrap();
    assert_eq!(read, [(2, b"ab".to_vec()), (3, Vec::new())]);
    assert_eq!(recovered, Recovered { last: Sequence(3), records: 2, cut: None, was_closed: false });
    assert_eq!(records(&disk, 2).unwrap().0, [(3, Vec::new())]);
}

#[test]
fn a_closed_log_says_so_and_commits_the_rest() {
    let (disk, mut log) = new_log();
    log.append(&[b"last"]).unwrap();
    log.close().unwrap();
    let (read, recovered) = records(&disk, 0).unwrap();
    assert_eq!((read.len(), recovered.was_closed, recovered.last), (1, true, Sequence(3)));
    let (log, recovered) = open(&disk, 0).unwrap();
    assert!(recovered.was_closed);
    drop(log);
    assert!(!records(&disk, 0).unwrap().1.was_closed, "opened since");
}

#[test]
fn a_second_process_is_refused_and_one_that_died_holds_nothing() {
    let (disk, log) = new_log();
    assert!(matches!(open(&disk, 0), Err(Error::Locked { .. })));
    disk.kill();
    open(&disk, 0).unwrap();
    drop(log);
}

#[test]
fn a_record_that_is_too_long_is_refused_and_a_full_batch_says_so() {
    let (_disk, mut log) = new_log();
    let room = 2 * BLOCK_BYTES - 56;
    let refused = log.append(&[&vec![1; room + 1]]);
    assert!(matches!(refused, Err(Error::TooLarge { max: 8192, .. })), "{refused:?}");
    let refused = log.append(&[&vec![1; LOG_PAYLOAD_BYTES_MAX + 1]]);
    assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
    assert!(log.has_room(room) && !log.has_room(room + 1));
    let whole = log.append(&[&vec![1; room]]).unwrap();
    assert!(matches!(log.append(&[]), Err(Error::BatchFull)));
    assert_eq!((log.commit().unwrap(), log.batch_bytes()), (whole, 0));
}

#[test]
fn a_heartbeat_is_written_once_behind_data_and_not_at_all_without() {
    let (disk, mut log) = new_log();
    assert!(!log.heartbeat().unwrap());
    commit(&mut log, b"a");
    assert!(log.heartbeat().unwrap());
    assert!(!log.heartbeat().unwrap());
    log.append(&[b"b"]).unwrap();
    assert!(!log.heartbeat().unwrap(), "what waits to be committed will vouch");
    drop(log);
    assert_eq!(records(&disk, 0).unwrap().1.last, Sequence(3));
}

#[test]
fn what_the_caller_refuses_is_the_error_and_nothing_is_written() {
    let (disk, mut log) = new_log();
    commit(&mut log, b"a");
    drop(log);
    let before = disk.contents(&segment(1));
    let refused =
        Log::open(Arc::new(disk.clone()), Path::new(FOLDER), SMALL, Sequence(0), &mut |_| Err(Error::NotARow));
    assert!(matches!(refused, Err(Error::NotARow)));
    assert_eq!(disk.contents(&segment(1)), before);
}

/// On the real disk, with segments as they are but for their size.
#[test]
fn a_log_in_files_is_read_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("log");
    let settings = LogSettings { segment_bytes: 8 << 20, batch_bytes: 4 << 20, ..LogSettings::default() };
    let payload = |number: usize| vec![u8::try_from(number % 251).unwrap(); 1 + number * 7919 % 300_000];
    let (mut log, _) = Log::open(Arc::new(SystemDisk), &folder, settings, Sequence(0), &mut |_| Ok(())).unwrap();
    let second = Log::open(Arc::new(SystemDisk), &folder, settings, Sequence(0), &mut |_| Ok(()));
    assert!(matches!(second, Err(Error::Locked { .. })));
    log.prepare().unwrap();
    for number in 0..100 {
        if !log.has_room(payload(number).len()) || number % 10 == 9 {
            log.commit().unwrap();
        }
        log.append(&[&payload(number)]).unwrap();
    }
    log.close().unwrap();
    let mut read = 0;
    let mut each = |record: super::super::Record<'_>| {
        assert!(record.payload == payload(read), "record {read}");
        read += 1;
        Ok(())
    };
    let (mut log, recovered) = Log::open(Arc::new(SystemDisk), &folder, settings, Sequence(0), &mut each).unwrap();
    assert_eq!((read, recovered.was_closed, recovered.cut), (100, true, None));
    let before = log.disk_bytes();
    assert!(before >= 16 << 20, "{before} bytes");
    log.free_before(Sequence(log.committed().0 + 1)).unwrap();
    for number in 0..60 {
        commit(&mut log, &payload(number));
    }
    assert!(log.disk_bytes() <= before + (16 << 20));
}

#[test]
fn a_log_is_opened_on_a_full_disk_and_goes_on_when_there_is_room() {
    let (disk, mut log) = new_log();
    commit(&mut log, b"one");
    commit(&mut log, b"two");
    disk.fill(true);
    log.append(&[b"refused"]).unwrap();
    assert!(matches!(log.commit(), Err(Error::Full { .. })), "its segment is full");
    for _ in 0..2 {
        drop(log);
        disk.kill();
        log = open(&disk, 0).unwrap().0;
        assert!(matches!(log.append(&[b"refused"]), Err(Error::Full { .. })));
        assert!(matches!(log.begin_afresh(), Err(Error::Full { .. })));
        assert_eq!((log.committed(), log.batch_bytes(), log.is_poisoned()), (Sequence(3), 0, false));
    }
    log.close().unwrap();
    assert_eq!(payloads(&disk), ["one", "two"]);
    let (mut log, recovered) = open(&disk, 0).unwrap();
    assert!(!recovered.was_closed, "there was no room to say so");
    disk.fill(false);
    log.begin().unwrap();
    assert_eq!(log.next(), Sequence(5), "behind the opening");
    commit(&mut log, b"three");
    assert_eq!(payloads(&disk), ["one", "two", "three"]);
}
