//! Keeps in memory what is to be there: every index first, then rows as far as the budget goes; looks every second whether
//! the kernel took any of it back. One thread, beside the serving cores and never on their way: a row that it has not
//! brought in, or that is gone, is read when it is asked for.

use std::{
    sync::{
        Arc, Weak,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use gannet_engine::server::ShardMetrics;
use gannet_store::{
    Error, Table,
    table::{Brought, Populate},
};

use super::{
    memory::MemorySettings,
    replaced::{Replaced, Way},
};
use crate::{clock, log};

/// All tables of what is live, and how they are to be kept.
#[derive(Debug)]
pub(super) struct Adopted {
    pub(super) tables: Vec<(String, Weak<Table>)>,
    pub(super) settings: MemorySettings,
    pub(super) budget_bytes: u64,
    /// Why what was brought in before it may not be locked.
    pub(super) lock_refused: Option<Error>,
}

/// The thread's inbox. It is not waited for: it changes nothing on disk, so the process may end under it.
#[derive(Debug)]
pub(super) struct Keeper {
    inbox: Sender<Adopted>,
}

impl Keeper {
    /// `shards` are those of all cores that serve.
    pub(super) fn start(shards: Vec<Arc<ShardMetrics>>) -> Result<Self> {
        let (inbox, adopted) = mpsc::channel();
        let work = move || Work { shards, ..Work::default() }.run(&adopted);
        thread::Builder::new().name("keeper".to_owned()).spawn(work).context("cannot start a thread")?;
        Ok(Self { inbox })
    }

    /// From now on these tables are kept, and no others.
    pub(super) fn keep(&self, adopted: Adopted) {
        let _ = self.inbox.send(adopted); // fails only if the thread has panicked, which ends the process
    }
}

#[derive(Debug, Default)]
struct Work {
    shards: Vec<Arc<ShardMetrics>>,
    live: Option<Adopted>,
    replaced: Replaced,
    /// Room is being made for what is live.
    making_room: bool,
    /// Nothing more is to be brought in for what is live.
    settled: bool,
    /// That memory may not be locked was said.
    told_of_limits: bool,
    warned_seconds: Option<f64>,
    /// When it was last looked whether all is still there.
    watched_seconds: Option<f64>,
    /// Bytes that were in memory when that was last told.
    told_bytes: Option<u64>,
    /// What is live could not be brought in, and was told of: it is not tried again before something else is live.
    gave_up: bool,
}

impl Work {
    fn run(mut self, inbox: &Receiver<Adopted>) {
        loop {
            let message = if self.settled || self.live.is_none() {
                inbox.recv_timeout(LOOK_EVERY)
            } else if self.making_room {
                inbox.recv_timeout(LOOK_FOR_ROOM_EVERY)
            } else {
                inbox.try_recv().map_err(|_| RecvTimeoutError::Timeout)
            };
            match message {
                Ok(adopted) => self.adopt(adopted),
                Err(RecvTimeoutError::Timeout) => self.step(clock::seconds()),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn adopt(&mut self, mut adopted: Adopted) {
        self.settled = keeps_nothing(&adopted);
        self.told_bytes = None;
        self.gave_up = false;
        self.tell_of_limits(adopted.lock_refused.take());
        if let Some(before) = self.live.replace(adopted) {
            let tables = before.tables.into_iter().map(|(_, table)| table).collect();
            self.replaced.add(tables, &turns_of(&self.shards));
        }
    }

    /// Looks whether all is still there, if that is due, and brings in one slice more. What is brought in in the meantime can take
    /// minutes, and what is gone must not count as resident for as long.
    fn step(&mut self, now_seconds: f64) {
        let Some(live) = &self.live else { return };
        let tables: Vec<(String, Arc<Table>)> =
            live.tables.iter().filter_map(|(name, table)| Some((name.clone(), table.upgrade()?))).collect();
        self.replaced.forget(|old| live.tables.iter().any(|(_, table)| table.ptr_eq(old)));
        if self.watched_seconds.is_none_or(|watched| now_seconds - watched >= LOOK_EVERY.as_secs_f64()) {
            self.watched_seconds = Some(now_seconds);
            self.watch(&tables, now_seconds);
        }
        self.bring_in(&tables);
    }

    fn bring_in(&mut self, tables: &[(String, Arc<Table>)]) {
        let Some(live) = &self.live else { return };
        let all: u64 = tables.iter().map(|(_, table)| wanted(table, live.settings.populate)).sum();
        let missing = all.saturating_sub(tables.iter().map(|(_, table)| resident(table)).sum());
        let left = |replaced: &Replaced| {
            let used = replaced.taken() + tables.iter().map(|(_, table)| taken(table)).sum::<u64>();
            live.budget_bytes.saturating_sub(used)
        };
        let room_is_wanted = !self.settled && missing > left(&self.replaced);
        let way = self.replaced.give_way(room_is_wanted, &turns_of(&self.shards));
        tell_of(&way);
        let left = left(&self.replaced);
        self.making_room = false;
        if self.settled {
            return;
        }
        match bring_in_more(tables, live.settings, left) {
            Ok(Some(Brought { lock_refused, .. })) => self.tell_of_limits(lock_refused),
            Ok(None) if way.under_way => self.making_room = true,
            Ok(None) => {
                self.settled = true;
                let in_memory: u64 = tables.iter().map(|(_, table)| resident(table)).sum();
                if self.told_bytes.replace(in_memory) != Some(in_memory) {
                    tell(tables, live);
                }
            }
            Err((name, cause)) => {
                (self.settled, self.gave_up) = (true, true);
                log::error("cannot be brought into memory", &[("table", &name), ("cause", &cause)]);
            }
        }
    }

    fn watch(&mut self, tables: &[(String, Arc<Table>)], now_seconds: f64) {
        let mut evicted = 0;
        for (name, table) in tables {
            match table.watch() {
                Ok(seen) => evicted += seen.evicted_bytes,
                Err(cause) => log::error("cannot be watched", &[("table", name), ("cause", &cause)]),
            }
        }
        // What is gone is to be brought in again; or a replaced generation went in the meantime, and left room.
        let is_done = evicted == 0 && self.settled && self.is_full(tables);
        self.settled = is_done || self.gave_up || self.live.as_ref().is_none_or(keeps_nothing);
        if evicted > 0 && self.warned_seconds.is_none_or(|warned| now_seconds - warned >= WARN_SECONDS) {
            self.warned_seconds = Some(now_seconds);
            let message = "the kernel took back memory of tables; their rows are read from disk until they are back";
            log::warn(message, &[("mib", &(evicted >> 20))]);
        }
    }

    /// Says once why memory may not be locked.
    fn tell_of_limits(&mut self, lock_refused: Option<Error>) {
        if let Some(refused) = lock_refused.filter(|_| !self.told_of_limits) {
            self.told_of_limits = true;
            let message = "tables are in memory but not locked there; the kernel may take them back";
            log::warn(message, &[("cause", &refused)]);
        }
    }

    /// Whether nothing is missing, or there is no room for what is.
    fn is_full(&self, tables: &[(String, Arc<Table>)]) -> bool {
        let Some(live) = &self.live else { return true };
        let used: u64 = tables.iter().map(|(_, table)| resident(table)).sum();
        let wanted: u64 = tables.iter().map(|(_, table)| wanted(table, live.settings.populate)).sum();
        let old = self.replaced.taken();
        let taken: u64 = tables.iter().map(|(_, table)| taken(table)).sum();
        used >= wanted || taken + old + SLICE_BYTES_LEAST > live.budget_bytes
    }
}

/// The next slice that is wanted and has room; `None` if there is none.
fn bring_in_more(
    tables: &[(String, Arc<Table>)],
    settings: MemorySettings,
    left: u64,
) -> Result<Option<Brought>, (String, Error)> {
    let MemorySettings { populate, lock, huge_pages, .. } = settings;
    let failed = |name: &str| {
        let name = name.to_owned();
        move |cause| (name, cause)
    };
    for (name, table) in tables {
        if missing(table).0 > 0 {
            let brought = table.bring_in_next_index(left, lock, huge_pages).map_err(failed(name))?;
            if brought.bytes > 0 {
                return Ok(Some(brought));
            }
        }
    }
    for (name, table) in tables.iter().filter(|_| populate == Populate::All) {
        let (_, missing) = missing(table);
        let slice = missing.min(left).min(SLICE_BYTES);
        if slice >= SLICE_BYTES_LEAST.min(missing) && slice > 0 {
            let brought = table.bring_in_rows(slice, lock, huge_pages).map_err(failed(name))?;
            if brought.bytes > 0 {
                return Ok(Some(brought));
            }
        }
    }
    Ok(None)
}

/// Bytes of index and rows that are not in memory.
fn missing(table: &Table) -> (u64, u64) {
    table.residency().fold((0, 0), |(index, rows), segment| {
        (
            index + segment.index_bytes.saturating_sub(segment.index_resident_bytes),
            rows + segment.rows_bytes.saturating_sub(segment.rows_resident_bytes),
        )
    })
}

fn resident(table: &Table) -> u64 {
    table.residency().map(|segment| segment.index_resident_bytes + segment.rows_resident_bytes).sum()
}

/// What a table takes of the budget.
pub(super) fn taken(table: &Table) -> u64 {
    resident(table) + table.residency().map(|segment| segment.beside_bytes).sum::<u64>()
}

/// Whether nothing is ever to be brought in. What is there all the same, under settings of before, is watched like the rest.
fn keeps_nothing(live: &Adopted) -> bool {
    live.settings.populate == Populate::None
}

fn wanted(table: &Table, populate: Populate) -> u64 {
    match populate {
        Populate::None => 0,
        Populate::Index => table.index_bytes(),
        Populate::All => table.index_bytes() + table.rows_bytes(),
    }
}

fn turns_of(shards: &[Arc<ShardMetrics>]) -> impl Fn() -> Vec<u64> {
    || shards.iter().map(|shard| shard.turns()).collect()
}

fn tell_of(way: &Way) {
    if way.bytes > 0 {
        let message = "rows of a generation that was replaced gave way";
        log::info(message, &[("mib", &(way.bytes >> 20))]);
    }
    if let Some(cause) = &way.failed {
        log::error("cannot give back memory", &[("cause", cause)]);
    }
}

fn tell(tables: &[(String, Arc<Table>)], live: &Adopted) {
    let used: u64 = tables.iter().map(|(_, table)| resident(table)).sum();
    let all: u64 = tables.iter().map(|(_, table)| wanted(table, live.settings.populate)).sum();
    let figures: [(&str, &dyn std::fmt::Display); 3] =
        [("mib", &(used >> 20)), ("of_mib", &(all >> 20)), ("budget_mib", &(live.budget_bytes >> 20))];
    log::info("in memory", &figures);
    for (name, table) in tables {
        let (index, _) = missing(table);
        if index > 0 {
            let message = "index without room in memory: a row whose place it says is read from the disk in two steps";
            log::warn(message, &[("table", name), ("mib", &(index >> 20)), ("of_mib", &(table.index_bytes() >> 20))]);
        }
    }
}

/// How often residency is looked at, also while something is being brought in.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often turns of the cores are looked at while room is being made: an idle one has a turn every tenth of a second.
const LOOK_FOR_ROOM_EVERY: Duration = Duration::from_millis(50);

/// What is brought in before the inbox is looked at again: a fraction of a second for an ordinary disk.
const SLICE_BYTES: u64 = 64 << 20;

/// Room for less is left empty.
const SLICE_BYTES_LEAST: u64 = 1 << 20;

/// Between two warnings of the same kind.
const WARN_SECONDS: f64 = 10.0;

#[cfg(test)]
mod tests;
