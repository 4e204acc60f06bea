//! CSV by RFC 4180: a header row, commas, double quotes. An empty cell is null.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use csv::{ByteRecord, Reader, ReaderBuilder, Terminator};
use gannet_store::{ColumnType, Value};

use super::{
    blocks::{self, Block, Blocks, Body, Ends, cannot_read},
    cast::narrow,
    fault::{Fault, Position, Reason},
    json,
    progress::Progress,
    rows::{Record, Rows},
    shape::Shape,
    text,
};

/// The files of one source, their headers read and their records cut into blocks.
#[derive(Debug)]
pub(super) struct CsvSource {
    headers: Vec<Header>,
    blocks: Blocks,
}

/// The first record of a file.
#[derive(Debug)]
struct Header {
    /// Which cell each slot is in.
    columns: Vec<usize>,
    cells: usize,
}

impl CsvSource {
    /// Reads the headers; refuses columns that are missing, all of a file's at once.
    pub(super) fn open(paths: &[PathBuf], shape: &Shape, block_bytes: usize) -> Result<Self> {
        let (mut headers, mut bodies) = (Vec::new(), Vec::new());
        for path in paths {
            let (header, body) = Header::read(path, shape)?;
            headers.push(header);
            bodies.push(body);
        }
        Ok(Self { headers, blocks: Blocks::new(bodies, Ends::Unquoted, block_bytes, RECORD_BYTES_MAX) })
    }

    /// Takes blocks until there are none left. Called by every worker.
    pub(super) fn read(&self, rows: &mut Rows<'_>, progress: &Progress) -> Result<()> {
        let mut block = Block::default();
        while self.blocks.next(&mut block)? {
            let Header { columns, cells } = &self.headers[block.file];
            for_each_record(&block, |record, line| {
                let position = Position::Line(line);
                if record.len() == *cells {
                    return Ok(rows.take(&Line { record, columns }, block.file, line, position)?);
                }
                let detail = format_args!("{} cells where the header has {cells}", record.len());
                rows.refuse(block.file, position, Fault::new(Reason::Malformed, detail));
                Ok(())
            })?;
            progress.advance(block.taken);
        }
        Ok(())
    }
}

impl Header {
    fn read(path: &Path, shape: &Shape) -> Result<(Self, Body)> {
        let limit = RECORD_BYTES_MAX as u64 + 1;
        let mut reader = reader(blocks::open(path)?.take(limit));
        let header = reader.byte_headers().with_context(|| cannot_read(path))?.clone();
        let after = reader.position();
        if after.byte() == limit {
            bail!("{}: its header has more than {RECORD_BYTES_MAX} bytes", cannot_read(path));
        }
        let columns = columns(&header, shape).with_context(|| path.display().to_string())?;
        let body = Body { path: path.to_owned(), first_byte: after.byte(), first_line: after.line() };
        Ok((Self { columns, cells: header.len() }, body))
    }
}

/// Hands on each record with the number of its first line.
pub(super) fn for_each_record(block: &Block, mut take: impl FnMut(&ByteRecord, u64) -> Result<()>) -> Result<()> {
    // The reader starts with a header of its own, or it would take the block's first record for one, and three bytes in the
    // middle of a file for a byte order mark.
    let mut reader = reader(HEADER.chain(block.bytes.as_slice()));
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record)? {
        let start = record.position().map_or((0, 0), |start| (start.byte(), start.line()));
        // To the reader, the empty lines before a record belong to it.
        let ahead = usize::try_from(start.0).ok().and_then(|byte| block.bytes.get(byte - HEADER.len()..));
        let empty_lines = ahead.unwrap_or_default().iter().take_while(|byte| **byte == b'\n').count() as u64;
        if record.len() == 1 && &record[0] == b"\r" {
            continue; // an empty line that ends in CR LF
        }
        take(&record, block.first_line + (start.1 - HEADER_LINES - 1) + empty_lines)?;
    }
    Ok(())
}

