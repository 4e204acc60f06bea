//! From the overlay to deltas, and from a delta to the base.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use super::{
    Levels,
    merge::{Source, merge},
};
use crate::{
    build::{AscendingTable, BuildOptions, TableBuilder},
    directory::{Manifest, TableEntry, disk},
    error::Error,
    log::Sequence,
    overlay::{Frozen, TableId},
    schema::Schema,
    table::Table,
};

/// Where and when.
#[derive(Debug, Clone)]
pub struct FlushOptions {
    /// The data directory. Its writer's lock is held from here until what comes out is published.
    pub root: PathBuf,
    /// What may be used where levels were built under different hash seeds, and are sorted once more.
    pub memory_bytes: usize,
    /// Microseconds since the Unix epoch.
    pub now_us: i64,
}

/// What a flush wrote, for a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flushed {
    /// By table name.
    pub deltas: BTreeMap<String, TableEntry>,
    pub covers: Sequence,
}

impl Flushed {
    /// Puts the new deltas in the place of the old, and the log's position with them.
    pub fn change(self, manifest: &mut Manifest) {
        manifest.deltas.extend(self.deltas);
        manifest.log_position = manifest.log_position.max(self.covers.0);
    }
}

/// What a compaction wrote, for a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compacted {
    pub table: String,
    pub base: TableEntry,
}

impl Compacted {
    /// Puts the new base in the place of the old one and of the delta.
    pub fn change(self, manifest: &mut Manifest) {
        manifest.deltas.remove(&self.table);
        manifest.tables.insert(self.table, self.base);
    }
}

/// Writes, for each table with rows in `frozen`, a new delta of these and of the delta that `live` has. `tables` knows names and
/// schemas; a table that it does not know any more is left out.
pub fn flush(
    options: &FlushOptions,
    live: &Manifest,
    frozen: &Frozen,
    tables: &dyn Fn(TableId) -> Option<(String, Arc<Schema>)>,
) -> Result<Flushed, Error> {
    let mut deltas = BTreeMap::new();
    for id in frozen.tables() {
        let Some((name, schema)) = tables(id) else { continue };
        // Under the base's seed, so that compaction need not sort.
        let seed =
            live.tables.get(&name).or_else(|| live.deltas.get(&name)).map_or_else(disk::random, |entry| entry.seed);
        // A delta of another schema holds rows that nobody can read any more.
        let delta = live.deltas.get(&name).filter(|delta| delta.schema == *schema);
        let delta = delta.map(|entry| Table::open(&options.root, entry)).transpose()?;
        let levels = Above { frozen: Some((frozen, id)), tables: delta.iter().collect() };
        deltas.insert(name.clone(), levels.write(options, &name, &schema, seed, None)?);
    }
    Ok(Flushed { deltas, covers: frozen.covers() })
}

/// Writes a new base of the delta and the base of a table; `None` when there is nothing to be done: no delta, and no tombstone in the
/// base that may be old enough.
///
/// Tombstones up to `tombstones_until_us` are left out, with all that they hide here. What they hide elsewhere would count again. So
/// where one may be left out, no row with such an event time may be in the overlay when this is published, nor be written later; and
/// a frozen part must be gone ([`OverlayWriter::has_frozen`](crate::overlay::OverlayWriter::has_frozen)), even one that was flushed.
/// `i64::MIN` leaves none out.
pub fn compact(
    options: &FlushOptions,
    live: &Manifest,
    table: &str,
    tombstones_until_us: i64,
) -> Result<Option<Compacted>, Error> {
    let levels = Levels::open(&options.root, live, table)?;
    let may_drop = live.tables.get(table).is_some_and(|base| {
        base.tombstones > 0 && base.event_time_min_us.is_some_and(|oldest| oldest <= tombstones_until_us)
    });
    if levels.delta.is_none() && !may_drop {
        return Ok(None);
    }
    let Some(upper) = levels.tables().next() else { return Ok(None) };
    let tables: Vec<&Table> = levels.tables().map(AsRef::as_ref).collect();
    if tables.iter().any(|each| each.schema() != upper.schema()) {
        return Ok(None); // rows of two schemas cannot become one table; a build, or the next flush, ends this
    }
    let seed = tables.last().map_or_else(|| upper.seed(), |base| base.seed());
    let above = Above { frozen: None, tables };
    let base = above.write(options, table, upper.schema(), seed, Some(tombstones_until_us))?;
    Ok(Some(Compacted { table: table.to_owned(), base }))
}

