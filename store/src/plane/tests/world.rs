//! A plane on a disk that crashes, driven step by step, with a ledger of what was answered beside it.
//!
//! The log, manifests and everything small lie on the simulated disk; segments on a real one, which loses none of them: what holds for
//! those is tested beside publishing.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use tempfile::TempDir;

use super::{
    executor,
    recorder::Recorder,
    work::{Job, JobDone},
    *,
};
use crate::{
    build::{BuildOptions, TableBuilder},
    disk::{Disk, simulated::SimulatedDisk},
    levels::{self, FlushOptions, Levels, Stop},
    log::{LogSettings, Sequence},
    overlay::{OverlayReader, OverlaySettings},
};

pub(super) const KEYS: u8 = 5;
/// The key that counts writes: each adds one.
const COUNT: &[u8] = b"count";

/// What a write does.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) token: Option<SourceToken>,
    /// Key, event time, and a number unless it is a delete.
    pub(super) rows: Vec<(u8, i64, Option<i64>)>,
}

/// What must be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Model {
    count: i64,
    plain: BTreeMap<u8, (i64, Option<i64>)>,
    sums: BTreeMap<u8, i64>,
    positions: BTreeMap<u64, u64>,
}

impl Model {
    fn knows(&self, change: &Change) -> bool {
        let token = change.token.as_ref();
        token.is_some_and(|token| self.positions.get(&token.partition).is_some_and(|known| token.sequence <= *known))
    }

    /// Returns whether it counted.
    fn apply(&mut self, change: &Change) -> bool {
        if self.knows(change) {
            return false;
        }
        self.count += 1;
        if let Some(token) = &change.token {
            self.positions.insert(token.partition, token.sequence);
        }
        for &(key, event_time_us, number) in &change.rows {
            if self.plain.get(&key).is_none_or(|before| before.0 <= event_time_us) {
                self.plain.insert(key, (event_time_us, number));
            }
            match number {
                Some(number) => *self.sums.entry(key).or_default() += number,
                None => drop(self.sums.remove(&key)),
            }
        }
        true
    }
}

/// Where everything lies, and what was promised.
pub(super) struct World {
    pub(super) disk: SimulatedDisk,
    _folder: TempDir,
    root: PathBuf,
    clock_us: Arc<AtomicU64>,
    settings: PlaneSettings,
    tables: Arc<StreamTables>,
    model: Model,
    /// What of it no crash may take.
    durable: Model,
    /// In order, what counts beyond that: answered, and not synced yet.
    volatile: Vec<Change>,
    /// Writes that were refused, to be tried again.
    pub(super) refused: u64,
    /// Keys of [`Self::hand_over`].
    handed_over: u32,
    /// Published by the process's own thread for it.
    pub(super) compactions: u64,
    /// In the order in which they were handed over, without an answer that says whether they count.
    unanswered: Vec<Change>,
    /// What writes were refused for.
    pub(super) failures: Vec<Failure>,
    pub(super) process: Option<Process>,
}

/// What lives until it is killed.
pub(super) struct Process {
    pub(super) data: DataDirectory,
    pub(super) recorder: Recorder,
    shared: Arc<Shared>,
    submitter: Submitter,
    reader: OverlayReader,
    levels: BTreeMap<&'static str, Levels>,
    /// The last record of the log that they hold.
    covered: Sequence,
    pub(super) jobs: Vec<Job>,
}

/// Something that must not be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Violation(pub(super) String);

fn violation<T>(text: impl Into<String>) -> Result<T, Violation> {
    Err(Violation(text.into()))
}

impl World {
    pub(super) fn new(durability: Durability, batch_blocks: usize) -> Self {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
        let root = folder.path().join("data");
        std::fs::create_dir(&root).unwrap();
        let disk = SimulatedDisk::new();
        let ancestors: Vec<&Path> = root.ancestors().skip(1).filter(|folder| folder.parent().is_some()).collect();
        for folder in ancestors.into_iter().rev() {
            disk.create_folder(folder).unwrap();
            disk.sync_folder(folder.parent().unwrap()).unwrap();
        }
        let clock_us = Arc::new(AtomicU64::new(1_000));
        let now_us = Arc::clone(&clock_us);
        let clock = PlaneClock::new(move || {
            let now_us = now_us.load(Ordering::Relaxed);
            Moment { monotonic_us: now_us, unix_us: now_us.cast_signed() }
        });
        let block = crate::limits::BLOCK_BYTES;
        let log = LogSettings {
            segment_bytes: ((batch_blocks + 3) * block) as u64,
            batch_bytes: batch_blocks * block,
            id: 7,
        };
        let micros = std::time::Duration::from_micros;
        let settings = PlaneSettings {
            writes_per_core: 64,
            durability,
            overlay_budget_bytes: 0, // the least there is
            full_wait: std::time::Duration::ZERO,
            log,
            log_bytes_max: 0,
            heartbeat_after: micros(700),
            compaction_after: micros(3_000),
            tombstones_kept: micros(5_000),
            ..PlaneSettings::new(1, clock)
        };
        Self {
            disk,
            _folder: folder,
            root,
            clock_us,
            settings,
            tables: Arc::new(tables()),
            model: Model::default(),
            durable: Model::default(),
            volatile: Vec::new(),
            refused: 0,
            handed_over: 0,
            compactions: 0,
            unanswered: Vec::new(),
            failures: Vec::new(),
            process: None,
        }
    }

