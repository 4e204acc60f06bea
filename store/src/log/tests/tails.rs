//! Where the log ends: torn, rotten, cut and cut again.

use super::{
    super::{Batch, Files, files, recovery},
    *,
};
use crate::disk::simulated::{Choices, Fault};

/// A log of three batches, none vouching for the last.
fn three_batches() -> (SimulatedDisk, Log) {
    let (disk, mut log) = new_log_as(ROOMY);
    for payload in ["first", "second", "third"] {
        commit(&mut log, payload.as_bytes());
    }
    (disk, log)
}

fn flip(disk: &SimulatedDisk, payload: &str) {
    let at = place(disk, &segment(1), payload);
    damage(disk, &segment(1), |bytes| bytes[at] ^= 1);
}

#[test]
fn rot_in_a_batch_that_a_later_one_vouches_for_is_refused_with_its_place() {
    for payload in ["first", "second"] {
        let (disk, log) = three_batches();
        drop(log);
        let at = place(&disk, &segment(1), payload) as u64;
        flip(&disk, payload);
        let Err(Error::Corrupt(corrupt)) = records(&disk, 0) else { panic!("{payload}") };
        assert_eq!((corrupt.file, corrupt.offset), (segment(1).display().to_string(), at - 56));
        assert_eq!(corrupt.found, "one that does not match its checksums");
    }
}

/// The limit of the rule, as `docs/format.md` states it.
#[test]
fn rot_in_the_last_batch_looks_like_a_tear_until_something_vouches_for_it() {
    let (disk, log) = three_batches();
    drop(log);
    flip(&disk, "third");
    assert_eq!(payloads(&disk), ["first", "second"]);
    for vouch in [|mut log: Log| assert!(log.heartbeat().unwrap()), |log: Log| log.close().unwrap()] {
        let (disk, log) = three_batches();
        vouch(log);
        flip(&disk, "third");
        assert!(matches!(records(&disk, 0), Err(Error::Corrupt(_))));
    }
}

#[test]
fn a_tail_that_is_cut_is_told_once() {
    let (disk, log) = three_batches();
    drop(log);
    flip(&disk, "third");
    let (log, recovered) = open_as(&disk, ROOMY, 0).unwrap();
    let cut = recovered.cut.unwrap();
    let end = place(&disk, &segment(1), "second") as u64 + 8;
    assert_eq!((cut.file, cut.offset, cut.offset + cut.bytes), (segment(1), end, 5 * 4096));
    drop(log);
    let (_, recovered) = open_as(&disk, ROOMY, 0).unwrap();
    assert_eq!((recovered.cut, recovered.records), (None, 2));
}

/// A batch of two records alike, a block each; of the first one nothing reached the disk.
fn torn_batch() -> (SimulatedDisk, Vec<u8>) {
    let (disk, mut log) = new_log_as(ROOMY);
    let payload = vec![b'x'; BLOCK_BYTES - 56];
    log.append(&[&payload]).unwrap();
    log.append(&[&payload]).unwrap();
    log.commit().unwrap();
    damage(&disk, &segment(1), |bytes| bytes[2 * BLOCK_BYTES..3 * BLOCK_BYTES].fill(0));
    (disk, payload)
}

/// The batch after the cut has the same bytes as the record that was lost, and behind it still stands what came after that.
#[test]
fn what_was_cut_stays_cut_when_the_same_is_written_again() {
    let (disk, payload) = torn_batch();
    for round in 0..3 {
        let (mut log, recovered) = open_as(&disk, ROOMY, 0).unwrap();
        assert_eq!((recovered.records, recovered.cut.is_some()), (round, round == 0));
        commit(&mut log, &payload);
    }
}

/// What the opening record is for: the same without one.
#[test]
fn without_an_opening_record_what_was_cut_would_come_back() {
    let (disk, payload) = torn_batch();
    let mut log = open_without_record(&disk);
    assert_eq!(commit(&mut log, &payload), 2);
    assert_eq!(records(&disk, 0).unwrap().0, [(2, payload.clone()), (3, payload)]);
}

/// [`Log::open`] but for what it writes.
fn open_without_record(disk: &SimulatedDisk) -> Log {
    let folder = Path::new(FOLDER);
    let listed = files::list(disk, folder).unwrap();
    let (recovered, end) = recovery::read(disk, folder, &listed, Sequence(0), true, &mut |_| Ok(())).unwrap();
    let end = end.unwrap();
    let (epoch, previous) = (end.epoch, end.previous);
    let mut files = Files::new(Arc::new(disk.clone()), folder, ROOMY, &listed).unwrap();
    let active = files.resume(end);
    let (batch, committed) = (Batch::new(ROOMY.batch_bytes), recovered.last);
    let lock = disk.lock(&folder.join("LOCK")).unwrap();
    let to_begin = None;
    Log { files, active, batch, epoch, to_begin, committed, previous, is_unvouched: false, poisoned: None, _lock: lock }
}

/// Written by a program that is wrong, as no disk could make it up: everything checks out, and the epoch is not that of the opening.
#[test]
fn a_record_of_another_epoch_does_not_belong() {
    for change in [-1, 1] {
        let (disk, log) = new_log_as(ROOMY);
        drop(log);
        let (mut log, _) = open_as(&disk, ROOMY, 0).unwrap();
        commit(&mut log, b"of this epoch");
        log.epoch = log.epoch.checked_add_signed(change).unwrap();
        commit(&mut log, b"of another");
        assert_eq!(payloads(&disk), ["of this epoch"]);
    }
}

#[test]
fn a_failed_write_or_sync_poisons_for_good_and_opening_again_heals() {
    for at in [0, 1] {
        for fault in [Fault::Failure, Fault::Full, Fault::ShortWrite] {
            let (disk, mut log) = new_log();
            commit(&mut log, b"before");
            log.append(&[b"unknown"]).unwrap();
            disk.fail_at(at, fault, 0);
            let failed = log.commit();
            assert!(matches!(failed, Err(Error::Poisoned { .. })), "{failed:?}");
            assert!(log.is_poisoned());
            for refused in
                [log.commit().map(drop), log.append(&[]).map(drop), log.prepare(), log.free_before(Sequence(1))]
            {
                assert!(matches!(refused, Err(Error::Poisoned { .. })), "{refused:?}");
            }
            assert!(matches!(log.close(), Err(Error::Poisoned { .. })));
            let (mut log, _) = open(&disk, 0).unwrap();
            commit(&mut log, b"after");
            let read = payloads(&disk);
            assert!(read == ["before", "after"] || read == ["before", "unknown", "after"], "{read:?}");
        }
    }
}

#[test]
fn what_was_written_and_not_synced_counts_once_it_was_read_back() {
    let (disk, mut log) = new_log();
    log.append(&[b"unsynced"]).unwrap();
    disk.fail_at(1, Fault::Crash, 0); // in its sync
    assert!(log.commit().is_err());
    disk.kill();
    let (log, recovered) = open(&disk, 0).unwrap();
    assert_eq!(recovered.records, 1);
    drop(log);
    for seed in 0..50 {
        let copy = disk.copy();
        copy.crash(&mut Choices::seeded(seed));
        assert_eq!(payloads(&copy), ["unsynced"]);
    }
}
