//! What the plane's thread does, turn by turn: takes writes, and sees to it that what it was given is brought to disk in time.
//!
//! Has no thread and no clock of its own, so that tests drive it. What takes long it hands out as a [`Job`].
//!
//! ```text
//! part is full, log is long, or time is up
//!   ─► freeze ─► Job::Flush ─► published ─► every core reads it ─► part unseen ─► log freed
//! ```

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Failure, StreamTables, Write,
    compacting::Compact,
    flushing::Flush,
    group::Group,
    positions::Positions,
    queue::Queue,
    recovery::Ready,
    settings::{Moment, PlaneSettings, micros},
    shared::Shared,
    status::Counters,
    underway::Underway,
    work::{Compaction, Job, JobDone, WorkOptions},
};
use crate::{
    disk::is_full,
    error::Error,
    levels::Stop,
    log::{Log, Sequence},
    overlay::{Frozen, OverlayWriter, TableId},
};

#[derive(Debug)]
pub(super) struct Recorder {
    pub(super) settings: PlaneSettings,
    pub(super) queue: Arc<Queue>,
    pub(super) shared: Arc<Shared>,
    pub(super) log: Log,
    pub(super) overlay: OverlayWriter,
    pub(super) positions: Positions,
    pub(super) tables: Arc<StreamTables>,
    /// Of `tables`, to see when there are others.
    tables_version: u64,
    pub(super) group: Group,
    /// The next write, which did not fit into the last group.
    pub(super) held: Option<(usize, Write)>,
    /// Since when there is no room for the write that is next.
    pub(super) full_since_us: Option<u64>,
    /// Whether writes wait for a flush.
    pub(super) is_waiting_for_room: bool,
    /// When the part that is being flushed was frozen.
    pub(super) frozen_at_us: Option<u64>,
    /// How long it took last from a freeze to room for the next.
    pub(super) flush_took_us: u64,
    /// With [`Durability::Interval`](super::Durability::Interval): when what was appended is to be committed.
    pub(super) commit_at_us: Option<u64>,
    /// What was answered cannot go to the log, so nothing more is taken, for this reason.
    pub(super) refuses: Option<Failure>,
    pub(super) last_commit_us: u64,
    /// Since when the part that is written to has rows.
    pub(super) unflushed_since_us: Option<u64>,
    /// Of the rows of that part, the oldest event time.
    pub(super) oldest: BTreeMap<TableId, i64>,
    /// Whether that part, or one before it, holds deletes: then the log leaves nothing behind of what it held.
    pub(super) has_deletes: bool,
    pub(super) wants_freeze: bool,
    flush: FlushState,
    /// Told to stop while one is running.
    compacting: Option<Stop>,
    /// A compaction that was built and could not be published, as another process publishes.
    compacted: Option<Box<Compact>>,
    underway: Underway,
    compact_at_us: u64,
    /// When each table was compacted, microseconds since the Unix epoch.
    compacted_us: BTreeMap<String, i64>,
    /// Tables that a compaction found damaged, and when each is tried again.
    put_off_us: BTreeMap<String, u64>,
    /// What the last flush found damaged.
    flush_damaged: Option<String>,
    prepare_at_us: u64,
    pub(super) is_stopping: bool,
}

/// How far the part that was frozen last has come.
#[derive(Debug, Default)]
enum FlushState {
    /// There is none.
    #[default]
    Idle,
    /// To be flushed once the time has come.
    Waiting {
        flush: Box<Flush>,
        at_us: u64,
    },
    Running,
    /// Published, and waited for until every core reads it.
    Published {
        frozen: Frozen,
        generation: u64,
    },
    /// Given up, until nobody looks at it any more.
    Leaving {
        covers: Sequence,
    },
}

/// What is to be done now, and when the next turn is due if nothing happens.
#[derive(Debug, Default)]
pub(super) struct Turn {
    pub(super) jobs: Vec<Job>,
    pub(super) is_busy: bool,
    pub(super) next_us: Option<u64>,
}

