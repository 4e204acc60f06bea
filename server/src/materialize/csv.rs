//! CSV by RFC 4180: a header row, commas, double quotes. An empty cell is null.

use std::{
    cell::Cell,
    fs::File,
    io::{self, Read},
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use csv::{ByteRecord, ErrorKind, ReaderBuilder, Terminator};
use gannet_store::{ColumnType, Value};

use super::{
    cast::narrow,
    fault::{Fault, Position, Reason},
    json,
    progress::Progress,
    rows::{Record, Rows},
    shape::Shape,
    text,
};

/// Reads one file. `file` is its position in the list of source files.
pub(super) fn read(path: &Path, file: usize, rows: &mut Rows<'_>, shape: &Shape, progress: &Progress) -> Result<()> {
    let open = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    // Flexible, so that a line with too few or too many cells is a bad row and not the end of the file.
    let taken = Cell::new(0);
    let bounded = Bounded { file: open, taken: &taken };
    let mut builder = ReaderBuilder::new();
    // Lines end in LF as far as the reader knows, and a CR before it is cut off here: it would count CR LF a line late.
    builder.flexible(true).terminator(Terminator::Any(b'\n')).buffer_capacity(BUFFER_BYTES);
    let mut reader = builder.from_reader(bounded);
    let header = reader.byte_headers().with_context(|| format!("cannot read {}", path.display()))?.clone();
    let columns = columns(&header, shape).with_context(|| format!("{}", path.display()))?;
    let mut record = ByteRecord::new();
    let mut read_bytes = 0;
    let mut row = 0;
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(e) => match e.into_kind() {
                ErrorKind::Io(source) => return Err(source).with_context(|| format!("cannot read {}", path.display())),
                kind => bail!("cannot read {}: {kind:?}", path.display()),
            },
        }
        taken.set(0);
        let position = Position::Line(record.position().map_or(0, csv::Position::line));
        if record.len() == 1 && &record[0] == b"\r" {
            continue; // an empty line
        }
        if record.len() == header.len() {
            rows.take(&Line { record: &record, columns: &columns }, file, row, position)?;
        } else {
            let detail = format_args!("{} cells where the header has {}", record.len(), header.len());
            rows.refuse(file, position, Fault::new(Reason::Malformed, detail));
        }
        row += 1;
        if row.is_multiple_of(PROGRESS_ROWS) {
            let at = reader.position().byte();
            progress.advance(at - read_bytes);
            read_bytes = at;
        }
    }
    progress.advance(reader.position().byte() - read_bytes);
    Ok(())
}

/// Ends reading when one record takes too much: a quote that is never closed makes one of all the rest of the file.
struct Bounded<'t> {
    file: File,
    /// Bytes read since the last record was whole.
    taken: &'t Cell<u64>,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken.get() > RECORD_BYTES_MAX {
            let why = format!("a record has more than {RECORD_BYTES_MAX} bytes; is there a quote that is not closed?");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let bytes = self.file.read(buffer)?;
        self.taken.set(self.taken.get() + bytes as u64);
        Ok(bytes)
    }
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

const BUFFER_BYTES: usize = 1 << 20;

/// A record starts anywhere in a buffer and the longest useful row is 1 MiB, so this never stops an honest one.
const RECORD_BYTES_MAX: u64 = 16 << 20;

const PROGRESS_ROWS: u64 = 8192;
