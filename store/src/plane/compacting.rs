//! From a delta and a base to a generation that has one base of both.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    StreamTable, StreamTables,
    underway::{Begun, Since},
    work::{Compaction, WorkOptions, build_upon_live, collect},
};
use crate::{
    build::Unpublished,
    directory::{Building, DataDirectory, Manifest, TableEntry},
    error::Error,
    levels::{self, Compacted},
};

/// Look for a table that is due, and compact it.
#[derive(Debug)]
pub(super) struct Compact {
    pub(super) tables: Arc<StreamTables>,
    /// By name, the oldest event time in the overlay: tombstones that are as new stay.
    pub(super) oldest_us: BTreeMap<String, i64>,
    /// By name, when it was compacted last.
    pub(super) compacted_us: BTreeMap<String, i64>,
    /// Tables that could not be read lately, and that others do not wait for.
    pub(super) put_off: BTreeSet<String>,
    pub(super) share: u64,
    pub(super) after_us: i64,
    pub(super) tombstones_kept_us: i64,
    pub(super) built: Option<Built>,
}

/// A base that waits to be published, with a delta where that was written anew, too.
#[derive(Debug)]
pub(super) struct Built {
    table: String,
    /// `None`: there was nothing to change.
    compacted: Option<Compacted>,
    /// What it was built upon.
    base: Option<TableEntry>,
    delta: Option<TableEntry>,
    /// Whether deletes are in it.
    erases: bool,
    base_files: Option<Unpublished>,
    delta_files: Option<Unpublished>,
    /// `None`: the delta does not go into the base.
    begun: Option<Begun>,
    building: Building,
}

impl Compact {
    /// Writes the new base of a table that is due, unless that is done; nothing if none is.
    pub(super) fn build(&mut self, data: &DataDirectory, options: &WorkOptions) -> Result<(), Error> {
        if self.built.is_some() {
            return Ok(());
        }
        let Some(live) = data.current()? else { return Ok(()) };
        self.built = build_upon_live(data, live, |live| self.build_upon(live, data, options))?;
        Ok(())
    }

    /// Publishes it, if the base that it was built upon is live, and what became of the delta meanwhile is known; else it is given up.
    /// `None`: no table is due.
    pub(super) fn publish(&mut self, data: &DataDirectory, options: &WorkOptions) -> Result<Option<Compaction>, Error> {
        let Some(Built { table, compacted, erases, .. }) = &self.built else { return Ok(None) };
        let (table, is_new, erases) = (table.clone(), compacted.is_some(), *erases);
        let mut compaction = Compaction { table: table.clone(), generation: None };
        if !is_new && !erases {
            self.built = None;
            return Ok(Some(compaction));
        }
        let _publishing = options.underway.publishing();
        let lock = data.lock()?; // or it is tried again with what was built
        let live = data.current()?.ok_or(Error::GivenUp)?;
        let Some(built) = self.built.take() else { return Ok(None) };
        let Built { compacted, base, delta, base_files, delta_files, begun, building, .. } = built;
        if is_new && live.tables.get(&table) != base.as_ref() {
            return Err(Error::GivenUp);
        }
        let live_delta = live.deltas.get(&table);
        let changed = match (compacted, &begun) {
            (Some(compacted), Some(begun)) => {
                let since = begun.since(live_delta).ok_or(Error::GivenUp)?;
                let delta = since.map(|Since { entry, files }| {
                    files.into_iter().for_each(Unpublished::keep);
                    entry
                });
                Some(Compacted { delta, ..compacted })
            }
            (Some(compacted), None) if live_delta == delta.as_ref() => {
                delta_files.into_iter().for_each(Unpublished::keep);
                Some(compacted)
            }
            // Whatever was flushed since hides what the delta hid before. What is to go from it goes the next time.
            (Some(compacted), None) if compacted.base != base => {
                let delta = Some(live_delta.cloned().ok_or(Error::GivenUp)?);
                Some(Compacted { delta, ..compacted })
            }
            _ => None,
        };
        if let Some(changed) = changed {
            base_files.into_iter().for_each(Unpublished::keep);
            let published = data.publish(&lock, |manifest| {
                changed.change(manifest);
                manifest.created_at_us = options.now_us;
            })?;
            compaction.generation = Some(published.generation);
        }
        drop((begun, building));
        // What was deleted is to be gone, from what is no longer live, too: also where what is live never held it.
        collect(data, &lock, if erases { 1 } else { options.generations_kept });
        Ok(Some(compaction))
    }