impl Turn {
    fn due(&mut self, at_us: u64) {
        self.next_us = Some(self.next_us.map_or(at_us, |next| next.min(at_us)));
    }
}

impl Recorder {
    pub(super) fn new(settings: PlaneSettings, queue: Arc<Queue>, shared: Arc<Shared>, ready: Ready) -> Self {
        let Ready { log, writer: overlay, unflushed, positions, oldest, has_deletes, .. } = ready;
        let now = settings.clock.now();
        let (tables_version, tables) = shared.tables();
        let group = Group::new(settings.cores);
        let unflushed_since_us = (overlay.usage().rows > 0).then_some(now.monotonic_us);
        let frozen_at_us = unflushed.is_some().then_some(now.monotonic_us);
        let flush = unflushed.map_or(FlushState::Idle, |flush| FlushState::Waiting { flush, at_us: 0 });
        let mut recorder = Self {
            settings,
            queue,
            shared,
            log,
            overlay,
            positions,
            tables,
            tables_version,
            group,
            held: None,
            full_since_us: None,
            is_waiting_for_room: false,
            frozen_at_us,
            flush_took_us: 0,
            commit_at_us: None,
            refuses: None,
            last_commit_us: now.monotonic_us,
            unflushed_since_us,
            oldest,
            has_deletes,
            wants_freeze: false,
            flush,
            compacting: None,
            compacted: None,
            underway: Underway::default(),
            compact_at_us: now.monotonic_us,
            compacted_us: BTreeMap::new(),
            put_off_us: BTreeMap::new(),
            flush_damaged: None,
            prepare_at_us: now.monotonic_us,
            is_stopping: false,
        };
        // Whoever asks before the first write is told, too.
        if let Err(error) = recorder.log.begin() {
            recorder.failed(&error);
        }
        recorder
    }

    pub(super) fn turn(&mut self) -> Turn {
        let mut turn = Turn::default();
        let now = self.settings.clock.now();
        self.look_at_tables();
        turn.is_busy = self.take_group(now);
        let now = self.settings.clock.now();
        if self.log.is_poisoned() {
            return turn; // what is in memory stays readable; nothing else is right any more
        }
        self.commit_in_time(now, &mut turn);
        self.see_to_flush(now, &mut turn);
        self.see_to_files(now, &mut turn);
        self.see_to_compaction(now, &mut turn);
        if self.is_waiting_for_room {
            turn.due(now.monotonic_us + RECLAIM_AGAIN_US);
        }
        if self.overlay.is_reclaiming() {
            self.overlay.reclaim();
            if self.overlay.is_reclaiming() {
                turn.due(now.monotonic_us + RECLAIM_AGAIN_US);
            }
        }
        self.count();
        turn
    }

