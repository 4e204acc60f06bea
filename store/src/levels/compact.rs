//! From a delta to the base.

use super::{Levels, above::Above, flush::FlushOptions};
use crate::{
    directory::{Manifest, TableEntry},
    error::Error,
    plane::Combine,
    table::Table,
};

/// What became of a table's levels, for a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compacted {
    pub table: String,
    pub base: Option<TableEntry>,
    pub delta: Option<TableEntry>,
}

impl Compacted {
    /// Puts the new levels in the place of the old.
    pub fn change(self, manifest: &mut Manifest) {
        for (levels, entry) in [(&mut manifest.tables, self.base), (&mut manifest.deltas, self.delta)] {
            match entry {
                Some(entry) => drop(levels.insert(self.table.clone(), entry)),
                None => drop(levels.remove(&self.table)),
            }
        }
    }
}

/// A new base of the delta and the base of a table, which is the delta itself where it has nothing to be put together with; `None` when
/// there is nothing to be done: no delta, and no tombstone in the base that may be old enough.
///
/// Tombstones up to `tombstones_until_us` are left out, with all that they hide here. What they hide elsewhere would count again. So
/// where one may be left out, no row with such an event time may be in the overlay when this is published, nor be written later; and
/// a frozen part must be gone ([`OverlayWriter::has_frozen`](crate::overlay::OverlayWriter::has_frozen)), even one that was flushed.
/// `i64::MIN` leaves none out. With `combine` what is above counts whatever its event time, and all may be left out: `i64::MAX`.
///
/// A base that was built from a source, and would be built again, should not take rows that were written: see [`strip`](super::strip).
pub fn compact(
    options: &FlushOptions,
    live: &Manifest,
    table: &str,
    tombstones_until_us: i64,
    combine: Option<&dyn Combine>,
) -> Result<Option<Compacted>, Error> {
    let levels = Levels::open(&options.root, live, table)?;
    let drops = |entry: &TableEntry| {
        entry.tombstones > 0 && entry.event_time_min_us.is_some_and(|oldest| oldest <= tombstones_until_us)
    };
    match (live.deltas.get(table), live.tables.get(table)) {
        (None, base) if !base.is_some_and(drops) => return Ok(None),
        // Nothing to put together, and nothing to leave out: it changes its place, and no row is written.
        (Some(delta), None) if !drops(delta) => {
            let holds_writes = delta.holds_writes && delta.rows > delta.tombstones;
            let base = Some(TableEntry { holds_writes, has_deletes: false, ..delta.clone() });
            return Ok(Some(Compacted { table: table.to_owned(), base, delta: None }));
        }
        _ => {}
    }
    let merged = merged(options, &levels, table, Some(tombstones_until_us), combine)?;
    let holds = |entry: Option<&TableEntry>| entry.is_some_and(|entry| entry.holds_writes);
    let deltas_rows = live.deltas.get(table).filter(|delta| delta.rows > delta.tombstones);
    let holds_writes = holds(live.tables.get(table)) || holds(deltas_rows);
    let before = live.tables.get(table).into_iter().chain(live.deltas.get(table));
    let newest_event_us = before.filter_map(TableEntry::newest_event_us).max();
    Ok(merged.map(|base| {
        // One that holds nothing else is still the one that was built then.
        let built_at_us =
            live.tables.get(table).filter(|_| !holds_writes).map_or(base.built_at_us, |old| old.built_at_us);
        let base = TableEntry { holds_writes, built_at_us, ..base }.with_events_up_to(newest_event_us);
        Compacted { table: table.to_owned(), base: Some(base), delta: None }
    }))
}

/// Brings a base that holds writes out of the way of one that is about to be built from a source: everything becomes the delta. `None`
/// when there is no such base.
pub fn set_aside(
    options: &FlushOptions,
    live: &Manifest,
    table: &str,
    combine: Option<&dyn Combine>,
) -> Result<Option<Compacted>, Error> {
    let Some(base) = live.tables.get(table).filter(|base| base.holds_writes) else { return Ok(None) };
    let before = live.deltas.get(table).filter(|delta| delta.schema == base.schema);
    let delta = match before {
        None => Some(base.clone()),
        Some(_) => merged(options, &Levels::open(&options.root, live, table)?, table, None, combine)?,
    };
    let has_deletes = before.is_some_and(|before| before.has_deletes);
    let delta = delta.map(|delta| TableEntry { holds_writes: true, has_deletes, ..delta });
    Ok(Some(Compacted { table: table.to_owned(), base: None, delta }))
}

/// `None` where the levels have different schemas: their rows cannot become one table; a build, or the next flush, ends this.
fn merged(
    options: &FlushOptions,
    levels: &Levels,
    table: &str,
    tombstones_until_us: Option<i64>,
    combine: Option<&dyn Combine>,
) -> Result<Option<TableEntry>, Error> {
    let Some(upper) = levels.tables().next() else { return Ok(None) };
    let tables: Vec<&Table> = levels.tables().map(AsRef::as_ref).collect();
    if tables.iter().any(|each| each.schema() != upper.schema()) {
        return Ok(None);
    }
    let seed = tables.last().map_or_else(|| upper.seed(), |base| base.seed());
    let above = Above { frozen: None, tables, name: table, schema: upper.schema(), combine, tombstones_until_us };
    above.write(options, seed).map(Some)
}
