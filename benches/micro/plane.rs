//! The storage plane on its threads: how long a durable write takes, and how many rows a second there are, alone and while flushes and
//! compactions run.
//!
//! Goals: p99 of a write at 1,000 a second ≤ 2 × that of the disk's own write and sync; ≥ 250,000 rows/s durable at 100 rows a write.
//! Not the goals: HTTP, and cores that do other things.
//!
//! usage: cargo bench -p gannet-benches --bench plane [-- SECONDS]     (default 3, for each line)
//!
//! `paced` hands a write of one row over every millisecond, `closed` keeps 64 writes of 100 rows under way. `flushing` does so with an
//! overlay so small that there always is a part to be flushed and a delta to be compacted. Times are µs, from handing over to the answer.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench reports and fails loudly")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::{
    path::Path,
    sync::Arc,
    thread::{self, Thread},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use gannet_store::{
    ColumnType, Field, KeyType, Schema,
    directory::DataDirectory,
    disk::{Access, AlignedBuffer, Disk, SystemDisk},
    limits::BLOCK_BYTES,
    plane::{
        Failure, Moment, Plane, PlaneClock, PlaneSettings, StreamTable, StreamTables, Submitter, Write, WriteBuilder,
    },
    row::RowWriter,
    schema::KeyPart,
};

const TABLE: &str = "prod/bench";

fn main() {
    let seconds = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(3);
    let folder = tempfile::tempdir_in(option_env!("CARGO_TARGET_TMPDIR").unwrap_or("target")).unwrap();
    println!(
        "{:<18} {:>9} {:>10} {:>7} {:>7} {:>7} {:>7}  flushes, compactions, refused",
        "", "writes/s", "rows/s", "p50", "p99", "p99.9", "max"
    );
    report("disk, paced", &disk(folder.path(), seconds), 1, seconds, String::new());
    for (name, overlay_budget_bytes) in [("alone", 1 << 30), ("flushing", 8 << 20)] {
        for is_paced in [true, false] {
            let data = folder.path().join(format!("{name}-{is_paced}"));
            let (times, rows, status) = run(&data, overlay_budget_bytes, is_paced, seconds);
            std::fs::remove_dir_all(&data).unwrap();
            let what = format!("{name}, {}", if is_paced { "paced" } else { "closed" });
            report(&what, &times, rows, seconds, status);
        }
    }
}

fn report(what: &str, times: &[u64], rows: u64, seconds: u64, status: String) {
    let mut times = times.to_vec();
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 1000];
    let rate = times.len() as u64 / seconds;
    println!(
        "{what:<18} {rate:>9} {:>10} {:>7} {:>7} {:>7} {:>7}  {status}",
        rate * rows,
        at(500),
        at(990),
        at(999),
        at(1000)
    );
}

/// A direct write of one block and a sync, by itself.
fn disk(folder: &Path, seconds: u64) -> Vec<u64> {
    let mut file = SystemDisk.create(&folder.join("disk"), Access::Direct).unwrap();
    file.reserve(64 << 20).unwrap();
    file.sync().unwrap();
    let (mut block, started, mut times) = (AlignedBuffer::new(BLOCK_BYTES), Instant::now(), Vec::new());
    block.bytes_mut().fill(7);
    for number in 0..seconds * 1000 {
        let due = started + Duration::from_millis(number);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let began = Instant::now();
        file.write_at(block.bytes(), number % 16_000 * BLOCK_BYTES as u64).unwrap();
        file.sync().unwrap();
        times.push(micros(began));
    }
    times
}

fn run(folder: &Path, overlay_budget_bytes: usize, is_paced: bool, seconds: u64) -> (Vec<u64>, u64, String) {
    let data = DataDirectory::create(folder).unwrap();
    let tables = Arc::new(StreamTables::default().with([(TABLE.to_owned(), schema(), None)]));
    let table = Arc::clone(tables.get(TABLE).unwrap());
    let origin = Instant::now();
    let clock = PlaneClock::new(move || {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Moment { monotonic_us: micros(origin), unix_us: i64::try_from(unix.as_micros()).unwrap() }
    });
    let settings = PlaneSettings { overlay_budget_bytes, ..PlaneSettings::new(1, clock) };
    let (plane, mut submitters, _) = Plane::start(data.clone(), settings, tables).unwrap();
    let submitter = submitters.pop().unwrap();
    let core = thread::current();
    submitter.wake_with(Box::new({
        let core: Thread = core.clone();
        move || core.unpark()
    }));
    let rows = if is_paced { 1 } else { 100 };
    let mut maker = Maker { writer: RowWriter::new(&schema()), builder: WriteBuilder::default(), next: 0, rows };
    let (started, mut times, mut refused, mut began) = (Instant::now(), Vec::new(), 0_u64, Vec::new());
    let mut looked = Instant::now();
    while started.elapsed() < Duration::from_secs(seconds) {
        let due = started + Duration::from_millis(began.len() as u64);
        let may = if is_paced { Instant::now() >= due } else { submitter.under_way() < 64 };
        if may {
            let payload = maker.make(&table);
            began.push(if is_paced { due } else { Instant::now() });
            submitter.submit(Write { tag: began.len() as u64 - 1, payload }).unwrap();
        } else {
            let wait = if is_paced { due.saturating_duration_since(Instant::now()) } else { Duration::from_millis(10) };
            thread::park_timeout(wait);
        }
        refused += take(&submitter, &began, &mut times);
        // As a server's main thread does, five times a second.
        if looked.elapsed() > Duration::from_millis(200) {
            looked = Instant::now();
            if let Some(live) = data.current().unwrap() {
                plane.adopted(live.generation);
            }
        }
    }
    while submitter.under_way() > 0 {
        refused += take(&submitter, &began, &mut times);
        thread::park_timeout(Duration::from_millis(1));
    }
    let status = plane.status();
    plane.stop().unwrap();
    (times, rows, format!("{}, {}, {refused}", status.flushes, status.compactions))
}

fn take(submitter: &Submitter, began: &[Instant], times: &mut Vec<u64>) -> u64 {
    let mut refused = 0;
    while let Some(done) = submitter.take_done() {
        match done.outcome {
            Ok(()) => times.push(micros(began[usize::try_from(done.tag).unwrap()])),
            Err(Failure::Full) => refused += 1,
            Err(failure) => panic!("{failure:?}"),
        }
    }
    refused
}

struct Maker {
    writer: RowWriter,
    builder: WriteBuilder,
    next: u64,
    rows: u64,
}

impl Maker {
    /// Rows of keys that come again after a while.
    fn make(&mut self, table: &StreamTable) -> Vec<u8> {
        self.builder.begin(Vec::new(), None);
        for _ in 0..self.rows {
            self.next += 1;
            let key = (self.next.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 300_000).to_le_bytes();
            self.writer.begin(&key, i64::try_from(self.next).unwrap());
            self.writer.float64(0, 0.5);
            self.writer.string(1, "of a row, forty bytes or so of text....");
            self.builder.row(table, self.writer.finish().unwrap());
        }
        self.builder.finish()
    }
}

fn schema() -> Schema {
    let column = |name: &str, column_type| Field { name: name.to_owned(), column_type };
    Schema {
        key: vec![KeyPart { name: "key".to_owned(), key_type: KeyType::Int64 }],
        columns: vec![column("number", ColumnType::Float64), column("text", ColumnType::String)],
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap()
}
