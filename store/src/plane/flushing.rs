//! From a frozen part to a generation that has its rows.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    StreamTables,
    underway::Since,
    work::{WorkOptions, build_upon_live, collect, live},
};
use crate::{
    build::Unpublished,
    directory::{Building, DataDirectory, Manifest, SourcePositions, TableEntry},
    error::Error,
    levels::{self, Flushed},
    overlay::Frozen,
};

/// A frozen part, with what belongs to the position up to which it goes.
#[derive(Debug)]
pub(super) struct Flush {
    pub(super) frozen: Frozen,
    pub(super) tables: Arc<StreamTables>,
    pub(super) watermarks_us: BTreeMap<String, i64>,
    pub(super) source_positions: SourcePositions,
    /// How often it failed.
    pub(super) attempts: u32,
    built: Option<Built>,
}

/// Deltas that wait to be published.
#[derive(Debug)]
struct Built {
    flushed: Flushed,
    /// By table name.
    files: BTreeMap<String, Unpublished>,
    beside: Option<Beside>,
    building: Building,
}

/// Of the table that is being compacted, what was written since: what goes beside the new base.
#[derive(Debug)]
struct Beside {
    table: String,
    over: Option<TableEntry>,
    since: Since,
}

impl Flush {
    pub(super) fn new(
        frozen: Frozen,
        tables: Arc<StreamTables>,
        watermarks_us: BTreeMap<String, i64>,
        source_positions: SourcePositions,
    ) -> Self {
        Self { frozen, tables, watermarks_us, source_positions, attempts: 0, built: None }
    }

    /// These are the tables now.
    pub(super) fn with_tables(mut self, tables: Arc<StreamTables>) -> Self {
        if !Arc::ptr_eq(&self.tables, &tables) {
            (self.tables, self.built) = (tables, None);
        }
        self
    }

    /// Publishes a generation with the part's rows, and returns its number.
    pub(super) fn run(&mut self, data: &DataDirectory, options: &WorkOptions) -> Result<u64, Error> {
        self.build(data, options)?;
        self.publish(data, options)
    }

    /// Writes the deltas, unless they are there already.
    pub(super) fn build(&mut self, data: &DataDirectory, options: &WorkOptions) -> Result<(), Error> {
        if self.built.is_some() {
            return Ok(());
        }
        let found = match data.current()? {
            Some(found) => found,
            None => {
                let _publishing = options.underway.publishing();
                live(data, &data.lock()?)?
            }
        };
        if !self.is_in(&found) {
            self.built = Some(build_upon_live(data, found, |live| self.build_upon(live, data, options))?);
        }
        Ok(())
    }

    /// Publishes the deltas; where others are live than those that they were built upon, they are built again under the lock.
    pub(super) fn publish(&mut self, data: &DataDirectory, options: &WorkOptions) -> Result<u64, Error> {
        let _publishing = options.underway.publishing();
        let lock = data.lock()?;
        let live = live(data, &lock)?;
        let built = self.built.take();
        if self.is_in(&live) {
            // An earlier attempt failed when it had been published already, and perhaps was not durable yet.
            return Ok(data.publish(&lock, |_| ())?.generation);
        }
        let built = match built.and_then(|built| built.fitted(&live)) {
            Some(built) => built,
            None => self.build_upon(&live, data, options)?,
        };
        let Built { mut flushed, files, mut beside, building } = built;
        flushed.watermarks_us.clone_from(&self.watermarks_us);
        flushed.source_positions.clone_from(&self.source_positions);
        let Flushed { deltas, over, .. } = flushed.clone();
        files.into_values().for_each(Unpublished::keep);
        let published = data.publish(&lock, |manifest| {
            flushed.change(manifest);
            manifest.created_at_us = options.now_us;
        })?;
        for (table, delta) in &deltas {
            let since = beside.take_if(|beside| beside.table == *table).map(|beside| beside.since);
            options.underway.flushed(table, over.get(table).and_then(Option::as_ref), delta, since);
        }
        drop(building);
        collect(data, &lock, options.generations_kept);
        Ok(published.generation)
    }

    fn is_in(&self, live: &Manifest) -> bool {
        live.log_position >= self.frozen.covers().0
    }

    fn build_upon(&self, live: &Manifest, data: &DataDirectory, options: &WorkOptions) -> Result<Built, Error> {
        let building = data.building()?;
        let known = |id| self.tables.of_id(id).cloned();
        let flushed = levels::flush(&options.for_levels(data), live, &self.frozen, &known)?;
        let files = |(name, entry): (&String, &TableEntry)| (name.clone(), Unpublished::new(data.root(), entry));
        let files = flushed.deltas.iter().map(files).collect();
        let beside = self.build_beside(live, &flushed, data, options)?;
        Ok(Built { flushed, files, beside, building })
    }

    fn build_beside(
        &self,
        live: &Manifest,
        flushed: &Flushed,
        data: &DataDirectory,
        options: &WorkOptions,
    ) -> Result<Option<Beside>, Error> {
        for (name, delta) in &flushed.deltas {
            let before = live.deltas.get(name);
            let (Some(over), Some(table)) = (options.underway.beside(name, before), self.tables.get(name)) else {
                continue;
            };
            let since = match over.as_ref() == before {
                true => Since { entry: delta.clone(), files: None },
                false => {
                    let built = levels::flush_over(&options.for_levels(data), live, &self.frozen, table, over.as_ref());
                    match built {
                        Ok(entry) => Since { files: Some(Unpublished::new(data.root(), &entry)), entry },
                        // What was to be built upon is gone with the compaction that was given up.
                        Err(_) if options.underway.beside(name, before).as_ref() != Some(&over) => continue,
                        Err(error) => return Err(error),
                    }
                }
            };
            return Ok(Some(Beside { table: name.clone(), over, since }));
        }
        Ok(None)
    }
}

impl Built {
    /// As it may be published upon `live`, if it may.
    fn fitted(mut self, live: &Manifest) -> Option<Self> {
        if let Some(beside) = self.beside.take_if(|beside| {
            // The compaction came first: what was written since is what there is to be beside its base.
            let delta = live.deltas.get(&beside.table);
            delta == beside.over.as_ref()
                && self.flushed.over.get(&beside.table).is_some_and(|over| over.as_ref() != delta)
        }) {
            let Beside { table, over, since } = beside;
            self.flushed.deltas.insert(table.clone(), since.entry);
            self.flushed.over.insert(table.clone(), over);
            self.files.extend(since.files.map(|files| (table, files)));
        }
        self.flushed.fits(live).then_some(self)
    }
}
