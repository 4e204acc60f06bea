//! From the overlay to deltas.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::above::Above;
use crate::{
    build::Unpublished,
    directory::{Manifest, SourcePositions, TableEntry, disk},
    error::Error,
    log::Sequence,
    overlay::{Frozen, TableId},
    plane::StreamTable,
    table::Table,
};

/// Where and when.
#[derive(Debug, Clone)]
pub struct FlushOptions {
    /// The data directory. Until what comes out is published, its writer's lock is held, or what is built is kept from garbage collection
    /// ([`DataDirectory::building`](crate::directory::DataDirectory::building)) and held against the live generation once more.
    pub root: PathBuf,
    /// What may be used where levels were built under different hash seeds, and are sorted once more.
    pub memory_bytes: usize,
    /// Microseconds since the Unix epoch.
    pub now_us: i64,
    /// To give up in the midst of it.
    pub stop: Stop,
}

/// Tells a flush or compaction to give up, with [`Error::GivenUp`]; what it wrote is removed. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        if self.0.load(Ordering::Relaxed) { Err(Error::GivenUp) } else { Ok(()) }
    }
}

/// What a flush wrote, for a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flushed {
    /// By table name.
    pub deltas: BTreeMap<String, TableEntry>,
    /// By table name, the delta that each was built upon. It takes the place of that one and of no other.
    pub over: BTreeMap<String, Option<TableEntry>>,
    pub covers: Sequence,
    /// By table name, of the rows up to there.
    pub watermarks_us: BTreeMap<String, i64>,
    /// Of the tokens up to there.
    pub source_positions: SourcePositions,
}

impl Flushed {
    /// Whether these deltas were built upon what is live: what is below does not matter, a row of a delta counts whatever the base is.
    pub fn fits(&self, live: &Manifest) -> bool {
        self.over.iter().all(|(name, over)| live.deltas.get(name) == over.as_ref())
    }

    /// Puts the new deltas in the place of the old, and the log's position with them.
    pub fn change(self, manifest: &mut Manifest) {
        manifest.deltas.extend(self.deltas);
        manifest.log_position = manifest.log_position.max(self.covers.0);
        for (name, watermark_us) in self.watermarks_us {
            let known = manifest.watermarks_us.entry(name).or_insert(watermark_us);
            *known = watermark_us.max(*known);
        }
        for (source, partitions) in self.source_positions {
            let known = manifest.source_positions.entry(source).or_default();
            for (partition, sequence) in partitions {
                let known = known.entry(partition).or_default();
                *known = sequence.max(*known);
            }
        }
    }
}

/// Writes, for each table with rows in `frozen`, a new delta of these and of the delta that `live` has, in which nothing of `frozen`
/// may be yet: its position is lower. A table that `tables` does not know any more is left out.
pub fn flush(
    options: &FlushOptions,
    live: &Manifest,
    frozen: &Frozen,
    tables: &dyn Fn(TableId) -> Option<Arc<StreamTable>>,
) -> Result<Flushed, Error> {
    let is_new = live.log_position < frozen.covers().0 || frozen.tables().is_empty();
    assert!(is_new, "what was flushed is not flushed again");
    let (mut deltas, mut over, mut written) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for id in frozen.tables() {
        let Some(table) = tables(id) else { continue };
        let delta = live.deltas.get(&table.name);
        let entry = flush_over(options, live, frozen, &table, delta)?;
        written.push(Unpublished::new(&options.root, &entry));
        deltas.insert(table.name.clone(), entry);
        over.insert(table.name.clone(), delta.cloned());
    }
    written.into_iter().for_each(Unpublished::keep);
    let (watermarks_us, source_positions) = (BTreeMap::new(), SourcePositions::new());
    Ok(Flushed { deltas, over, covers: frozen.covers(), watermarks_us, source_positions })
}

/// Writes a delta of the rows that `frozen` has of a table, and of those in `delta`.
pub(crate) fn flush_over(
    options: &FlushOptions,
    live: &Manifest,
    frozen: &Frozen,
    table: &StreamTable,
    delta: Option<&TableEntry>,
) -> Result<TableEntry, Error> {
    // Under the base's seed, so that compaction need not sort.
    let seed = live.tables.get(&table.name).or(delta).map_or_else(disk::random, |entry| entry.seed);
    // A delta of another schema holds rows that nobody can read any more.
    let delta = delta.filter(|delta| delta.schema == *table.schema);
    let has_deletes = frozen.has_deletes(table.id) || delta.is_some_and(|delta| delta.has_deletes);
    let delta = delta.map(|entry| Table::open(&options.root, entry)).transpose()?;
    let levels = Above {
        frozen: Some((frozen, table.id)),
        tables: delta.iter().collect(),
        name: &table.name,
        schema: &table.schema,
        combine: table.combine.as_deref(),
        tombstones_until_us: None,
    };
    Ok(TableEntry { holds_writes: true, has_deletes, ..levels.write(options, seed)? })
}
