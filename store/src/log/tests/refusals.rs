//! Logs that are not what the caller says, or not whole.

use super::*;

/// Four segments, each with a batch of two blocks.
fn four_segments() -> SimulatedDisk {
    let (disk, mut log) = new_log();
    for number in 0..4 {
        commit(&mut log, &[number; 5000]);
    }
    log.close().unwrap();
    assert!(disk.contents(&segment(4)).is_some());
    disk
}

fn corrupt(read: Result<(Records, Recovered), Error>) -> (String, String, String) {
    match read {
        Err(Error::Corrupt(corrupt)) => (corrupt.file, corrupt.expected, corrupt.found),
        other => panic!("{:?}", other.map(|(read, _)| read.len())),
    }
}

#[test]
fn a_log_that_ends_before_what_a_generation_holds_is_refused() {
    let disk = four_segments();
    let last = records(&disk, 0).unwrap().1.last.0;
    assert_eq!(records(&disk, last).unwrap().0, []);
    let (file, expected, found) = corrupt(records(&disk, last + 1));
    assert_eq!(file, segment(4).display().to_string());
    assert!(expected.starts_with(&format!("record {}, as records up to {}", last + 1, last + 1)), "{expected}");
    assert_eq!(found, "no such record");
}

#[test]
fn a_log_that_begins_behind_what_a_generation_holds_is_refused() {
    let disk = four_segments();
    disk.remove_file(&segment(1)).unwrap();
    let (_, expected, found) = corrupt(records(&disk, 0));
    assert_eq!(expected, "record 1, in a file before 0000000002.log");
    let first = found.strip_prefix("0000000002.log as the first, whose records begin with ").unwrap();
    let first: u64 = first.parse().unwrap();
    assert_eq!(records(&disk, first - 1).unwrap().0.first().unwrap().0, first);
}

#[test]
fn a_log_that_is_gone_is_refused_unless_nothing_was_in_it() {
    let disk = four_segments();
    for number in 1..=disk_segments(&disk) {
        disk.remove_file(&segment(number)).unwrap();
    }
    assert_eq!(corrupt(records(&disk, 3)).2, "none");
    open(&disk, 0).unwrap();
}

fn disk_segments(disk: &SimulatedDisk) -> u64 {
    (1..).take_while(|&number| disk.contents(&segment(number)).is_some()).count() as u64
}

#[test]
fn a_segment_that_is_missing_is_named() {
    let disk = four_segments();
    disk.remove_file(&segment(2)).unwrap();
    let (_, expected, found) = corrupt(records(&disk, 0));
    assert_eq!((expected.as_str(), found.as_str()), ("0000000002.log", "0000000001.log and 0000000003.log without it"));
}

#[test]
fn a_segment_under_another_name_or_of_another_log_is_refused() {
    let disk = four_segments();
    let second = disk.contents(&segment(2)).unwrap();
    disk.put(&segment(3), &second);
    assert_eq!(corrupt(records(&disk, 0)).1, "segment 3");

    let disk = four_segments();
    let other = SimulatedDisk::new();
    let settings = LogSettings { id: 7, ..SMALL };
    let (mut log, _) = open_as(&other, settings, 0).unwrap();
    for number in 0..5 {
        commit(&mut log, &[number; 5000]);
    }
    disk.put(&segment(3), &other.contents(&segment(3)).unwrap());
    assert_eq!(corrupt(records(&disk, 0)).1, "log 0000000000001096");
}

#[test]
fn an_earlier_state_of_a_segment_is_refused() {
    let (disk, mut log) = new_log();
    commit(&mut log, b"a");
    let earlier = disk.contents(&segment(1)).unwrap();
    commit(&mut log, b"b");
    commit(&mut log, b"c");
    drop(log);
    disk.put(&segment(1), &earlier);
    assert!(corrupt(records(&disk, 0)).1.starts_with("record 3, as records up to 3 were"));
}

#[test]
fn a_log_of_another_version_is_named_and_not_called_damaged() {
    let (disk, log) = new_log();
    drop(log);
    damage(&disk, &segment(1), |bytes| {
        bytes[8] = 2;
        let checksum = xxhash_rust::xxh3::xxh3_64_with_seed(&bytes[..4088], 0x676f_6c74_656e_6e61);
        bytes[4088..4096].copy_from_slice(&checksum.to_le_bytes());
    });
    let refused = records(&disk, 0);
    assert!(matches!(refused, Err(Error::Unsupported { found: 2, supported: 1, .. })), "{refused:?}");
}

#[test]
fn damage_in_what_is_no_longer_needed_does_not_matter_and_is_freed() {
    let disk = four_segments();
    let last = records(&disk, 0).unwrap().1.last.0;
    damage(&disk, &segment(1), |bytes| bytes.fill(9));
    assert!(records(&disk, 0).is_err());
    let (mut log, recovered) = open(&disk, last).unwrap();
    assert_eq!(recovered.records, 0);
    log.free_before(Sequence(last + 1)).unwrap();
    assert_eq!(disk.contents(&segment(1)), None);
}
