//! The plane on its threads, as a server has it.

use std::{
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use tempfile::TempDir;

use super::*;
use crate::{
    levels::Levels,
    log::{LogSettings, Sequence},
    overlay::OverlayReader,
};

/// Real time, as nothing here depends on how much of it goes by.
fn clock() -> PlaneClock {
    #[expect(clippy::disallowed_methods, reason = "a test that runs threads")]
    let start = std::time::Instant::now();
    PlaneClock::new(move || {
        let monotonic_us = u64::try_from(start.elapsed().as_micros()).unwrap();
        Moment { monotonic_us, unix_us: 1_700_000_000_000_000 + monotonic_us.cast_signed() }
    })
}

fn settings() -> PlaneSettings {
    PlaneSettings {
        overlay_budget_bytes: 256 << 10,
        log: LogSettings { segment_bytes: 1 << 20, batch_bytes: 64 << 10, id: 9 },
        log_bytes_max: 4 << 20,
        ..PlaneSettings::new(1, clock())
    }
}

/// A server with one core.
struct Server {
    data: DataDirectory,
    plane: Plane,
    submitter: Submitter,
    woken: Receiver<()>,
    reader: OverlayReader,
    levels: BTreeMap<&'static str, Levels>,
    /// The last record of the log that they hold.
    covered: Sequence,
    generation: u64,
    tables: Arc<StreamTables>,
    recovered: PlaneRecovered,
}

impl Server {
    fn start(folder: &TempDir, settings: PlaneSettings) -> Self {
        let data = DataDirectory::create(folder.path().join("data")).unwrap();
        let tables = Arc::new(tables());
        let (plane, mut submitters, recovered) = Plane::start(data.clone(), settings, Arc::clone(&tables)).unwrap();
        let submitter = submitters.pop().unwrap();
        let (wake, woken) = channel();
        submitter.wake_with(Box::new(move || wake.send(()).unwrap_or_default()));
        let reader = plane.overlay().reader();
        let (levels, covered) = (BTreeMap::new(), Sequence(0));
        let mut server =
            Self { data, plane, submitter, woken, reader, levels, covered, generation: 0, tables, recovered };
        server.adopt();
        server
    }

    fn adopt(&mut self) {
        let Some(live) = self.data.current().unwrap() else { return };
        if live.generation != self.generation {
            (self.generation, self.covered) = (live.generation, Sequence(live.log_position));
            self.levels =
                [PLAIN, SUMS].map(|table| (table, Levels::open(self.data.root(), &live, table).unwrap())).into();
            self.plane.adopted(live.generation);
        }
    }

    fn write(&mut self, payloads: Vec<Vec<u8>>) -> Vec<Result<(), Failure>> {
        let count = payloads.len();
        for (tag, payload) in (0..).zip(payloads) {
            self.submitter.submit(Write { tag, payload }).unwrap();
        }
        let mut outcomes = vec![None; count];
        while outcomes.iter().any(Option::is_none) {
            while let Some(done) = self.submitter.take_done() {
                outcomes[usize::try_from(done.tag).unwrap()] = Some(done.outcome);
            }
            if outcomes.iter().any(Option::is_none) {
                // Writes may wait for a flush, which waits until its generation is read.
                let is_woken = (0..60_000).any(|_| {
                    self.adopt();
                    self.woken.recv_timeout(Duration::from_millis(1)).is_ok()
                });
                assert!(is_woken, "a core is woken when its writes are done");
            }
            self.adopt();
        }
        outcomes.into_iter().flatten().collect()
    }

    /// Goes on as a server does until the plane has come so far.
    fn until(&mut self, is_so: impl Fn(&PlaneStatus) -> bool) {
        for _ in 0..60_000 {
            if is_so(&self.plane.status()) {
                return;
            }
            self.adopt();
            std::thread::park_timeout(Duration::from_millis(1));
        }
        panic!("{:?}", self.plane.status());
    }

    /// All files that hold these bytes.
    fn files_with(&self, bytes: &[u8]) -> Vec<std::path::PathBuf> {
        let (mut folders, mut found) = (vec![self.data.root().to_owned()], Vec::new());
        while let Some(folder) = folders.pop() {
            // What is removed meanwhile holds nothing.
            for entry in std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() {
                    folders.push(entry);
                } else if std::fs::read(&entry).is_ok_and(|held| held.windows(bytes.len()).any(|part| part == bytes)) {
                    found.push(entry);
                }
            }
        }
        found
    }

    fn read(&self, table: &'static str, key: &[u8]) -> Option<i64> {
        let (pin, mut bytes) = (self.reader.pin(), Vec::new());
        let table_ = self.tables.get(table).unwrap();
        let sight = self.reader.sight(&pin);
        let hash = sight.hash(table_.id, key);
        let probe = sight.probe(hash);
        let levels = self.levels.get(table).cloned().unwrap_or_default();
        let recent = sight.read_parts(hash, probe, self.covered, key, &mut bytes);
        let recent = recent.into_iter().flatten().map(|row| bytes.as_flattened()[row.bytes].to_vec());
        let older = levels.tables().filter_map(|table| Some(table.lookup(key).unwrap()?.encoded().to_vec()));
        let rows: Vec<Vec<u8>> = recent.chain(older).collect();
        if table == SUMS {
            return fold(rows.iter().map(Vec::as_slice));
        }
        let parsed = rows.iter().map(|row| Row::parse(&table_.layout, row).unwrap());
        // The last of those that are as new is the lowest.
        let newest = parsed.rev().max_by_key(Row::event_time_us)?;
        fold(std::iter::once(newest.encoded()))
    }
}

