//! Parquet: only the columns a view wants, row groups shared out over threads, columns downcast once per batch.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context as _, Result, bail};
use arrow_array::RecordBatch;
use gannet_store::{ColumnType, Value};
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{
        ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
    },
};

use super::{
    cells::Cells,
    fault::{Fault, Position},
    progress::Progress,
    rows::{Record, Rows},
    shape::{Shape, type_name},
    types,
};

/// The files of one source, opened as far as their footers, with their work cut into pieces.
#[derive(Debug)]
pub(super) struct ParquetSource {
    files: Vec<ParquetFile>,
    pieces: Vec<Piece>,
    next: AtomicUsize,
}

#[derive(Debug)]
struct ParquetFile {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    /// Root columns to read, and for each slot of the view which of the columns read it is.
    roots: Vec<usize>,
    slots: Vec<usize>,
}

/// Rows of one row group that one thread reads in one go.
#[derive(Debug)]
struct Piece {
    file: usize,
    row_group: usize,
    /// Within the row group.
    skip: usize,
    rows: usize,
    /// Within the file.
    first_row: u64,
}

impl ParquetSource {
    /// Reads the footers; refuses columns that are missing or cannot be read as declared, all of a file's at once.
    pub(super) fn open(paths: &[PathBuf], shape: &Shape, workers: usize) -> Result<Self> {
        let mut files = Vec::new();
        let mut pieces = Vec::new();
        for path in paths {
            let file = ParquetFile::open(path, shape)?;
            let mut first_row = 0;
            for (row_group, group) in file.metadata.metadata().row_groups().iter().enumerate() {
                let rows = usize::try_from(group.num_rows()).unwrap_or(0);
                // Some writers put everything into one row group; cut it, or one thread would do all the work. Skipping
                // to a piece's start passes over whole pages without decompressing them.
                let piece = rows.div_ceil(workers * 2).max(PIECE_ROWS_MIN);
                for skip in (0..rows).step_by(piece) {
                    let rows = piece.min(rows - skip);
                    let first_row = first_row + skip as u64;
                    pieces.push(Piece { file: files.len(), row_group, skip, rows, first_row });
                }
                first_row += rows as u64;
            }
            files.push(file);
        }
        Ok(Self { files, pieces, next: AtomicUsize::new(0) })
    }

    /// Rows of all files.
    pub(super) fn rows(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.rows as u64).sum()
    }

    /// Takes pieces until there are none left. Called by every worker.
    pub(super) fn read(&self, rows: &mut Rows<'_>, shape: &Shape, progress: &Progress) -> Result<()> {
        while let Some(piece) = self.pieces.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let file = &self.files[piece.file];
            let read = self.read_piece(piece, rows, shape, progress);
            read.with_context(|| format!("cannot read {} (row group {})", file.path.display(), piece.row_group + 1))?;
        }
        Ok(())
    }

    fn read_piece(&self, piece: &Piece, rows: &mut Rows<'_>, shape: &Shape, progress: &Progress) -> Result<()> {
        let file = &self.files[piece.file];
        let mask = ProjectionMask::roots(file.metadata.parquet_schema(), file.roots.iter().copied());
        let selection = RowSelection::from(vec![RowSelector::skip(piece.skip), RowSelector::select(piece.rows)]);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(File::open(&file.path)?, file.metadata.clone())
            .with_projection(mask)
            .with_row_groups(vec![piece.row_group])
            .with_row_selection(selection)
            .with_batch_size(BATCH_ROWS)
            .build()?;
        let mut row = piece.first_row;
        for batch in reader {
            let batch = batch?;
            let cells = cells(&batch, file, shape)?;
            for at in 0..batch.num_rows() {
                let record = BatchRow { cells: &cells, at };
                rows.take(&record, piece.file, row, Position::Row(row + 1))?;
                row += 1;
            }
            progress.advance(batch.num_rows() as u64);
        }
        Ok(())
    }
}

impl ParquetFile {
    fn open(path: &Path, shape: &Shape) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
            .with_context(|| format!("{} is not a Parquet file that can be read", path.display()))?;
        let schema = metadata.schema();
        let mut columns = Vec::new();
        let mut wrong = Vec::new();
        for slot in &shape.slots {
            let wanted = type_name(&slot.column_type);
            match schema.column_with_name(&slot.column) {
                None => wrong.push(format!("no column `{}` ({} of type {wanted})", slot.column, slot.role)),
                Some((_, field)) if !types::check(field.data_type(), &slot.column_type) => wrong.push(format!(
                    "column `{}` ({}) is of type {}, which cannot be read as {wanted}",
                    slot.column,
                    slot.role,
                    field.data_type()
                )),
                Some((at, _)) => columns.push(at),
            }
        }
        if !wrong.is_empty() {
            bail!("{}: {}", path.display(), wrong.join("; "));
        }
        let mut roots = columns.clone();
        roots.sort_unstable();
        roots.dedup();
        // Batches hold the columns that were asked for in the file's order, whatever the order of asking.
        let slots = columns.iter().filter_map(|column| roots.iter().position(|root| root == column)).collect();
        Ok(Self { path: path.to_owned(), metadata, roots, slots })
    }
}

fn cells(batch: &RecordBatch, file: &ParquetFile, shape: &Shape) -> Result<Vec<Cells>> {
    let pairs = file.slots.iter().zip(&shape.slots);
    pairs.map(|(&column, slot)| Ok(Cells::new(batch.column(column), &slot.column_type)?)).collect()
}

/// One row of a batch.
struct BatchRow<'b> {
    cells: &'b [Cells],
    at: usize,
}

impl<'b> BatchRow<'b> {
    fn cell<T>(
        &self,
        slot: usize,
        read: impl FnOnce(&'b Cells, usize) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        let cells = &self.cells[slot];
        if cells.is_null(self.at) { Ok(None) } else { read(cells, self.at).map(Some) }
    }
}

impl Record for BatchRow<'_> {
    fn boolean(&self, slot: usize) -> Result<Option<bool>, Fault> {
        self.cell(slot, Cells::boolean)
    }

    fn int64(&self, slot: usize) -> Result<Option<i64>, Fault> {
        self.cell(slot, Cells::int64)
    }

    fn float32(&self, slot: usize) -> Result<Option<f32>, Fault> {
        self.cell(slot, Cells::float32)
    }

    fn float64(&self, slot: usize) -> Result<Option<f64>, Fault> {
        self.cell(slot, Cells::float64)
    }

    fn timestamp(&self, slot: usize) -> Result<Option<i64>, Fault> {
        self.cell(slot, Cells::timestamp)
    }

    fn string(&self, slot: usize) -> Result<Option<&str>, Fault> {
        self.cell(slot, Cells::string)
    }

    fn nested(&self, slot: usize, column_type: &ColumnType) -> Result<Value, Fault> {
        self.cells[slot].value(self.at, column_type)
    }
}

/// Rows that are decoded at a time: their columns fit the second-level cache.
const BATCH_ROWS: usize = 8192;

/// A piece is not worth a reader of its own below this.
const PIECE_ROWS_MIN: usize = 64 * 1024;
