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
                Err(RecvTimeoutError::Timeout) => self.step(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn adopt(&mut self, adopted: Adopted) {
        self.settled = adopted.settings.populate == Populate::None;
        self.told_bytes = None;
        self.gave_up = false;
        if let Some(before) = self.live.replace(adopted) {
            let tables = before.tables.into_iter().map(|(_, table)| table).collect();
            self.replaced.add(tables, &turns_of(&self.shards));
        }
    }

    /// Brings in one slice more, or looks whether all is still there.
    fn step(&mut self) {
        let Some(live) = &self.live else { return };
        if live.settings.populate == Populate::None {
            return;
        }
        let tables: Vec<(&str, Arc<Table>)> =
            live.tables.iter().filter_map(|(name, table)| Some((name.as_str(), table.upgrade()?))).collect();
        self.replaced.forget(|old| live.tables.iter().any(|(_, table)| table.ptr_eq(old)));
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

        let brought = if self.settled { Ok(None) } else { bring_in_more(&tables, live.settings, left) };
        match brought {
            Ok(Some(Brought { lock_refused, .. })) => {
                if let Some(refused) = lock_refused.filter(|_| !self.told_of_limits) {
                    self.told_of_limits = true;
                    let message = "tables are in memory but not locked there; the kernel may take them back";
                    log::warn(message, &[("cause", &refused)]);
                }
            }
            Ok(None) if way.under_way => self.making_room = true,
            Ok(None) if !self.settled => {
                self.settled = true;
                let in_memory: u64 = tables.iter().map(|(_, table)| resident(table)).sum();
                if self.told_bytes.replace(in_memory) != Some(in_memory) {
                    tell(&tables, live);
                }
            }
            Ok(None) => {
                self.watch(&tables.into_iter().map(|(name, table)| (name.to_owned(), table)).collect::<Vec<_>>())
            }
            Err((name, cause)) => {
                (self.settled, self.gave_up) = (true, true);
                log::error("cannot be brought into memory", &[("table", &name), ("cause", &cause)]);
            }
        }
    }

    fn watch(&mut self, tables: &[(String, Arc<Table>)]) {
        let mut evicted = 0;
        for (name, table) in tables {
            match table.watch() {
                Ok(seen) => evicted += seen.evicted_bytes,
                Err(cause) => log::error("cannot be watched", &[("table", name), ("cause", &cause)]),
            }
        }
        if evicted == 0 {
            // A replaced generation may have gone in the meantime, and left room.
            self.settled = self.gave_up || self.is_full(tables);
            return;
        }
        self.settled = self.gave_up; // else to be brought in again
        let now = clock::seconds();
        if self.warned_seconds.is_none_or(|warned| now - warned >= WARN_SECONDS) {
            self.warned_seconds = Some(now);
            let message = "the kernel took back memory of tables; their rows are read from disk until they are back";
            log::warn(message, &[("mib", &(evicted >> 20))]);
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
    tables: &[(&str, Arc<Table>)],
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
            let brought = table.bring_in_index_within(left, lock, huge_pages).map_err(failed(name))?;
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

fn tell(tables: &[(&str, Arc<Table>)], live: &Adopted) {
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

/// How often residency is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often turns of the cores are looked at while room is being made: an idle one has a turn every tenth of a second.
const LOOK_FOR_ROOM_EVERY: Duration = Duration::from_millis(50);

/// What is brought in before the inbox is looked at again: a fraction of a second for an ordinary disk.
const SLICE_BYTES: u64 = 64 << 20;

/// Room for less is left empty.
const SLICE_BYTES_LEAST: u64 = 1 << 20;

/// Between two warnings of the same kind.
const WARN_SECONDS: f64 = 10.0;
