//! Committing records of 100 bytes to the write log in batches of several sizes, beside what the disk takes for the same writes and
//! syncs with nothing around them; and reading the log back.
//!
//! Goals: a commit costs what its write and sync cost; reading back ≥ 500 MB/s. Not the goals: who waits for a commit, and how batches come
//! about.
//!
//! usage: cargo bench -p gannet-benches --bench log [-- COMMITS]     (default 2000, for each size of batch)
//!
//! Files are made below `target/`, because `/tmp` is often in memory. `log` is append and commit; `disk` one write of as many blocks at the
//! next place and a sync, turn by turn with it. `again` writes the same block each time: what a log would do that fills its last block up.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench reports and fails loudly")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::{hint::black_box, path::Path, sync::Arc, time::Instant};

use gannet_store::{
    disk::{Access, AlignedBuffer, Disk, DiskFile, SystemDisk},
    limits::BLOCK_BYTES,
    log::{Log, LogSettings, Sequence},
};

const RECORD: [u8; 100] = [7; 100];
const BATCHES: [usize; 4] = [1, 16, 256, 4096];
/// As many bytes as a batch's own, so that the disk's turn wraps around now and then, as the log's does.
const FILE_BYTES: u64 = 64 << 20;

fn main() {
    let commits = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(2000);
    let folder = tempfile::tempdir_in(option_env!("CARGO_TARGET_TMPDIR").unwrap_or("target")).unwrap();
    println!("{commits} commits each; µs per commit");
    println!(
        "{:>8}  {:>8} {:>8} {:>8}  {:>8} {:>8}  {:>8} {:>8}  {:>10} {:>8}",
        "records", "log p50", "p99", "blocks", "disk p50", "p99", "again", "p99", "records/s", "MB/s"
    );
    for records in BATCHES {
        report(&folder.path().join(records.to_string()), records, commits);
    }
}

fn report(folder: &Path, records: usize, commits: usize) {
    std::fs::create_dir(folder).unwrap();
    let log_folder = folder.join("log");
    let mut log = open(&log_folder);
    log.prepare().unwrap();
    let batch_bytes = (records * (56 + RECORD.len()).next_multiple_of(8)).next_multiple_of(BLOCK_BYTES);
    let (mut next, mut again) = (Raw::new(folder, "next", batch_bytes), Raw::new(folder, "again", BLOCK_BYTES));
    let (mut of_log, mut of_disk, mut of_again) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..commits {
        of_log.push(timed(|| {
            for _ in 0..records {
                log.append(&[black_box(&RECORD)]).unwrap();
            }
            log.commit().unwrap();
        }));
        of_disk.push(timed(|| next.write_next()));
        of_again.push(timed(|| again.write_again()));
        // Between commits, as whoever drives it would.
        log.free_before(Sequence(log.committed().0 + 1)).unwrap();
        log.prepare().unwrap();
    }
    let seconds = of_log.iter().sum::<f64>() / 1e6;
    let (rate, megabytes) = ((records * commits) as f64 / seconds, (records * commits * 100) as f64 / 1e6 / seconds);
    let percentiles = |times: &mut Vec<f64>| {
        times.sort_unstable_by(f64::total_cmp);
        (times[times.len() / 2], times[times.len() * 99 / 100])
    };
    let (log_p50, log_p99) = percentiles(&mut of_log);
    let (disk_p50, disk_p99) = percentiles(&mut of_disk);
    let (again_p50, again_p99) = percentiles(&mut of_again);
    println!(
        "{records:>8}  {log_p50:>8.0} {log_p99:>8.0} {:>8}  {disk_p50:>8.0} {disk_p99:>8.0}  {again_p50:>8.0} {again_p99:>8.0}  {rate:>10.0} {megabytes:>8.1}",
        batch_bytes / BLOCK_BYTES
    );
    if records == BATCHES[BATCHES.len() - 1] {
        report_reading_back(&folder.join("whole"));
    }
}

/// 256 MiB of log, closed and opened again.
fn report_reading_back(folder: &Path) {
    let mut log = open(folder);
    for _ in 0..400 {
        for _ in 0..4096 {
            log.append(&[&RECORD]).unwrap();
        }
        log.commit().unwrap();
    }
    let bytes = log.disk_bytes();
    log.close().unwrap();
    let mut records = 0;
    let mut opened = None;
    let took = timed(|| opened = Some(open_with(folder, Sequence(0), &mut records)));
    println!("read back: {records} records in {bytes} bytes of log, {:.0} MB/s", bytes as f64 / took);
    let from = opened.take().unwrap().committed();
    let took = timed(|| opened = Some(open_with(folder, from, &mut records)));
    println!("opened with nothing to read back: {:.1} ms", took / 1000.0);
}

fn open(folder: &Path) -> Log {
    open_with(folder, Sequence(0), &mut 0)
}

fn open_with(folder: &Path, from: Sequence, records: &mut u64) -> Log {
    let mut each = |record: gannet_store::log::Record<'_>| {
        *records += u64::from(black_box(record.payload).len() == RECORD.len());
        Ok(())
    };
    Log::open(Arc::new(SystemDisk), folder, LogSettings::default(), from, &mut each).unwrap().0
}

/// A file written to directly.
struct Raw {
    file: Box<dyn DiskFile>,
    block: AlignedBuffer,
    at: u64,
}

impl Raw {
    fn new(folder: &Path, name: &str, bytes: usize) -> Self {
        let mut file = SystemDisk.create(&folder.join(name), Access::Direct).unwrap();
        file.reserve(FILE_BYTES).unwrap();
        file.sync().unwrap();
        let mut block = AlignedBuffer::new(bytes);
        block.bytes_mut().fill(7);
        Self { file, block, at: 0 }
    }

    fn write_next(&mut self) {
        self.write_again();
        self.at += self.block.bytes().len() as u64;
        if self.at + self.block.bytes().len() as u64 > FILE_BYTES {
            self.at = 0;
        }
    }

    fn write_again(&mut self) {
        self.file.write_at(self.block.bytes(), self.at).unwrap();
        self.file.sync().unwrap();
    }
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64() * 1e6
}