/// Levels of one table, the upper ones first.
struct Above<'l> {
    frozen: Option<(&'l Frozen, TableId)>,
    tables: Vec<&'l Table>,
}

impl Above<'_> {
    fn write(
        &self,
        options: &FlushOptions,
        name: &str,
        schema: &Arc<Schema>,
        seed: u64,
        tombstones_until_us: Option<i64>,
    ) -> Result<TableEntry, Error> {
        if self.tables.iter().all(|table| table.seed() == seed) {
            match self.write_merged(options, name, schema, seed, tombstones_until_us) {
                Err(Error::Reseed { .. }) => {} // two keys have met; the builder finds a seed under which they do not
                written => return written,
            }
        }
        let sorted = self.write_sorted(options, name, schema)?;
        if tombstones_until_us.is_none() || sorted.tombstones == 0 {
            return Ok(sorted);
        }
        // The builder keeps tombstones; what it wrote is in no manifest, and garbage once it was read.
        let table = Table::open(&options.root, &sorted)?;
        let again = Above { frozen: None, tables: vec![&table] };
        again.write_merged(options, name, schema, sorted.seed, tombstones_until_us)
    }

    /// In one pass over what is sorted already.
    fn write_merged(
        &self,
        options: &FlushOptions,
        name: &str,
        schema: &Arc<Schema>,
        seed: u64,
        tombstones_until_us: Option<i64>,
    ) -> Result<TableEntry, Error> {
        let frozen = self.frozen.map(|(frozen, id)| frozen.rows(id, seed));
        let (frozen_rows, frozen_bytes) = frozen.as_ref().map_or((0, 0), |rows| (rows.len() as u64, rows.row_bytes()));
        let rows = frozen_rows + self.tables.iter().map(|table| table.rows() + table.tombstones()).sum::<u64>();
        let row_bytes = frozen_bytes + self.tables.iter().map(|table| table.rows_bytes()).sum::<u64>();
        let mut sources = frozen.into_iter().map(Source::frozen).collect::<Result<Vec<_>, _>>()?;
        for table in &self.tables {
            sources.push(Source::table(table)?);
        }
        let mut written = AscendingTable::new(Arc::clone(schema), build(options, name), seed, rows, row_bytes)?;
        merge(&mut sources, seed, tombstones_until_us, |hash, row| written.push(hash, row))?;
        written.finish()
    }

    /// By sorting everything once more, under a new seed.
    fn write_sorted(&self, options: &FlushOptions, name: &str, schema: &Arc<Schema>) -> Result<TableEntry, Error> {
        let builder = TableBuilder::new(Arc::clone(schema), build(options, name))?;
        let mut sink = builder.sink();
        let frozen = self.frozen.map(|(frozen, id)| Source::frozen(frozen.rows(id, 0)));
        let tables = self.tables.iter().map(|table| Source::table(table));
        // Of equal event times the highest ordinal counts.
        for (source, ordinal) in frozen.into_iter().chain(tables).zip((0..=self.tables.len() as u64).rev()) {
            let mut source = source?;
            while let Some((_, row)) = source.row() {
                sink.push(row, ordinal)?;
                source.advance()?;
            }
        }
        Ok(builder.finish(vec![sink], &|_, _| {})?.0)
    }
}

fn build(options: &FlushOptions, table: &str) -> BuildOptions {
    let FlushOptions { root, memory_bytes, now_us } = options.clone();
    BuildOptions { root, table: table.to_owned(), memory_bytes, workers: 1, now_us }
}
