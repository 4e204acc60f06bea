//! Tables of generations that were replaced. They are mapped until the last request that waits under their generation has its answer;
//! where the budget is full, their rows give way to those of the live generation before that.
//!
//! ```text
//! replaced ── every core had its turns: no request begins here any more ── and room is wanted:
//!   rows no longer count as in memory ── every core had its turns: nobody is reading them ── the memory is given back
//! ```

use std::sync::{Arc, Weak};

use gannet_store::{Error, Table};

use super::keeper::taken;

/// How many turns each core has had. Called after what is to be waited for.
pub(super) type Turns<'t> = &'t dyn Fn() -> Vec<u64>;

#[derive(Debug, Default)]
pub(super) struct Replaced {
    generations: Vec<Generation>,
}

#[derive(Debug)]
struct Generation {
    tables: Vec<Weak<Table>>,
    stage: Stage,
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// A core may begin requests with it until it had its turns since these.
    Served(Vec<u64>),
    /// Only requests that wait know it.
    Left,
    /// Rows count as in memory no longer, and so many bytes of them are: a core may be reading them until it had its turns.
    Released { bytes: u64, since: Vec<u64> },
    /// Nothing but the index is in memory.
    GaveWay,
}

/// What a look came to.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// Room is being made: looking again in a moment is worthwhile.
    pub(super) under_way: bool,
    /// Bytes that were given back.
    pub(super) bytes: u64,
    pub(super) failed: Option<Error>,
}

impl Replaced {
    /// Others were published in place of these.
    pub(super) fn add(&mut self, tables: Vec<Weak<Table>>, turns: Turns<'_>) {
        self.generations.push(Generation { tables, stage: Stage::Served(turns()) });
    }

    /// Forgets tables that are gone, and those of which `is_live` says that they are served again.
    pub(super) fn forget(&mut self, is_live: impl Fn(&Weak<Table>) -> bool) {
        for generation in &mut self.generations {
            generation.tables.retain(|table| table.strong_count() > 0 && !is_live(table));
        }
        self.generations.retain(|generation| !generation.tables.is_empty());
    }

    /// What they take of the budget.
    pub(super) fn taken(&self) -> u64 {
        self.generations.iter().map(Generation::taken).sum()
    }

    /// Takes each generation as far as it can go. Rows give way only if `room_is_wanted`.
    pub(super) fn give_way(&mut self, room_is_wanted: bool, turns: Turns<'_>) -> Way {
        let mut way = Way::default();
        for generation in &mut self.generations {
            generation.give_way(room_is_wanted, turns, &mut way);
        }
        way
    }
}

impl Generation {
    fn tables(&self) -> impl Iterator<Item = Arc<Table>> {
        self.tables.iter().filter_map(Weak::upgrade)
    }

    fn taken(&self) -> u64 {
        let released = if let Stage::Released { bytes, .. } = self.stage { bytes } else { 0 };
        released + self.tables().map(|table| taken(&table)).sum::<u64>()
    }

    fn give_way(&mut self, room_is_wanted: bool, turns: Turns<'_>, way: &mut Way) {
        if let Stage::Served(since) = &self.stage {
            if !had_turns(since, &turns()) {
                way.under_way |= room_is_wanted;
                return;
            }
            self.stage = Stage::Left;
        }
        if self.stage == Stage::Left && room_is_wanted {
            let rows = |table: Arc<Table>| table.residency().map(|segment| segment.rows_resident_bytes).sum::<u64>();
            let bytes = self.tables().map(rows).sum();
            self.tables().for_each(|table| table.release_rows(0));
            self.stage = Stage::Released { bytes, since: turns() };
        }
        if let Stage::Released { bytes, since } = &self.stage {
            if !had_turns(since, &turns()) {
                way.under_way = true;
                return;
            }
            way.bytes += bytes;
            for table in self.tables() {
                way.failed = table.finish_release().err().or_else(|| way.failed.take());
            }
            self.stage = Stage::GaveWay;
        }
    }
}

/// Whether each core had its turns between the two.
fn had_turns(since: &[u64], now: &[u64]) -> bool {
    since.iter().zip(now).all(|(since, now)| now.saturating_sub(*since) >= TURNS)
}

/// The one that a core may have been in, and a whole one.
const TURNS: u64 = 2;

#[cfg(test)]
pub(super) mod tests;
