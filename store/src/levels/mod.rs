//! Levels: where the rows of a table are, and how they become one again.
//!
//! ```text
//! overlay   in memory; see `crate::overlay`              ── flush ──►  delta
//! delta     one table beside the base, written since     ── compact ─►  base
//! base      the table as it was built, or compacted last
//! ```
//! 1. A key is looked up in at most three places: overlay, delta, base. While a flush runs, the overlay is two parts.
//! 2. Of several rows of a key the newest event time counts, and of equal ones that of the upper level, which was written later.
//!    Where a table's rows are combined ([`Combine`](crate::plane::Combine)), none of several takes the place of the others: they are put
//!    together, the upper over the lower, whatever their event times.
//! 3. A tombstone is a row: it hides what is older. Delta keeps all of them. Compaction leaves out those that are old enough, with
//!    everything they hide. A base that was built from a source takes in nothing that was written: there, what is deleted is taken out of
//!    both, and they stay two.
//! 4. Flush and compaction read sorted rows and write sorted rows, in memory that does not depend on how many there are. They publish
//!    nothing: what they give goes into a manifest.

mod above;
mod compact;
mod flush;
mod merge;
mod strip;
#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc};

pub(crate) use self::flush::flush_over;
pub use self::{
    compact::{Compacted, compact, set_aside},
    flush::{FlushOptions, Flushed, Stop, flush},
    strip::strip,
};
use crate::{
    directory::Manifest,
    error::{Corrupt, Error},
    row::Row,
    table::Table,
};

/// The levels of one table that are on disk, open.
#[derive(Debug, Clone, Default)]
pub struct Levels {
    /// What was written since.
    pub delta: Option<Arc<Table>>,
    pub base: Option<Arc<Table>>,
}

impl Levels {
    /// Opens what a manifest says of a table.
    pub fn open(root: &Path, manifest: &Manifest, table: &str) -> Result<Self, Error> {
        let open = |entry| Table::open(root, entry).map(Arc::new);
        Ok(Self {
            delta: manifest.deltas.get(table).map(open).transpose()?,
            base: manifest.tables.get(table).map(open).transpose()?,
        })
    }

    /// The upper one first.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.delta.iter().chain(&self.base)
    }

    /// The newest event time that any row here may have. A row of the overlay that is as new need not be held against these.
    pub fn event_time_max_us(&self) -> Option<i64> {
        self.tables().filter_map(|table| table.event_time_max_us()).max()
    }

    /// All stages for one key, in place, of a table whose rows are not combined. Waits for the disk where something is not in memory. A tombstone is `None`.
    pub fn lookup(&self, key: &[u8]) -> Result<Option<Row<'_>>, Corrupt> {
        let mut found = None;
        for table in self.tables() {
            found = newest(found, table.lookup(key)?);
        }
        Ok(found.filter(|row| !row.is_tombstone()))
    }
}

/// Which of two rows of a key counts, tombstones among them. `upper` is of the upper level.
#[inline]
pub fn newest<'t>(upper: Option<Row<'t>>, lower: Option<Row<'t>>) -> Option<Row<'t>> {
    match (&upper, &lower) {
        (Some(one), Some(other)) if one.event_time_us() < other.event_time_us() => lower,
        (None, _) => lower,
        _ => upper,
    }
}