    pub(super) fn pass(&self, us: u64) {
        self.clock_us.fetch_add(us, Ordering::Relaxed);
    }

    pub(super) fn now_us(&self) -> i64 {
        self.clock_us.load(Ordering::Relaxed).cast_signed()
    }

    /// Starts a process. With a fault before it, it may fail in any way but by calling something rotten.
    pub(super) fn start(&mut self, may_fail: bool) -> Result<bool, Violation> {
        self.pass(1_000);
        match self.open() {
            Ok(process) => self.process = Some(process),
            Err(Error::Io { .. } | Error::Full { .. } | Error::Poisoned { .. }) if may_fail => return Ok(false),
            Err(error) => return violation(format!("it does not start: {error}")),
        }
        if !self.adopt() {
            self.process = None;
            return if may_fail { Ok(false) } else { violation("the generation cannot be read") };
        }
        let count = self.read_count().unwrap_or_default();
        // Of what was not durable, or not answered, the first so many count, whole, and the rest not at all.
        let volatile = std::mem::take(&mut self.volatile).into_iter();
        let mut doubtful = volatile.chain(std::mem::take(&mut self.unanswered));
        while self.durable.count < count {
            let Some(change) = doubtful.next() else {
                return violation(format!("{count} writes, of {}", self.durable.count));
            };
            self.durable.apply(&change);
        }
        if self.durable.count != count {
            return violation(format!("{count} writes of {} that were durable", self.durable.count));
        }
        self.model = self.durable.clone();
        self.check("a start").map(|()| true)
    }

    fn open(&self) -> Result<Process, Error> {
        let data = DataDirectory::create_on(&self.root, Arc::new(self.disk.clone()))?;
        let shared = Arc::new(Shared::new(Arc::clone(&self.tables)));
        let (queue, mut submitters) = queue::queue(1, self.settings.writes_per_core, Box::new(|| {}));
        let overlay = OverlaySettings { budget_bytes: self.settings.overlay_budget_bytes, seed: 3 };
        let (recorder, overlay, _) = executor::open(&data, &self.settings, &queue, &shared, overlay)?;
        let (submitter, reader) = (submitters.pop().unwrap(), overlay.reader());
        Ok(Process {
            data,
            recorder,
            shared,
            submitter,
            reader,
            levels: BTreeMap::new(),
            covered: Sequence(0),
            jobs: Vec::new(),
        })
    }

    /// Does what a server does when it finds a new generation; nothing, and false, if it cannot be read.
    pub(super) fn adopt(&mut self) -> bool {
        let Some(process) = &mut self.process else { return false };
        let live = match process.data.current() {
            Ok(Some(live)) => live,
            Ok(None) => return true,
            Err(_) => return false,
        };
        if live.generation == process.shared.adopted() {
            return true;
        }
        let levels = [PLAIN, SUMS].map(|table| (table, Levels::open(&self.root, &live, table).unwrap()));
        (process.levels, process.covered) = (levels.into(), Sequence(live.log_position));
        process.shared.set_adopted(live.generation);
        true
    }

    /// Hands writes over, lets the plane take its turn, and takes note of the answers.
    pub(super) fn write(&mut self, changes: &[Change]) -> Result<(), Violation> {
        let Some(process) = &mut self.process else { return Ok(()) };
        for (tag, change) in (0..).zip(changes) {
            let encode = |&(key, event_time_us, number): &(u8, i64, Option<i64>)| row(&[key], event_time_us, number);
            let rows = change.rows.iter().flat_map(|each| [(PLAIN, encode(each)), (SUMS, encode(each))]);
            let count = std::iter::once((SUMS, row(COUNT, 0, Some(1))));
            let payload = payload(&self.tables, change.token.as_ref(), rows.chain(count));
            if process.submitter.submit(Write { tag, payload }).is_ok() {
                self.unanswered.push(change.clone());
            }
        }
        self.turn()?;
        let Some(process) = &mut self.process else { return Ok(()) };
        while process.submitter.under_way() > 0 {
            if process.submitter.take_done().is_none() {
                return violation("a write that is not answered");
            }
        }
        Ok(())
    }