    /// Takes note of what came of a job.
    pub(super) fn done(&mut self, done: JobDone) {
        let now = self.settings.clock.now();
        match done {
            JobDone::Prepared(prepared) => match self.log.end_preparing(prepared) {
                // The next write may find room. If it does not, it says so.
                Ok(()) => self.shared.counters.log_goes_on(),
                Err(_) => self.prepare_at_us = now.monotonic_us + RETRY_US,
            },
            JobDone::Flushed { mut flush, attempts, outcome, damaged, took_us } => {
                self.work_done(outcome.as_ref().err());
                self.flush_found(damaged, outcome.as_ref().err());
                self.flush = match outcome {
                    Ok(generation) => {
                        Counters::add(&self.shared.counters.flushes, 1);
                        Counters::add(&self.shared.counters.flush_us_sum, took_us);
                        FlushState::Published { frozen: flush.frozen, generation }
                    }
                    Err(error) => {
                        let at_us = now.monotonic_us + retry_us(&error, attempts);
                        flush.attempts += 1;
                        FlushState::Waiting { flush, at_us }
                    }
                };
            }
            JobDone::Compacted { compact, outcome, damaged, took_us } => {
                self.compacting = None;
                match outcome {
                    Ok(Some(Compaction { table, .. })) => {
                        self.work_done(None);
                        Counters::add(&self.shared.counters.compactions, 1);
                        Counters::add(&self.shared.counters.compaction_us_sum, took_us);
                        self.shared.counters.set_damaged(&table, None);
                        self.compacted_us.insert(table, now.unix_us);
                        self.compact_at_us = now.monotonic_us; // there may be another one
                    }
                    Ok(None) => {
                        let (put_off, by_flush) = (&self.put_off_us, &self.flush_damaged);
                        let is_damaged =
                            |table: &str| put_off.contains_key(table) || by_flush.as_deref() == Some(table);
                        self.shared.counters.retain_damaged(is_damaged);
                        self.compact_at_us = now.monotonic_us + COMPACTION_LOOK_US;
                    }
                    Err(error @ Error::Locked { .. }) => {
                        self.compact_at_us = now.monotonic_us + retry_us(&error, 0);
                        self.compacted = compact.built.is_some().then_some(compact);
                    }
                    Err(Error::GivenUp) => self.compact_at_us = now.monotonic_us + RETRY_US,
                    Err(error) => match damaged {
                        // Others do not wait for it.
                        Some(table) => {
                            Counters::add(&self.shared.counters.work_failures, 1);
                            self.shared.counters.set_damaged(&table, Some(error.to_string()));
                            self.put_off_us.insert(table, now.monotonic_us + PUT_OFF_US);
                            self.compact_at_us = now.monotonic_us;
                        }
                        None => {
                            self.work_done(Some(&error));
                            self.compact_at_us = now.monotonic_us + retry_us(&error, 4);
                        }
                    },
                }
            }
        }
    }

    /// Ends the part that is written to, so that it can be flushed. `false`: the one before is not gone, or there is nothing in it.
    pub(super) fn freeze(&mut self) -> bool {
        let is_free = matches!(self.flush, FlushState::Idle) && !self.overlay.has_frozen();
        if !is_free || self.overlay.usage().rows == 0 || self.commit().is_err() {
            return false;
        }
        // If there is no space for it, what was deleted stays in files of the log until the next time.
        if self.has_deletes {
            match self.log.begin_afresh() {
                Ok(()) => self.has_deletes = false,
                Err(error) if self.log.is_poisoned() => {
                    self.failed(&error);
                    return false;
                }
                Err(_) => {}
            }
        }
        // Everything that is committed was shown; in the midst of a group nothing of it is staged.
        let Some(frozen) = self.overlay.freeze(self.log.committed()) else { return false };
        let watermarks = self.tables.iter().filter_map(|table| Some((table.name.clone(), table.watermark_us()?)));
        let flush = Flush::new(frozen, Arc::clone(&self.tables), watermarks.collect(), self.positions.all());
        self.flush = FlushState::Waiting { flush: Box::new(flush), at_us: 0 };
        self.shared.counters.set_memory_full(false);
        (self.wants_freeze, self.unflushed_since_us) = (false, None);
        self.frozen_at_us = Some(self.settings.clock.now().monotonic_us);
        self.oldest.clear();
        true
    }

    /// Whether all is done that was handed over and handed out, so that the log may be closed.
    pub(super) fn is_at_rest(&self) -> bool {
        let is_working = matches!(self.flush, FlushState::Running) || self.compacting.is_some();
        !is_working && self.held.is_none() && self.queue.len() == 0
    }

    /// From now on nothing is begun but what was handed over.
    pub(super) fn stop(&mut self) {
        self.is_stopping = true;
        if let Some(stop) = &self.compacting {
            stop.stop();
        }
    }

    pub(super) fn close(mut self) -> Result<(), Error> {
        self.take_group(self.settings.clock.now());
        self.log.close()
    }

    pub(super) fn look_at_tables(&mut self) {
        if self.shared.tables_version() != self.tables_version {
            let before = Arc::clone(&self.tables);
            (self.tables_version, self.tables) = self.shared.tables();
            // One that was taken out, or put in again, is another.
            let id = |tables: &StreamTables, name: &str| tables.get(name).map(|table| table.id);
            let is_same = |name: &str| id(&before, name) == id(&self.tables, name);
            self.put_off_us.retain(|name, _| is_same(name));
            self.shared.counters.retain_damaged(is_same);
        }
    }

