//! From source files to a table: which columns, cast how, in parallel, in bounded memory.
//!
//! ```text
//! files ─ Parquet: pieces of row groups ───┐                 ┌─ Rows: key, time, columns → encoded row ─ RowSink ─┐
//!       └ CSV, NDJSON: blocks of records ──┴─ one per worker ┴─ …                                                 ├─ finish
//! ```
//! A row that cannot be taken is counted, the first ones are shown, and the rest goes on. Nothing here publishes.

mod blocks;
mod cast;
mod cells;
mod csv;
mod fault;
mod json;
mod ndjson;
mod notes;
mod parquet;
mod progress;
mod report;
mod rows;
mod shape;
pub(crate) mod source;
#[cfg(test)]
mod tests;
mod text;
mod tiles;
mod types;

use std::{path::PathBuf, sync::Arc, thread};

use anyhow::{Context as _, Result, anyhow};
use gannet_api::definitions::model::{FeatureView, SourceFormat};
use gannet_store::{
    Schema,
    build::{BuildOptions, Fold, RowSink, TableBuilder},
    directory::TableEntry,
};

pub(crate) use notes::{Note, Notes};
pub(crate) use progress::{Progress, Unit};
pub(crate) use report::Report;

use self::{
    blocks::BLOCK_BYTES, csv::CsvSource, fault::BadRows, ndjson::NdjsonSource, parquet::ParquetSource, rows::Rows,
    shape::Shape, tiles::Tiles,
};
use crate::clock;

/// What one view is to be made of.
#[derive(Debug)]
pub(crate) struct Job<'v> {
    /// `prod/user_profile`, as people write it.
    pub(crate) name: String,
    pub(crate) view: &'v FeatureView,
    pub(crate) schema: Arc<Schema>,
    pub(crate) format: SourceFormat,
    pub(crate) files: Vec<PathBuf>,
    /// The event time of rows whose view declares no timestamp column.
    pub(crate) now_us: i64,
    pub(crate) build: BuildOptions,
}

/// Reads all of a view's files and builds its table, which is in no manifest yet.
pub(crate) fn materialize(job: Job<'_>) -> Result<(TableEntry, Report)> {
    in_blocks(job, BLOCK_BYTES)
}

/// The size of blocks is nothing to whoever reads, only to tests.
fn in_blocks(job: Job<'_>, block_bytes: usize) -> Result<(TableEntry, Report)> {
    let started = clock::seconds();
    let shape = Shape::new(job.view);
    let tiles = Tiles::of(job.view, &job.schema, job.now_us).map(Arc::new);
    let workers = job.build.workers;
    let bytes_in = bytes_of(&job.files)?;
    let input = match job.format {
        SourceFormat::Parquet => Input::Parquet(ParquetSource::open(&job.files, &shape, workers)?),
        SourceFormat::Csv => Input::Csv(CsvSource::open(&job.files, &shape, block_bytes)?),
        SourceFormat::Ndjson => Input::Ndjson(NdjsonSource::new(&job.files, block_bytes)),
    };
    let builder = match &tiles {
        None => TableBuilder::new(job.schema, job.build),
        Some(tiles) => {
            let fold: Arc<dyn Fold> = Arc::<Tiles>::clone(tiles);
            TableBuilder::folding(job.schema, job.build, &shape.schema, fold)
        }
    };
    let builder = builder.with_context(|| format!("cannot build {}", job.name))?;
    let progress = match &input {
        Input::Parquet(source) => Progress::new(&format!("{}: reading", job.name), source.rows(), Unit::Rows),
        Input::Csv(_) | Input::Ndjson(_) => Progress::new(&format!("{}: reading", job.name), bytes_in, Unit::Bytes),
    };

    let worker = |sink: RowSink| -> Result<(RowSink, u64, BadRows)> {
        let mut rows = Rows::new(&shape, job.now_us, sink);
        input.read(&mut rows, &shape, &progress)?;
        Ok(rows.into_parts())
    };
    let sinks: Vec<_> = (0..workers).map(|_| builder.sink()).collect();
    let outcomes: Vec<Result<_>> = thread::scope(|scope| {
        let threads: Vec<_> = sinks.into_iter().map(|sink| scope.spawn(|| worker(sink))).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a reading thread panicked"))?).collect()
    });
    drop(progress);

    let (mut sinks, mut rows_read, mut bad) = (Vec::new(), 0, BadRows::default());
    for outcome in outcomes {
        let (sink, read, noted) = outcome?;
        sinks.push(sink);
        rows_read += read;
        bad.merge(noted);
    }
    let merging = Progress::new(&format!("{}: merging", job.name), rows_read, Unit::Rows);
    let (entry, built) = builder
        .finish(sinks, &|done, total| merging.reach(done, total))
        .with_context(|| format!("cannot build {}", job.name))?;
    drop(merging);
    let seconds = clock::seconds() - started;
    let keys_cut = tiles.as_ref().map(|tiles| tiles.keys_cut());
    let report = Report { name: job.name, files: job.files, rows_read, bad, bytes_in, built, keys_cut, seconds };
    Ok((entry, report))
}

/// Work to be shared out.
enum Input {
    Parquet(ParquetSource),
    Csv(CsvSource),
    Ndjson(NdjsonSource),
}

impl Input {
    /// Takes work until there is none left. Called by every worker.
    fn read(&self, rows: &mut Rows<'_>, shape: &Shape, progress: &Progress) -> Result<()> {
        match self {
            Self::Parquet(source) => source.read(rows, shape, progress),
            Self::Csv(source) => source.read(rows, progress),
            Self::Ndjson(source) => source.read(rows, shape, progress),
        }
    }
}

fn bytes_of(files: &[PathBuf]) -> Result<u64> {
    let mut total = 0;
    for file in files {
        total += std::fs::metadata(file).with_context(|| format!("cannot examine {}", file.display()))?.len();
    }
    Ok(total)
}
