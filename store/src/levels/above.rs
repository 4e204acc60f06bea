//! Levels of one table that become one table.

use std::sync::Arc;

use super::{
    flush::FlushOptions,
    merge::{Rule, Source, merge},
};
use crate::{
    build::{AscendingTable, BuildOptions, TableBuilder, Unpublished},
    directory::{TableEntry, disk},
    error::Error,
    limits::RESEEDS_MAX,
    overlay::{Frozen, TableId},
    plane::Combine,
    schema::Schema,
    table::Table,
};

/// The levels, the upper ones first.
pub(super) struct Above<'l> {
    pub(super) frozen: Option<(&'l Frozen, TableId)>,
    pub(super) tables: Vec<&'l Table>,
    pub(super) name: &'l str,
    pub(super) schema: &'l Arc<Schema>,
    /// How rows of one key become one; `None`: the newest counts.
    pub(super) combine: Option<&'l dyn Combine>,
    /// Tombstones up to this event time are left out, with what they hide; `None`: none is.
    pub(super) tombstones_until_us: Option<i64>,
}

impl Above<'_> {
    /// One table of all of them, under `seed` if that tells its keys apart.
    pub(super) fn write(&self, options: &FlushOptions, seed: u64) -> Result<TableEntry, Error> {
        if self.tables.iter().all(|table| table.seed() == seed) {
            match self.write_merged(options, seed) {
                Err(Error::Reseed { .. }) => {} // two keys have met: another seed is needed
                written => return written,
            }
        }
        if self.combine.is_some() {
            return self.write_resorted(options, seed);
        }
        let sorted = self.write_sorted(options)?;
        if self.tombstones_until_us.is_none() || sorted.tombstones == 0 {
            return Ok(sorted);
        }
        // The builder keeps tombstones; what it wrote goes once it was read.
        let _passing = Unpublished::new(&options.root, &sorted);
        let table = Table::open(&options.root, &sorted)?;
        Above { frozen: None, tables: vec![&table], ..*self }.write_merged(options, sorted.seed)
    }

    /// In one pass over what is sorted already.
    fn write_merged(&self, options: &FlushOptions, seed: u64) -> Result<TableEntry, Error> {
        let frozen = self.frozen.map(|(frozen, id)| frozen.rows(id, seed));
        let (frozen_rows, frozen_bytes) = frozen.as_ref().map_or((0, 0), |rows| (rows.len() as u64, rows.row_bytes()));
        let rows = frozen_rows + self.tables.iter().map(|table| table.rows() + table.tombstones()).sum::<u64>();
        let row_bytes = frozen_bytes + self.tables.iter().map(|table| table.rows_bytes()).sum::<u64>();
        let mut sources = frozen.into_iter().map(Source::frozen).collect::<Result<Vec<_>, _>>()?;
        for table in &self.tables {
            sources.push(Source::table(table)?);
        }
        let build = self.build(options);
        let mut written = AscendingTable::new(Arc::clone(self.schema), build, seed, rows, row_bytes)?;
        let combine = self.combine.map(|combine| (combine, options.now_us));
        let rule = Rule { seed, combine, tombstones_until_us: self.tombstones_until_us };
        merge(&mut sources, rule, |hash, row| {
            options.stop.check()?;
            written.push(hash, row)
        })?;
        written.finish()
    }

    /// By sorting each level by itself once more, under one seed, so that rows of a key meet in the merge.
    fn write_resorted(&self, options: &FlushOptions, seed: u64) -> Result<TableEntry, Error> {
        let mut seed = seed;
        for _ in 0..=RESEEDS_MAX {
            let mut resorted = Vec::new();
            for table in &self.tables {
                if table.seed() != seed {
                    let entry = self.resort(options, table, seed)?;
                    let passing = Unpublished::new(&options.root, &entry);
                    resorted.push((table, Table::open(&options.root, &entry)?, passing));
                }
            }
            let same = |table| resorted.iter().find(|(old, ..)| std::ptr::eq(*old, table)).map(|(_, new, _)| new);
            let tables: Vec<&Table> = self.tables.iter().map(|table| same(table).unwrap_or(table)).collect();
            if tables.iter().all(|table| table.seed() == seed) {
                match (Above { tables, ..*self }).write_merged(options, seed) {
                    Err(Error::Reseed { .. }) => {}
                    written => return written,
                }
            }
            seed = disk::random();
        }
        Err(Error::Reseed { seed })
    }

    fn resort(&self, options: &FlushOptions, table: &Table, seed: u64) -> Result<TableEntry, Error> {
        let builder = TableBuilder::seeded(Arc::clone(self.schema), self.build(options), seed)?;
        let mut sink = builder.sink();
        table.advise_scan()?;
        for row in table.scan() {
            sink.push(row?.encoded(), 0)?;
        }
        table.check_mapping()?;
        Ok(builder.finish(vec![sink], &|_, _| {})?.0)
    }

    /// By sorting everything together once more, under a new seed, of each key the newest.
    fn write_sorted(&self, options: &FlushOptions) -> Result<TableEntry, Error> {
        let builder = TableBuilder::new(Arc::clone(self.schema), self.build(options))?;
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

    fn build(&self, options: &FlushOptions) -> BuildOptions {
        build(options, self.name)
    }
}

pub(super) fn build(options: &FlushOptions, table: &str) -> BuildOptions {
    let FlushOptions { root, memory_bytes, now_us, .. } = options.clone();
    BuildOptions { root, table: table.to_owned(), memory_bytes, workers: 1, now_us }
}
