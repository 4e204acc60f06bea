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

/// A base that waits to be published.
#[derive(Debug)]
pub(super) struct Built {
    table: String,
    /// `None`: there was nothing to change.
    compacted: Option<Compacted>,
    /// What it was built upon.
    base: Option<TableEntry>,
    /// Whether deletes are in it.
    erases: bool,
    files: Option<Unpublished>,
    /// `None`: the delta stays as it is.
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
        let Some(Built { table, compacted, .. }) = &self.built else { return Ok(None) };
        let mut compaction = Compaction { table: table.clone(), generation: None };
        if compacted.is_none() {
            self.built = None;
            return Ok(Some(compaction));
        }
        let lock = data.lock()?; // or it is tried again with what was built
        let live = data.current()?.ok_or(Error::GivenUp)?;
        let Some(Built { table, compacted: Some(compacted), base, erases, files, begun, building }) = self.built.take()
        else {
            return Ok(None);
        };
        if live.tables.get(&table) != base.as_ref() {
            return Err(Error::GivenUp);
        }
        let delta = live.deltas.get(&table);
        let delta = match &begun {
            Some(begun) => begun.since(delta).ok_or(Error::GivenUp)?.map(|Since { entry, files }| {
                files.into_iter().for_each(Unpublished::keep);
                entry
            }),
            // Whatever was flushed since hides what the delta hid before.
            None => Some(delta.cloned().ok_or(Error::GivenUp)?),
        };
        files.into_iter().for_each(Unpublished::keep);
        let published = data.publish(&lock, |manifest| {
            Compacted { delta, ..compacted }.change(manifest);
            manifest.created_at_us = options.now_us;
        })?;
        compaction.generation = Some(published.generation);
        drop((begun, building));
        // What was deleted is to be gone, from what is no longer live, too.
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
            Plan::Strip => levels::strip(&levels_options, live, name, combine)?,
        };
        let new = compacted.as_ref().and_then(|compacted| compacted.base.as_ref());
        let is_written = |new: &&TableEntry| delta.is_none_or(|delta| delta.segments != new.segments);
        let files = new.filter(is_written).map(|new| Unpublished::new(data.root(), new));
        let erases = delta.is_some_and(|delta| delta.tombstones > 0);
        Ok(Some(Built { table: name.to_owned(), compacted, base: base.cloned(), erases, files, begun, building }))
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
            (Some(delta), Some(base)) if !base.holds_writes && delta.rows > delta.tombstones => {
                let is_due = last_us.map_or(delta.tombstones > 0, is_old);
                is_due.then_some(Plan::Strip)
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
    /// The base is written without what the delta hides.
    Strip,
}