    fn build_upon(&self, live: &Manifest, data: &DataDirectory, options: &WorkOptions) -> Result<Option<Built>, Error> {
        let plan = |table: &Arc<StreamTable>| Some((Arc::clone(table), self.plan(live, table, options.now_us)?));
        let mut tables = self.tables.iter().filter(|table| !self.put_off.contains(&table.name));
        let Some((table, plan)) = tables.find_map(plan) else { return Ok(None) };
        let building = data.building()?;
        let (name, combine, levels_options) = (table.name.as_str(), table.combine.as_deref(), options.for_levels(data));
        let (base, delta) = (live.tables.get(name), live.deltas.get(name));
        let mut begun = None;
        let compacted = match plan {
            Plan::Merge => {
                begun = Some(options.underway.begin(name, delta, &options.stop));
                let until_us = self.tombstones_until_us(&table, options.now_us);
                levels::compact(&levels_options, live, name, until_us, combine)?
            }
            Plan::Strip => {
                let until_us = self.tombstones_until_us(&table, options.now_us);
                levels::strip(&levels_options, live, name, until_us, combine)?
            }
        };
        // What was written before, and perhaps only changes its place, is no garbage.
        let is_written =
            |new: &&TableEntry| [base, delta].into_iter().flatten().all(|old| old.segments != new.segments);
        let files = |new: Option<&TableEntry>| new.filter(is_written).map(|new| Unpublished::new(data.root(), new));
        let base_files = files(compacted.as_ref().and_then(|compacted| compacted.base.as_ref()));
        let delta_files = files(compacted.as_ref().and_then(|compacted| compacted.delta.as_ref()));
        let erases = [base, delta].into_iter().flatten().any(|entry| entry.has_deletes || entry.tombstones > 0);
        let (table, base, delta) = (name.to_owned(), base.cloned(), delta.cloned());
        Ok(Some(Built { table, compacted, base, delta, erases, base_files, delta_files, begun, building }))
    }

    fn plan(&self, live: &Manifest, table: &StreamTable, now_us: i64) -> Option<Plan> {
        let of_schema = |entry: &&TableEntry| entry.schema == *table.schema;
        let delta = live.deltas.get(&table.name).filter(of_schema);
        let base = live.tables.get(&table.name).filter(of_schema);
        let last_us = self.compacted_us.get(&table.name).copied();
        let is_old = |since_us: i64| since_us.saturating_add(self.after_us) <= now_us;
        match (delta, base) {
            (None, None) => None,
            (Some(_), None) => Some(Plan::Merge),
            (None, Some(base)) => {
                let since_us = last_us.unwrap_or(base.built_at_us);
                (base.tombstones > 0 && is_old(since_us)).then_some(Plan::Merge)
            }
            // Of a base that would be built again, nothing is put together with what was written.
            (Some(delta), Some(base))
                if !base.holds_writes && base.rows > base.tombstones && delta.rows > delta.tombstones =>
            {
                let has_deleted = delta.has_deletes || delta.tombstones + base.tombstones > 0;
                (has_deleted && last_us.is_none_or(is_old)).then_some(Plan::Strip)
            }
            (Some(delta), Some(base)) => {
                let bytes = |entry: &TableEntry| entry.segments.iter().map(|segment| segment.bytes).sum::<u64>();
                let is_large = bytes(delta).saturating_mul(self.share) >= bytes(base);
                (is_large || is_old(last_us.unwrap_or(base.built_at_us))).then_some(Plan::Merge)
            }
        }
    }

    fn tombstones_until_us(&self, table: &StreamTable, now_us: i64) -> i64 {
        if table.combine.is_some() {
            return i64::MAX; // what is above counts whatever its time
        }
        let oldest_us = self.oldest_us.get(&table.name).copied().unwrap_or(i64::MAX);
        now_us.saturating_sub(self.tombstones_kept_us).min(oldest_us.saturating_sub(1))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// The delta goes into the base.
    Merge,
    /// What was deleted goes from both.
    Strip,
}
