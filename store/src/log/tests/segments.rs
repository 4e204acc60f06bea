//! Segments: how they follow each other, are freed and used again.

use super::*;
use crate::disk::simulated::{Choices, Fault};

fn names(disk: &SimulatedDisk) -> Vec<String> {
    disk.list(Path::new(FOLDER)).unwrap().into_iter().map(|entry| entry.name).collect()
}

#[test]
fn a_batch_that_does_not_fit_begins_the_next_segment() {
    let (disk, mut log) = new_log();
    assert_eq!(names(&disk), ["0000000001.log"]);
    commit(&mut log, &[1; 5000]); // two blocks; the opening has one of three
    commit(&mut log, b"next");
    assert_eq!(names(&disk), ["0000000001.log", "0000000002.log"]);
    assert_eq!(log.disk_bytes(), 2 * SMALL.segment_bytes);
    assert_eq!(records(&disk, 0).unwrap().0.len(), 2);
}

#[test]
fn only_segments_whose_records_are_all_covered_are_freed_and_never_the_last() {
    let (disk, mut log) = new_log();
    let last: Vec<u64> = (0..4).map(|number| commit(&mut log, &[number; 5000])).collect();
    log.free_before(Sequence(last[0])).unwrap();
    assert_eq!(names(&disk).len(), 4, "record {} is not before itself", last[0]);
    log.free_before(Sequence(last[0] + 1)).unwrap();
    assert_eq!(names(&disk), ["0000000000.spare", "0000000002.log", "0000000003.log", "0000000004.log"]);
    log.free_before(Sequence(u64::MAX)).unwrap();
    assert_eq!(names(&disk), ["0000000000.spare", "0000000001.spare", "0000000004.log"], "no more spares than that");
    assert_eq!(records(&disk, last[2]).unwrap().0.len(), 1);
}

#[test]
fn what_was_freed_stays_freed_after_a_crash() {
    let (disk, mut log) = new_log();
    for number in 0..5 {
        commit(&mut log, &[number; 5000]);
    }
    log.free_before(Sequence(u64::MAX)).unwrap();
    for seed in 0..20 {
        let copy = disk.copy();
        copy.crash(&mut Choices::seeded(seed));
        assert_eq!(names(&copy), ["0000000000.spare", "0000000001.spare", "0000000005.log"]);
    }
}

#[test]
fn records_of_a_segments_earlier_life_are_not_read() {
    let (disk, mut log) = new_log();
    for number in 0..20 {
        commit(&mut log, &[number; 1000]);
        commit(&mut log, &[number; 3000]);
        let covered = log.committed();
        log.free_before(Sequence(covered.0 + 1)).unwrap();
        commit(&mut log, &[number; 2000]);
        let copy = disk.copy();
        copy.kill();
        let (read, recovered) = records(&copy, covered.0).unwrap();
        assert_eq!(read, [(covered.0 + 1, vec![number; 2000])]);
        assert_eq!((recovered.cut, recovered.last), (None, Sequence(covered.0 + 1)));
    }
    assert!(disk.contents(&segment(3)).is_none() && names(&disk).len() <= 4, "{:?}", names(&disk));
}

#[test]
fn a_prepared_segment_is_used_and_survives_a_restart() {
    let (disk, mut log) = new_log();
    log.prepare().unwrap();
    log.prepare().unwrap();
    assert_eq!(names(&disk), ["0000000000.spare", "0000000001.log"]);
    drop(log);
    let (mut log, _) = open(&disk, 0).unwrap();
    disk.fail_at(u64::MAX, Fault::Failure, 0);
    commit(&mut log, &[1; 5000]);
    assert_eq!(names(&disk), ["0000000001.log", "0000000002.log"]);
    // Opening, header, its sync, name, folder, batch, its sync; then the listing.
    assert_eq!(disk.operations(), 8);
}

#[test]
fn files_that_somebody_removed_are_not_missed() {
    let (disk, mut log) = new_log();
    log.prepare().unwrap();
    disk.remove_file(&Path::new(FOLDER).join("0000000000.spare")).unwrap();
    for number in 0..4 {
        commit(&mut log, &[number; 5000]);
    }
    disk.remove_file(&segment(1)).unwrap();
    log.free_before(Sequence(u64::MAX)).unwrap();
    commit(&mut log, b"goes on");
    assert_eq!(names(&disk), ["0000000002.spare", "0000000003.spare", "0000000004.log"]);
}

#[test]
fn a_full_disk_refuses_the_batch_and_leaves_nothing_behind() {
    let (disk, mut log) = new_log();
    let first = commit(&mut log, &[1; 5000]);
    for at in [0, 1] {
        let sequence = log.append(&[b"refused"]).unwrap();
        disk.fail_at(at, Fault::Full, 0);
        assert!(matches!(log.commit(), Err(Error::Full { .. })));
        assert!(!log.is_poisoned());
        assert_eq!((log.committed().0, log.batch_bytes()), (first, 0));
        assert_eq!(names(&disk), ["0000000001.log"]);
        assert_eq!(sequence.0, first + 1);
    }
    assert_eq!(commit(&mut log, b"taken"), first + 1, "the number is given out again");
    assert_eq!(records(&disk, first).unwrap().0, [(first + 1, b"taken".to_vec())]);
}

#[test]
fn other_sizes_take_over_with_the_next_segment() {
    let (disk, mut log) = new_log();
    log.prepare().unwrap();
    commit(&mut log, b"small");
    drop(log);
    let larger = LogSettings { segment_bytes: 16 * BLOCK_BYTES as u64, batch_bytes: 8 * BLOCK_BYTES, ..SMALL };
    let (mut log, _) = open_as(&disk, larger, 0).unwrap();
    assert_eq!(names(&disk), ["0000000001.log"], "a spare of the old size is of no use");
    commit(&mut log, &[b'l'; 30_000]);
    log.free_before(Sequence(u64::MAX)).unwrap();
    assert_eq!(names(&disk), ["0000000002.log"], "nor is a segment");
    assert_eq!(log.disk_bytes(), larger.segment_bytes);
}

/// Between the publication of what was deleted and the freeing of the log, a process ends and another starts.
#[test]
fn what_was_to_be_erased_is_not_kept_for_use_after_a_start() {
    let (disk, mut log) = new_log();
    commit(&mut log, &[1; 5000]);
    let covered = commit(&mut log, b"secret");
    log.begin_afresh().unwrap();
    drop(log);
    disk.kill();
    let (mut log, _) = open(&disk, covered).unwrap();
    log.free_before(Sequence(covered + 1)).unwrap();
    assert_eq!(names(&disk), ["0000000003.log"]);
}