#[test]
fn what_was_answered_is_read_at_once_and_after_a_start() {
    let folder = TempDir::new().unwrap();
    let mut server = Server::start(&folder, settings());
    let rows = |number: i64| [(PLAIN, row(b"a", number, Some(number))), (SUMS, row(b"a", number, Some(number)))];
    for number in 1..=4 {
        let payload = payload(&server.tables, None, rows(number));
        assert_eq!(server.write(vec![payload]), [Ok(())]);
        assert_eq!(server.read(PLAIN, b"a"), Some(number));
        assert_eq!(server.read(SUMS, b"a"), Some((1..=number).sum()));
    }
    let deletion = payload(&server.tables, None, [(PLAIN, row(b"a", 9, None)), (SUMS, row(b"a", 9, None))]);
    assert_eq!(server.write(vec![deletion]), [Ok(())]);
    assert_eq!((server.read(PLAIN, b"a"), server.read(SUMS, b"a")), (None, None));
    assert_eq!(server.tables.get(PLAIN).unwrap().watermark_us(), Some(4), "a delete is no event");
    let status = server.plane.status();
    assert_eq!((status.state, status.writes, status.rows), (PlaneState::Ready, 5, 10));
    let again = Plane::start(server.data.clone(), settings(), Arc::new(tables()));
    assert!(matches!(again, Err(Error::Locked { .. })), "{again:?}");
    server.plane.stop().unwrap();

    let mut server = Server::start(&folder, settings());
    assert_eq!((server.recovered.records, server.recovered.rows, server.recovered.was_closed), (5, 10, true));
    assert_eq!((server.read(PLAIN, b"a"), server.read(SUMS, b"a")), (None, None));
    assert_eq!(server.tables.get(SUMS).unwrap().watermark_us(), Some(4));
    let payload = payload(&server.tables, None, [(SUMS, row(b"a", 2, Some(5)))]);
    assert_eq!(server.write(vec![payload]), [Ok(())]);
    assert_eq!(server.read(SUMS, b"a"), Some(5), "what was deleted does not come back");
}

