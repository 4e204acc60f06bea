//! What is served: the tables and definitions of one generation, and how the next one takes their place.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Weak},
    time::Duration,
};

use anyhow::{Context as _, Result};
use gannet_api::{
    Catalog, Shared,
    definitions::model::{Definitions, FeatureView},
};
use gannet_store::{
    Error, Schema, Table,
    directory::{DataDirectory, Manifest, TableEntry},
    levels::Levels,
    plane::{Combine, StreamTables},
    table::{Brought, Populate},
};

use super::{keeper::taken, memory::MemorySettings};
use crate::repository::{self, Applied};

/// One generation, opened and compiled.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) generation: u64,
    pub(super) catalog: Arc<Catalog>,
    /// What may be written to, and by which ids. Kept from one generation to the next.
    pub(super) streams: Arc<StreamTables>,
    /// By name, the lower level first.
    tables: BTreeMap<(String, Level), Open>,
    /// Views whose table has another shape than their definition: not served until they are materialized.
    pub(super) outdated: Vec<String>,
    /// Records are taken for some view, so there will be deltas, larger ones each time.
    pub(super) takes_records: bool,
    /// Why a delta that was brought in may not be locked.
    pub(super) lock_refused: Option<Error>,
}

/// How new deltas are brought into memory, and how much room there is for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) settings: MemorySettings,
    pub(super) bytes: u64,
}

/// Where in a table's levels a file's rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Base,
    Delta,
}

#[derive(Debug, Clone)]
struct Open {
    entry: TableEntry,
    table: Arc<Table>,
}

/// A table that is written to: its name, its schema, and how rows of a key become one.
type Streamed = (String, Schema, Option<Arc<dyn Combine>>);

/// How rows of a view become one where none takes the other's place; `None` for views whose newest row counts.
pub(super) type CombineOf<'c> = &'c dyn Fn(&FeatureView) -> Option<Arc<dyn Combine>>;

impl Live {
    /// Opens what `data` holds now; `None` when nothing was published. Tables that are the same as in `before` are shared
    /// with it. Headers and roots are checked here; blocks are checked when they are read. New deltas that are small and have `room`
    /// are in memory afterwards: those who just wrote will ask.
    /// `slow` are tables whose reads are held back; `streams` those that could be written to until now.
    pub(super) fn open(
        data: &DataDirectory,
        before: Option<&Self>,
        shared: &Shared,
        slow: &BTreeMap<String, Duration>,
        room: Room,
        streams: &StreamTables,
        combine: CombineOf<'_>,
    ) -> Result<Option<Self>> {
        let Some(manifest) = data.current()? else { return Ok(None) };
        let Some(applied) = repository::applied(data, Some(&manifest))? else { return Ok(None) };
        let outdated = outdated(&manifest, &applied);
        let streams = streams.with(stream_tables(&applied.definitions, combine));
        // Rows of another schema are nobody's any more.
        let is_read =
            |name: &String, entry: &TableEntry| streams.get(name).is_none_or(|stream| *stream.schema == entry.schema);
        let deltas = manifest.deltas.into_iter().filter(|(name, entry)| is_read(name, entry));
        let tables = manifest.tables.into_iter().map(|(name, entry)| ((name, Level::Base), entry));
        let entries = tables.chain(deltas.map(|(name, entry)| ((name, Level::Delta), entry)));
        let (mut tables, mut levels) = (BTreeMap::<_, Open>::new(), BTreeMap::<String, Levels>::new());
        let (mut room, mut lock_refused) = (room, None);
        for (place, entry) in entries {
            let known = before.and_then(|before| before.tables.get(&place)).filter(|open| open.entry == entry);
            let (name, level) = &place;
            let open = match known {
                Some(open) => open.clone(),
                None => {
                    let open = open(data.root(), name, entry)?;
                    if *level == Level::Delta {
                        let refused = bring_in(&open.table, &mut room);
                        lock_refused = lock_refused.or(refused);
                    }
                    open
                }
            };
            // What a batch brought is processed, too.
            if let (Some(stream), Some(newest_us)) = (streams.get(name), open.entry.newest_event_us()) {
                stream.advance_watermark(newest_us);
            }
            if !outdated.contains(name) || *level == Level::Delta {
                let levels = levels.entry(name.clone()).or_default();
                *(if *level == Level::Base { &mut levels.base } else { &mut levels.delta }) =
                    Some(Arc::clone(&open.table));
            }
            tables.insert(place, open);
        }
        let catalog = Catalog::compile(&applied.definitions, levels, &streams, manifest.generation, shared.metrics());
        let catalog = Arc::new(catalog.covering(manifest.log_position).with_slow_tables(slow));
        let streams = Arc::new(streams);
        let mut views = applied.definitions.workspaces.values().flat_map(|workspace| workspace.feature_views.values());
        let takes_records = views.any(|view| view.stream.is_some());
        let generation = manifest.generation;
        Ok(Some(Self { generation, catalog, streams, tables, outdated, takes_records, lock_refused }))
    }

    /// Tables that `before` does not share, by name.
    pub(super) fn new_tables(&self, before: Option<&Self>) -> Vec<(String, Arc<Table>)> {
        let shared = |place: &(String, Level), open: &Open| {
            let known = before.and_then(|before| before.tables.get(place));
            known.is_some_and(|known| Arc::ptr_eq(&known.table, &open.table))
        };
        let new = self.tables.iter().filter(|(place, open)| !shared(place, open));
        new.map(|((name, _), open)| (name.clone(), Arc::clone(&open.table))).collect()
    }