    /// From the next start on, how long writes wait for room.
    pub(super) fn wait_when_full(&mut self, wait: std::time::Duration) {
        self.settings.full_wait = wait;
    }

    /// From the next start on, what the overlay may take.
    pub(super) fn give_memory(&mut self, bytes: usize) {
        self.settings.overlay_budget_bytes = bytes;
    }

    /// Hands over a write that takes room for so many keys of one table, each for the first time, and lets nobody take it yet.
    pub(super) fn hand_over(&mut self, keys: u32) {
        let Some(process) = &mut self.process else { return };
        self.handed_over += keys;
        let keys = self.handed_over - keys..self.handed_over;
        let rows = keys.map(|key| (PLAIN, row(&key.to_be_bytes(), 1, Some(1))));
        let count = std::iter::once((SUMS, row(COUNT, 0, Some(1))));
        let payload = payload(&self.tables, None, rows.chain(count));
        process.submitter.submit(Write { tag: 0, payload }).unwrap();
        self.unanswered.push(Change { token: None, rows: Vec::new() });
    }

    /// Writes that were handed over and not answered.
    pub(super) fn under_way(&self) -> usize {
        self.process.as_ref().map_or(0, |process| process.submitter.under_way())
    }

    /// Turns until nothing more waits.
    pub(super) fn turn(&mut self) -> Result<(), Violation> {
        loop {
            let Some(process) = &mut self.process else { return Ok(()) };
            let turn = process.recorder.turn();
            process.jobs.extend(turn.jobs);
            let mut answered = 0;
            while let Some(done) = process.submitter.take_done() {
                self.failures.extend(done.outcome.err());
                match done.outcome {
                    Ok(()) => {
                        let change = self.unanswered.remove(answered);
                        if self.model.apply(&change) {
                            self.volatile.push(change);
                        }
                    }
                    Err(Failure::Full | Failure::DiskFull | Failure::Unavailable) => {
                        self.refused += 1;
                        self.unanswered.remove(answered);
                    }
                    Err(Failure::Poisoned) => answered += 1,
                    Err(Failure::Malformed) => return violation("a write that is as it should be is refused"),
                }
            }
            self.take_note_of_syncs();
            if !turn.is_busy {
                return Ok(());
            }
        }
    }

    /// What was answered is durable: all of it, or what the log has committed.
    fn take_note_of_syncs(&mut self) {
        let Some(Process { recorder, .. }) = &self.process else { return };
        let uncommitted = match self.settings.durability {
            Durability::Always => 0,
            Durability::Interval(_) if recorder.log.is_poisoned() => return,
            // A record is one write.
            Durability::Interval(_) => recorder.log.next().0 - recorder.log.committed().0 - 1,
        };
        let durable = self.volatile.len().saturating_sub(usize::try_from(uncommitted).unwrap());
        for change in self.volatile.drain(..durable) {
            assert!(self.durable.apply(&change), "it counted before");
        }
    }

    pub(super) fn status(&self) -> PlaneStatus {
        self.process.as_ref().unwrap().shared.counters.status(0, 0)
    }

    /// Does one of the jobs that were handed out, or all of it that comes before publishing; `false`: there is none.
    pub(super) fn work(&mut self, at: usize, is_half: bool) -> bool {
        let Some(process) = self.process.as_mut().filter(|process| !process.jobs.is_empty()) else { return false };
        let at = at % process.jobs.len();
        if is_half {
            let _ = process.jobs[at].build(&process.data); // it is tried again with the rest
            return true;
        }
        let job = process.jobs.remove(at);
        let done: JobDone = job.run(&process.data, &self.settings.clock);
        if let JobDone::Compacted { outcome: Ok(Some(compaction)), .. } = &done
            && compaction.generation.is_some()
        {
            self.compactions += 1;
        }
        process.recorder.done(done);
        true
    }

    /// Does all of them.
    pub(super) fn work_all(&mut self) {
        while self.work(0, false) {}
    }