#[test]
fn many_writes_go_through_flushes_and_compactions() {
    let folder = TempDir::new().unwrap();
    for start in 0..3_i64 {
        let mut server = Server::start(&folder, settings());
        let mut refused = 0;
        let keys: Vec<Vec<u8>> = (0..2000_u32).map(|key| key.to_le_bytes().to_vec()).collect();
        for round in 0..20_i64 {
            for some in keys.chunks(100) {
                let rows = |table| some.iter().map(move |key| (table, row(key, start * 20 + round, Some(1))));
                let payloads =
                    vec![payload(&server.tables, None, rows(PLAIN)), payload(&server.tables, None, rows(SUMS))];
                let mut left = payloads;
                while !left.is_empty() {
                    let outcomes = server.write(left.clone());
                    let mut outcomes = outcomes.into_iter();
                    left.retain(|_| match outcomes.next().unwrap() {
                        Ok(()) => false,
                        Err(Failure::Full) => true,
                        Err(failure) => panic!("{failure:?}"),
                    });
                    refused += left.len();
                }
            }
        }
        for key in &keys {
            assert_eq!(server.read(PLAIN, key), Some(1));
            assert_eq!(server.read(SUMS, key), Some((start + 1) * 20), "start {start}, {refused} refused");
        }
        let status = server.plane.status();
        assert!(status.flushes > 0 && status.log_covered > 0, "{status:?}");
        assert_eq!(status.work_failed, None);
        server.plane.stop().unwrap();
    }
}

#[test]
fn rows_of_one_key_in_a_write_count_each_and_are_one() {
    let folder = TempDir::new().unwrap();
    let mut server = Server::start(&folder, settings());
    let many = |from: i64| (from..from + 1000).map(|at| (SUMS, row(b"a", at, Some(1)))).collect::<Vec<_>>();
    let write = payload(&server.tables, None, many(0));
    assert_eq!(server.write(vec![write]), [Ok(())]);
    assert_eq!(server.read(SUMS, b"a"), Some(1000));
    // A delete in the midst hides what is before it, there and below.
    let rows = [many(1000), vec![(SUMS, row(b"a", 2500, None)), (SUMS, row(b"b", 1, Some(7)))], many(2000)].concat();
    let write = payload(&server.tables, None, rows);
    assert_eq!(server.write(vec![write]), [Ok(())]);
    assert_eq!((server.read(SUMS, b"a"), server.read(SUMS, b"b")), (Some(1000), Some(7)));
    assert_eq!(server.tables.get(SUMS).unwrap().watermark_us(), Some(2999), "of every row");
    server.until(|status| (status.rows, status.overlay_rows) == (3002, 2)); // counted at the end of the turn that answers
    server.plane.stop().unwrap();
    let server = Server::start(&folder, settings());
    assert_eq!((server.read(SUMS, b"a"), server.read(SUMS, b"b")), (Some(1000), Some(7)));
    server.plane.stop().unwrap();
}

#[test]
fn nothing_is_left_of_what_was_deleted() {
    let folder = TempDir::new().unwrap();
    let at_once = PlaneSettings { flush_after: Duration::ZERO, tombstones_kept: Duration::ZERO, ..settings() };
    let mut server = Server::start(&folder, at_once);
    let secret = b"a secret of somebody";
    for table in [PLAIN, SUMS] {
        let other =
            payload(&server.tables, None, [(table, row(b"other", 1, Some(1))), (table, row(secret, 1, Some(1)))]);
        assert_eq!(server.write(vec![other]), [Ok(())]);
    }
    server.until(|status| status.flushes >= 1);
    assert!(!server.files_with(secret).is_empty());
    let deletion = payload(&server.tables, None, [(PLAIN, row(secret, 2, None)), (SUMS, row(secret, 2, None))]);
    assert_eq!(server.write(vec![deletion]), [Ok(())]);
    let deleted = server.plane.status();
    server.until(|status| status.log_covered > deleted.log_covered);
    // Both tables are compacted in their turn.
    for _ in 0..6_000 {
        if server.files_with(secret).is_empty() {
            break;
        }
        server.adopt();
        std::thread::park_timeout(Duration::from_millis(10));
    }
    assert_eq!(server.files_with(secret), Vec::<std::path::PathBuf>::new());
    assert_eq!((server.read(PLAIN, b"other"), server.read(SUMS, b"other")), (Some(1), Some(1)));
    server.plane.stop().unwrap();
}