fn reader<R: std::io::Read>(bytes: R) -> Reader<R> {
    // Flexible, so that a line with too few or too many cells is a bad row and not the end of the file. Lines end in LF as far
    // as the reader knows, and a CR before it is cut off here: it would count CR LF a line late.
    let mut builder = ReaderBuilder::new();
    builder.flexible(true).terminator(Terminator::Any(b'\n')).buffer_capacity(BUFFER_BYTES);
    builder.from_reader(bytes)
}

/// Which cell each slot is in; a byte order mark before the first name is no part of it.
fn columns(header: &ByteRecord, shape: &Shape) -> Result<Vec<usize>> {
    let mut names: Vec<&[u8]> = header.iter().collect();
    if let Some(first) = names.first_mut() {
        *first = first.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(first);
    }
    if let Some(last) = names.last_mut() {
        *last = without_cr(last);
    }
    let mut columns = Vec::new();
    let mut missing = Vec::new();
    for slot in &shape.slots {
        let mut at = (0..names.len()).filter(|&at| names[at] == slot.column.as_bytes());
        match (at.next(), at.next()) {
            (Some(column), None) => columns.push(column),
            (Some(_), Some(_)) => missing.push(format!("column `{}` is there twice", slot.column)),
            (None, _) => missing.push(format!("no column `{}` ({}) in the header", slot.column, slot.role)),
        }
    }
    if missing.is_empty() { Ok(columns) } else { bail!("{}", missing.join("; ")) }
}

/// The last cell of a line that ends in CR LF has the CR.
fn without_cr(cell: &[u8]) -> &[u8] {
    cell.strip_suffix(b"\r").unwrap_or(cell)
}

/// One line.
struct Line<'l> {
    record: &'l ByteRecord,
    columns: &'l [usize],
}

impl<'l> Line<'l> {
    fn cell<T>(&self, slot: usize, parse: impl FnOnce(&'l str) -> Result<T, Fault>) -> Result<Option<T>, Fault> {
        let column = self.columns[slot];
        let mut bytes = self.record.get(column).unwrap_or_default();
        if column + 1 == self.record.len() {
            bytes = without_cr(bytes);
        }
        if bytes.is_empty() { Ok(None) } else { parse(text::utf8(bytes)?).map(Some) }
    }
}

impl Record for Line<'_> {
    fn boolean(&self, slot: usize) -> Result<Option<bool>, Fault> {
        self.cell(slot, text::boolean)
    }

    fn int64(&self, slot: usize) -> Result<Option<i64>, Fault> {
        self.cell(slot, text::int64)
    }

    fn float32(&self, slot: usize) -> Result<Option<f32>, Fault> {
        self.cell(slot, |cell| narrow(text::float64(cell)?))
    }

    fn float64(&self, slot: usize) -> Result<Option<f64>, Fault> {
        self.cell(slot, text::float64)
    }

    fn timestamp(&self, slot: usize) -> Result<Option<i64>, Fault> {
        self.cell(slot, text::timestamp)
    }

    fn string(&self, slot: usize) -> Result<Option<&str>, Fault> {
        self.cell(slot, Ok)
    }

    /// JSON within the cell.
    fn nested(&self, slot: usize, column_type: &ColumnType) -> Result<Value, Fault> {
        let value = self.cell(slot, |cell| {
            let parsed = serde_json::from_str(cell).map_err(|_| Fault::wrong(cell, "JSON"))?;
            json::value(&parsed, column_type)
        })?;
        Ok(value.unwrap_or(Value::Null))
    }
}

/// What the reader is given for a header when it starts in the middle of a file.
const HEADER: &[u8] = b"-\n";
const HEADER_LINES: u64 = 1;

/// Fits the first-level cache beside what the reader makes of it.
const BUFFER_BYTES: usize = 16 << 10;

/// The longest useful row is 1 MiB, so this never stops an honest one; a quote that is never closed makes one record of all the
/// rest of the file.
const RECORD_BYTES_MAX: usize = 16 << 20;