    fn commit_in_time(&mut self, now: Moment, turn: &mut Turn) {
        if self.commit_at_us.is_some_and(|at_us| at_us <= now.monotonic_us || self.is_stopping)
            && self.commit().is_err()
            && !self.log.is_poisoned()
        {
            self.commit_at_us = Some(now.monotonic_us + RETRY_US);
        }
        if let Some(at_us) = self.commit_at_us {
            turn.due(at_us);
        }
        let heartbeat_at_us = self.last_commit_us.saturating_add(micros(self.settings.heartbeat_after));
        if heartbeat_at_us <= now.monotonic_us {
            match self.log.heartbeat() {
                Ok(_) => self.last_commit_us = u64::MAX, // until there is something to vouch for
                Err(error) => {
                    self.failed(&error);
                    self.last_commit_us = now.monotonic_us;
                }
            }
        } else if self.last_commit_us != u64::MAX {
            turn.due(heartbeat_at_us);
        }
    }

    fn see_to_flush(&mut self, now: Moment, turn: &mut Turn) {
        let is_old = |since_us: u64| since_us.saturating_add(micros(self.settings.flush_after)) <= now.monotonic_us;
        let log_bytes_max = self.settings.log_bytes_max.max(2 * self.settings.log.segment_bytes);
        let is_due = self.wants_freeze
            || self.overlay.is_full()
            || self.log.segments_bytes() > log_bytes_max
            || self.unflushed_since_us.is_some_and(is_old);
        if is_due && !self.is_stopping {
            self.freeze();
        }
        if let Some(since_us) = self.unflushed_since_us {
            turn.due(since_us.saturating_add(micros(self.settings.flush_after)).max(now.monotonic_us + RETRY_US));
        }
        self.flush = match std::mem::take(&mut self.flush) {
            FlushState::Waiting { flush, at_us } => {
                if at_us <= now.monotonic_us && !self.is_stopping {
                    let flush = Box::new(flush.with_tables(Arc::clone(&self.tables)));
                    turn.jobs.push(Job::Flush { flush, options: self.options(now, Stop::default()) });
                    FlushState::Running
                } else {
                    turn.due(at_us.max(now.monotonic_us + LOOK_AGAIN_US));
                    FlushState::Waiting { flush, at_us }
                }
            }
            FlushState::Published { frozen, generation } if generation <= self.shared.adopted() => {
                let covers = frozen.covers();
                self.overlay.drop_frozen(frozen);
                turn.due(now.monotonic_us + RECLAIM_AGAIN_US);
                FlushState::Leaving { covers }
            }
            FlushState::Leaving { covers } if !self.overlay.has_frozen() => {
                // The generation was read back, sum by sum, before it was published, and opened by those who serve it.
                if let Err(error) = self.log.free_before(Sequence(covers.0 + 1)) {
                    self.failed(&error);
                }
                self.shared.counters.log_covered.store(covers.0, std::sync::atomic::Ordering::Relaxed);
                self.compact_at_us = now.monotonic_us;
                let frozen_at_us = self.frozen_at_us.take().unwrap_or(now.monotonic_us);
                self.flush_took_us = now.monotonic_us.saturating_sub(frozen_at_us);
                FlushState::Idle
            }
            FlushState::Leaving { covers } => {
                self.overlay.reclaim();
                turn.due(now.monotonic_us + RECLAIM_AGAIN_US);
                FlushState::Leaving { covers }
            }
            other => other,
        };
    }

    fn see_to_files(&mut self, now: Moment, turn: &mut Turn) {
        if self.is_stopping {
            return;
        }
        if self.prepare_at_us > now.monotonic_us {
            turn.due(self.prepare_at_us);
        } else if let Some(preparation) = self.log.begin_preparing() {
            turn.jobs.push(Job::Prepare(preparation));
        }
    }

