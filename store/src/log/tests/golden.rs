//! The format, pinned: the writer must reproduce `store/fixtures/log-v1.log` byte for byte, and the reader read that and a torn one.
//!
//! A change that breaks this test changes the format: it needs a new version, new fixtures, and a reader for these.

use super::*;

/// Every kind of record, batches of one and of several, two epochs.
fn golden_log() -> SimulatedDisk {
    let (disk, mut log) = new_log_as(GOLDEN);
    log.append(&[b"one"]).unwrap();
    log.append(&[b"", b"tw", b"o"]).unwrap();
    log.append(&[]).unwrap();
    log.close().unwrap();
    let (mut log, _) = open_as(&disk, GOLDEN, 0).unwrap();
    commit(&mut log, b"behind a closing");
    log.heartbeat().unwrap();
    disk
}

const GOLDEN: LogSettings = LogSettings { segment_bytes: 7 * BLOCK_BYTES as u64, ..SMALL };

/// The golden log whose last two batches are there in part only: of the data all but its first sector, of the heartbeat nothing.
fn torn_log() -> SimulatedDisk {
    let disk = golden_log();
    let at = place(&disk, &segment(1), "behind a closing") - 56;
    damage(&disk, &segment(1), |bytes| {
        bytes[at + 60..at + 512].fill(0);
        bytes[at + BLOCK_BYTES..].fill(0);
    });
    disk
}

fn check_fixture(name: &str, written: &SimulatedDisk) -> SimulatedDisk {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    let written = written.contents(&segment(1)).unwrap();
    if std::env::var_os("GANNET_WRITE_FIXTURES").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    let golden = std::fs::read(&path).unwrap();
    let differs = golden.iter().zip(&written).position(|(golden, written)| golden != written);
    assert_eq!((golden.len(), differs), (written.len(), None));
    let disk = SimulatedDisk::new();
    disk.create_folder(Path::new(FOLDER)).unwrap();
    disk.put(&segment(1), &golden);
    disk
}

#[test]
fn the_golden_log_is_written_and_read() {
    let disk = check_fixture("log-v1.log", &golden_log());
    assert_eq!(payloads(&disk), ["one", "two", "", "behind a closing"]);
    let recovered = records(&disk, 0).unwrap().1;
    assert_eq!(recovered, Recovered { last: Sequence(8), records: 4, cut: None, was_closed: false });
}

#[test]
fn the_torn_golden_log_is_cut_and_goes_on() {
    let disk = check_fixture("log-v1-torn.log", &torn_log());
    assert_eq!(payloads(&disk), ["one", "two", ""]);
    let (mut log, recovered) = open_as(&disk, GOLDEN, 0).unwrap();
    let cut = recovered.cut.unwrap();
    assert_eq!((cut.offset, recovered.last, recovered.records), (4 * 4096 + 56, Sequence(6), 3));
    assert_eq!(commit(&mut log, b"new"), 8);
    assert_eq!(payloads(&disk), ["one", "two", "", "new"]);
}
