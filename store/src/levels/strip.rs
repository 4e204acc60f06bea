//! Deletes, where the base was built from a source and would be built again: base and delta stay two, and what is hidden goes from both.

use std::sync::Arc;

use super::{
    Compacted,
    above::build,
    flush::{FlushOptions, Stop},
};
use crate::{
    build::{AscendingTable, Unpublished},
    directory::{Manifest, TableEntry},
    error::Error,
    plane::Combine,
    row::Row,
    table::Table,
};

/// Writes base and delta anew without what was deleted, each only if there is such: `None` where nothing changes, or there are not both.
///
/// Of a base that holds what was deleted, all goes that the delta hides: of a key that was written after its delete the delta does not
/// tell. Tombstones go up to `tombstones_until_us`, with what they hide; for these [`compact`](super::compact) says what must hold.
pub fn strip(
    options: &FlushOptions,
    live: &Manifest,
    table: &str,
    tombstones_until_us: i64,
    combine: Option<&dyn Combine>,
) -> Result<Option<Compacted>, Error> {
    let (Some(base_entry), Some(delta_entry)) = (live.tables.get(table), live.deltas.get(table)) else {
        return Ok(None);
    };
    if base_entry.schema != delta_entry.schema {
        return Ok(None);
    }
    let (base, delta) = (Table::open(&options.root, base_entry)?, Table::open(&options.root, delta_entry)?);
    let (now_us, stop) = (options.now_us, &options.stop);
    let mut both =
        Both { base: &base, delta: &delta, combine, now_us, tombstones_until_us, combined: Vec::new(), stop };
    let mut new_base = None;
    if delta_entry.has_deletes || both.hide_deleted()? {
        new_base = rewrite(options, table, &base, |row| both.takes_from_base(row))?;
    }
    let files = new_base.as_ref().map(|entry| Unpublished::new(&options.root, entry));
    let mut new_delta = None;
    if base.tombstones() + delta.tombstones() > 0 {
        new_delta = rewrite(options, table, &delta, |row| both.takes_from_delta(row))?;
    }
    base.check_mapping()?;
    delta.check_mapping()?;
    if new_base.is_none() && new_delta.is_none() && !delta_entry.has_deletes {
        return Ok(None);
    }
    files.into_iter().for_each(Unpublished::keep);
    let in_place_of = |old: &TableEntry, new: Option<TableEntry>| {
        let Some(new) = new else { return old.clone() };
        let (built_at_us, holds_writes) = (old.built_at_us, old.holds_writes);
        TableEntry { built_at_us, holds_writes, ..new }.with_events_up_to(old.newest_event_us())
    };
    let delta = TableEntry { has_deletes: false, ..in_place_of(delta_entry, new_delta) };
    let (base, delta) = (Some(in_place_of(base_entry, new_base)), Some(delta).filter(|delta| delta.rows > 0));
    Ok(Some(Compacted { table: table.to_owned(), base, delta }))
}

/// The table without the rows that `is_out` holds for; `None` if that is none, and nothing of what was written stays.
fn rewrite(
    options: &FlushOptions,
    name: &str,
    table: &Table,
    mut is_out: impl FnMut(Row<'_>) -> Result<bool, Error>,
) -> Result<Option<TableEntry>, Error> {
    table.advise_scan()?;
    let (rows, bytes) = (table.rows() + table.tombstones(), table.rows_bytes());
    let schema = Arc::clone(table.schema());
    let mut written = AscendingTable::new(schema, build(options, name), table.seed(), rows, bytes)?;
    let mut left_out = 0_u64;
    for row in table.scan() {
        let row = row?;
        options.stop.check()?;
        if is_out(row)? {
            left_out += 1;
        } else {
            written.push(table.hash(row.key()), row.encoded())?;
        }
    }
    table.check_mapping()?; // or what was read may have been zeros
    if left_out == 0 { Ok(None) } else { written.finish().map(Some) }
}

/// The two levels, and what of each does not count.
struct Both<'b> {
    base: &'b Table,
    delta: &'b Table,
    combine: Option<&'b dyn Combine>,
    now_us: i64,
    tombstones_until_us: i64,
    combined: Vec<u8>,
    stop: &'b Stop,
}

impl Both<'_> {
    /// Whether there is a tombstone with something below it in the base, or one in the base that is old enough.
    fn hide_deleted(&mut self) -> Result<bool, Error> {
        if self.delta.tombstones() > 0 {
            for row in self.delta.scan() {
                let row = row?;
                self.stop.check()?;
                if row.is_tombstone()
                    && let Some(lower) = self.base.lookup(row.key())?
                    && (self.combine.is_some() || row.event_time_us() >= lower.event_time_us())
                {
                    return Ok(true);
                }
            }
        }
        if self.base.tombstones() > 0 {
            for row in self.base.scan() {
                self.stop.check()?;
                if self.is_old_tombstone(row?) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn takes_from_base(&mut self, row: Row<'_>) -> Result<bool, Error> {
        let Some(upper) = self.delta.lookup(row.key())? else { return Ok(self.is_old_tombstone(row)) };
        let Some(combine) = self.combine else {
            // A tombstone that hides what is above it stays until that is gone.
            return Ok(upper.event_time_us() >= row.event_time_us());
        };
        if upper.is_tombstone() || row.is_tombstone() {
            return Ok(true); // what is above a tombstone says the same without it where nothing is below
        }
        // One that begins anew says the same with the lower row as without.
        self.combined.clear();
        combine.combine(upper.encoded(), row.encoded(), self.now_us, &mut self.combined)?;
        Ok(self.combined == upper.encoded())
    }

    fn takes_from_delta(&self, row: Row<'_>) -> Result<bool, Error> {
        if row.is_tombstone() {
            return Ok(self.is_old_tombstone(row));
        }
        if self.combine.is_some() || self.base.tombstones() == 0 {
            return Ok(false);
        }
        let lower = self.base.lookup(row.key())?;
        Ok(lower.is_some_and(|lower| lower.is_tombstone() && lower.event_time_us() > row.event_time_us()))
    }

    fn is_old_tombstone(&self, row: Row<'_>) -> bool {
        row.is_tombstone() && row.event_time_us() <= self.tombstones_until_us
    }
}