    fn see_to_compaction(&mut self, now: Moment, turn: &mut Turn) {
        if self.is_stopping || self.compacting.is_some() {
            return;
        }
        if self.compact_at_us <= now.monotonic_us
            && let Some(compact) = self.compacted.take()
        {
            self.begin_compaction(compact, now, turn);
            return;
        }
        // A part that is not flushed may hold rows that are older than a tombstone that goes. What is written from here on may not.
        if !matches!(self.flush, FlushState::Idle) {
            return;
        }
        if self.compact_at_us > now.monotonic_us || self.overlay.has_frozen() {
            turn.due(self.compact_at_us.max(now.monotonic_us + RECLAIM_AGAIN_US));
            return;
        }
        let oldest = self.tables.iter().filter_map(|table| Some((table.name.clone(), *self.oldest.get(&table.id)?)));
        self.put_off_us.retain(|_, until_us| *until_us > now.monotonic_us);
        let compact = Compact {
            tables: Arc::clone(&self.tables),
            oldest_us: oldest.collect(),
            compacted_us: self.compacted_us.clone(),
            put_off: self.put_off_us.keys().cloned().collect(),
            share: self.settings.compaction_share,
            after_us: micros(self.settings.compaction_after).cast_signed(),
            tombstones_kept_us: micros(self.settings.tombstones_kept).cast_signed(),
            built: None,
        };
        self.begin_compaction(Box::new(compact), now, turn);
    }

    fn begin_compaction(&mut self, compact: Box<Compact>, now: Moment, turn: &mut Turn) {
        let stop = Stop::default();
        turn.jobs.push(Job::Compact { compact, options: self.options(now, stop.clone()) });
        self.compacting = Some(stop);
    }

    fn options(&self, now: Moment, stop: Stop) -> WorkOptions {
        let (memory_bytes, generations_kept) = (self.settings.flush_memory_bytes, self.settings.generations_kept);
        WorkOptions { memory_bytes, now_us: now.unix_us, generations_kept, stop, underway: self.underway.clone() }
    }

    fn work_done(&self, error: Option<&Error>) {
        if error.is_some() {
            Counters::add(&self.shared.counters.work_failures, 1);
        }
        self.shared.counters.set_work_failed(error.map(ToString::to_string), error.is_some_and(is_for_space));
    }

    /// Takes note of what a flush found damaged, or that it found what it found before sound.
    fn flush_found(&mut self, damaged: Option<String>, error: Option<&Error>) {
        if let Some(table) = self.flush_damaged.take()
            && error.is_none()
            && !self.put_off_us.contains_key(&table)
        {
            self.shared.counters.set_damaged(&table, None);
        }
        if let (Some(table), Some(error)) = (&damaged, error) {
            self.shared.counters.set_damaged(table, Some(error.to_string()));
        }
        self.flush_damaged = damaged;
    }

    fn count(&self) {
        use std::sync::atomic::Ordering::Relaxed;
        let (usage, counters) = (self.overlay.usage(), &self.shared.counters);
        counters.overlay_bytes.store((usage.current_bytes + usage.frozen_bytes) as u64, Relaxed);
        counters.overlay_rows.store(usage.rows as u64, Relaxed);
        counters.log_bytes.store(self.log.disk_bytes(), Relaxed);
        counters.log_committed.store(self.log.committed().0, Relaxed);
    }
}

/// Another process that writes to the directory is soon done, or takes long; whatever else fails is tried less and less often.
fn retry_us(error: &Error, attempts: u32) -> u64 {
    match error {
        Error::Locked { .. } => RETRY_US / 5,
        _ => RETRY_US << attempts.min(5),
    }
}

/// Whether it failed for want of space.
pub(super) fn is_for_space(error: &Error) -> bool {
    match error {
        Error::Full { .. } => true,
        Error::Io { source, .. } => is_full(source),
        _ => false,
    }
}

/// Readers look away within a turn.
const RECLAIM_AGAIN_US: u64 = 1_000;
const LOOK_AGAIN_US: u64 = 10_000;
const RETRY_US: u64 = 1_000_000;
const COMPACTION_LOOK_US: u64 = 60_000_000;
/// As long as it may take to read what is damaged, again and again, is time that others do not have.
const PUT_OFF_US: u64 = 600_000_000;