    /// Publishes as a `materialize` does that runs beside the server: under the lock, from reading what is live on. What was written is set
    /// aside; with `built`, a base takes its place that was built of a source with old rows of these keys. It may fail as anything may.
    pub(super) fn publish_beside(&self, table: &'static str, built: Option<&[u8]>) -> Result<(), Error> {
        let Some(process) = &self.process else { return Ok(()) };
        let lock = process.data.lock()?;
        let Some(live) = process.data.current()? else { return Ok(()) };
        let now_us = self.now_us();
        let (root, memory_bytes) = (self.root.clone(), 1 << 20);
        let options = FlushOptions { root: root.clone(), memory_bytes, now_us, stop: Stop::default() };
        let known = self.tables.get(table).unwrap();
        let aside = levels::set_aside(&options, &live, table, known.combine.as_deref())?;
        let build = BuildOptions { root, table: table.to_owned(), memory_bytes, workers: 1, now_us };
        let builder = TableBuilder::new(Arc::clone(&known.schema), build)?;
        let mut sink = builder.sink();
        for key in built.unwrap_or_default() {
            sink.push(&row(&[*key], 0, Some(1_000)), 0)?;
        }
        let entry = builder.finish(vec![sink], &|_, _| {})?.0;
        process.data.publish(&lock, |manifest| {
            aside.into_iter().for_each(|aside| aside.change(manifest));
            if built.is_some() {
                manifest.put_built(table.to_owned(), entry);
            }
        })?;
        process.data.collect_garbage(&lock, 2)?;
        Ok(())
    }

    /// Changes a byte of a delta's rows, as a disk may; once more, and it is as it was.
    pub(super) fn damage(&self, table: &str) {
        use std::os::unix::fs::FileExt;
        let live = self.process.as_ref().unwrap().data.current().unwrap().unwrap();
        let file = self.root.join(&live.deltas[table].segments[0].file);
        let file = std::fs::OpenOptions::new().read(true).write(true).open(file).unwrap();
        let (mut byte, at) = ([0], crate::limits::BLOCK_BYTES as u64 + 2);
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[!byte[0]], at).unwrap();
    }

    /// A table is in the definitions no more, nor is what was written to it, once it is in them again.
    pub(super) fn take_out(&mut self, table: &'static str) {
        let Some(process) = &self.process else { return };
        let lock = process.data.lock().unwrap();
        process.data.publish(&lock, |manifest| manifest.retain_tables(|name| name != table)).unwrap();
        let rest: Vec<&str> = [PLAIN, SUMS].into_iter().filter(|name| *name != table).collect();
        let without = tables_after(&self.tables, &rest);
        process.shared.set_tables(Arc::new(without.clone()));
        self.tables = Arc::new(tables_after(&without, &[PLAIN, SUMS]));
        for model in [&mut self.model, &mut self.durable] {
            match table {
                PLAIN => model.plain.clear(),
                _ => (model.count, model.sums) = (0, BTreeMap::new()),
            }
        }
    }

    /// It is in the definitions again.
    pub(super) fn put_in(&mut self) {
        let Some(process) = &self.process else { return };
        process.shared.set_tables(Arc::clone(&self.tables));
    }

    /// What is read is what was answered.
    pub(super) fn check(&self, when: &str) -> Result<(), Violation> {
        let Some(process) = &self.process else { return Ok(()) };
        for key in 0..KEYS {
            let plain = self.model.plain.get(&key).and_then(|(_, number)| *number);
            let (found_plain, found_sum) =
                (process.read(&self.tables, PLAIN, &[key]), process.read(&self.tables, SUMS, &[key]));
            let sum = self.model.sums.get(&key).copied();
            if (found_plain, found_sum) != (plain, sum) {
                let found = format!("{found_plain:?} and {found_sum:?}");
                return violation(format!("after {when}: key {key} has {found}, not {plain:?} and {sum:?}"));
            }
        }
        match self.read_count() {
            Some(count) if count == self.model.count => Ok(()),
            count => violation(format!("after {when}: {count:?} writes, not {}", self.model.count)),
        }
    }

    fn read_count(&self) -> Option<i64> {
        let process = self.process.as_ref()?;
        Some(process.read(&self.tables, SUMS, COUNT).unwrap_or(0))
    }
}

impl Process {
    fn read(&self, tables: &StreamTables, name: &'static str, key: &[u8]) -> Option<i64> {
        let (pin, mut bytes) = (self.reader.pin(), Vec::new());
        let table = tables.get(name).unwrap();
        let sight = self.reader.sight(&pin);
        let hash = sight.hash(table.id, key);
        let probe = sight.probe(hash);
        let levels = self.levels.get(name).cloned().unwrap_or_default();
        let recent = sight.read_parts(hash, probe, self.covered, key, &mut bytes);
        let recent = recent.into_iter().flatten().map(|row| bytes.as_flattened()[row.bytes].to_vec());
        let older = levels.tables().filter_map(|table| Some(table.lookup(key).unwrap()?.encoded().to_vec()));
        let rows: Vec<Vec<u8>> = recent.chain(older).collect();
        if table.combine.is_some() {
            return fold(rows.iter().map(Vec::as_slice));
        }
        let parsed = rows.iter().map(|row| Row::parse(&table.layout, row).unwrap());
        // The last of those that are as new is the uppermost.
        let newest = parsed.rev().max_by_key(Row::event_time_us)?;
        fold(std::iter::once(newest.encoded()))
    }
}