    /// All tables, deltas first, which are asked for most; whoever gets them does not keep them.
    pub(super) fn tables(&self) -> Vec<(String, Weak<Table>)> {
        let at = |wanted| self.tables.iter().filter(move |((_, level), _)| *level == wanted);
        let tables = at(Level::Delta).chain(at(Level::Base));
        tables.map(|((name, _), open)| (name.clone(), Arc::downgrade(&open.table))).collect()
    }

    /// Bytes that deltas take of the budget.
    pub(super) fn deltas_taken(&self) -> u64 {
        let deltas = self.tables.iter().filter(|((_, level), _)| *level == Level::Delta);
        deltas.map(|(_, open)| taken(&open.table)).sum()
    }

    /// Whether this table is one of these, and not only one of the same name.
    pub(super) fn holds(&self, name: &str, table: &Arc<Table>) -> bool {
        let at = |level| self.tables.get(&(name.to_owned(), level));
        [Level::Base, Level::Delta].into_iter().filter_map(at).any(|open| Arc::ptr_eq(&open.table, table))
    }

    /// Whether files of this table are read.
    pub(super) fn serves(&self, name: &str) -> bool {
        let has = |level| self.tables.contains_key(&(name.to_owned(), level));
        has(Level::Delta) || has(Level::Base) && !self.outdated.iter().any(|outdated| outdated == name)
    }

    /// Bytes of all rows, without their indexes.
    pub(super) fn rows_bytes(&self) -> u64 {
        self.tables.values().map(|open| open.table.rows_bytes()).sum()
    }

    pub(super) fn rows(&self) -> u64 {
        self.tables.values().map(|open| open.entry.rows).sum()
    }

    pub(super) fn table_count(&self) -> usize {
        self.tables.keys().filter(|(_, level)| *level == Level::Base).count()
    }

    /// Whether nobody else holds what this holds. Until then it must be kept: whoever drops the last reference unmaps the
    /// files, and that must not be a serving core.
    pub(super) fn is_unused(&self) -> bool {
        Arc::strong_count(&self.catalog) == 1
    }
}

/// What the tables of all these take of the budget, those that several share once.
pub(super) fn taken_by<'l>(lives: impl Iterator<Item = &'l Live>) -> u64 {
    let mut seen = BTreeSet::new();
    let tables = lives.flat_map(|live| live.tables.values());
    tables.filter(|open| seen.insert(Arc::as_ptr(&open.table))).map(|open| taken(&open.table)).sum()
}

fn open(root: &Path, name: &str, entry: TableEntry) -> Result<Open> {
    let table = Table::open(root, &entry).with_context(|| format!("table {name}"))?;
    Ok(Open { entry, table: Arc::new(table) })
}

/// Brings in a new delta as tables are, as far as there is room. Returns why it may not be locked, if that was tried. What cannot be
/// had is read when it is asked for; whoever keeps tables in memory tries again, and says so.
fn bring_in(table: &Table, room: &mut Room) -> Option<Error> {
    let MemorySettings { populate, lock, huge_pages, .. } = room.settings;
    if populate == Populate::None || table.index_bytes() + table.rows_bytes() > DELTA_BROUGHT_IN_BYTES_MAX {
        return None;
    }
    let before = taken(table);
    let index = table.bring_in_index_within(room.bytes, lock, huge_pages);
    let left = room.bytes.saturating_sub(taken(table) - before);
    let rows = match (&index, populate) {
        (Ok(_), Populate::All) => table.bring_in_rows(left, lock, huge_pages),
        _ => Ok(Brought::default()),
    };
    room.bytes = room.bytes.saturating_sub(taken(table) - before);
    [index, rows].into_iter().find_map(|brought| brought.ok()?.lock_refused)
}

/// What may be written to by what is applied, if nothing was opened yet. Empty when nothing was applied.
pub(super) fn streams(data: &DataDirectory, combine: CombineOf<'_>) -> Result<StreamTables> {
    let manifest = data.current()?;
    let applied = repository::applied(data, manifest.as_ref())?;
    let tables = applied.map(|applied| stream_tables(&applied.definitions, combine));
    Ok(StreamTables::default().with(tables.into_iter().flatten()))
}

/// All views': a row of any may be deleted.
fn stream_tables(definitions: &Definitions, combine: CombineOf<'_>) -> Vec<Streamed> {
    let views = definitions
        .workspaces
        .iter()
        .flat_map(|(workspace, definitions)| definitions.feature_views.values().map(move |view| (workspace, view)));
    views
        .map(|(workspace, view)| (FeatureView::table_name(workspace, &view.name), view.schema(), combine(view)))
        .collect()
}

fn outdated(manifest: &Manifest, applied: &Applied) -> Vec<String> {
    let mut outdated = Vec::new();
    for (workspace, definitions) in &applied.definitions.workspaces {
        for view in definitions.feature_views.values() {
            let name = FeatureView::table_name(workspace, &view.name);
            if manifest.tables.get(&name).is_some_and(|entry| entry.schema != view.schema()) {
                outdated.push(name);
            }
        }
    }
    outdated
}

/// A delta up to this is brought in before it is read from: half a second of an ordinary disk, and what it has was in memory a moment ago.
pub(super) const DELTA_BROUGHT_IN_BYTES_MAX: u64 = 256 << 20;

#[cfg(test)]
mod tests;
