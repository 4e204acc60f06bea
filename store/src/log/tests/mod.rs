mod damage;
mod golden;
mod openings;
mod refusals;
mod segments;
mod tails;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Log, LogSettings, Recovered, Sequence, read, segment::segment_file};
use crate::{
    disk::{Disk, simulated::SimulatedDisk},
    error::Error,
    limits::BLOCK_BYTES,
};

const FOLDER: &str = "/log";

/// Segments of a header and three blocks, batches of two.
const SMALL: LogSettings =
    LogSettings { segment_bytes: 4 * BLOCK_BYTES as u64, batch_bytes: 2 * BLOCK_BYTES, id: 0x1096 };

/// Segments in which everything of a test stands one behind the other.
const ROOMY: LogSettings = LogSettings { segment_bytes: 12 * BLOCK_BYTES as u64, ..SMALL };

fn open_as(disk: &SimulatedDisk, settings: LogSettings, from: u64) -> Result<(Log, Recovered), Error> {
    Log::open(Arc::new(disk.clone()), Path::new(FOLDER), settings, Sequence(from), &mut |_| Ok(()))
}

fn open(disk: &SimulatedDisk, from: u64) -> Result<(Log, Recovered), Error> {
    open_as(disk, SMALL, from)
}

/// A log on a new disk.
fn new_log() -> (SimulatedDisk, Log) {
    new_log_as(SMALL)
}

fn new_log_as(settings: LogSettings) -> (SimulatedDisk, Log) {
    let disk = SimulatedDisk::new();
    let (log, _) = open_as(&disk, settings, 0).unwrap();
    (disk, log)
}

fn segment(number: u64) -> PathBuf {
    segment_file(Path::new(FOLDER), number)
}

/// Sequences and payloads.
type Records = Vec<(u64, Vec<u8>)>;

/// Appends and commits one record by itself.
fn commit(log: &mut Log, payload: &[u8]) -> u64 {
    log.append(&[payload]).unwrap();
    log.commit().unwrap().0
}

/// Everything behind `from`, without writing anything.
fn records(disk: &SimulatedDisk, from: u64) -> Result<(Records, Recovered), Error> {
    let mut records = Vec::new();
    let recovered = read(disk, Path::new(FOLDER), Sequence(from), &mut |record| {
        records.push((record.sequence.0, record.payload.to_vec()));
        Ok(())
    })?;
    Ok((records, recovered))
}

fn payloads(disk: &SimulatedDisk) -> Vec<String> {
    let text = |(_, payload): (u64, Vec<u8>)| String::from_utf8(payload).unwrap();
    records(disk, 0).unwrap().0.into_iter().map(text).collect()
}

/// Changes bytes of a file behind everybody's back.
fn damage(disk: &SimulatedDisk, file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = disk.contents(file).unwrap();
    change(&mut bytes);
    disk.put(file, &bytes);
}

/// Where in a file a payload stands.
fn place(disk: &SimulatedDisk, file: &Path, payload: &str) -> usize {
    let bytes = disk.contents(file).unwrap();
    bytes.windows(payload.len()).position(|window| window == payload.as_bytes()).unwrap()
}
