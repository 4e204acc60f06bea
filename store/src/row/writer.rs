//! Encodes rows.

use crate::{
    format::{
        bytes::{EndWidth, write_varint},
        encode::encode,
        layout::{EVENT_TIME_BYTES, Kind, ROW_HEAD_BYTES_MAX, RowHead, TupleLayout},
    },
    limits::{KEY_BYTES_MAX, ROW_BYTES_MAX},
    schema::Schema,
    value::Value,
};

/// Why a row cannot be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error("the key has {bytes} bytes, more than {max}")]
    KeyTooLong { bytes: usize, max: usize },
    #[error("the row has {bytes} bytes, more than {max}")]
    RowTooLong { bytes: usize, max: usize },
}

/// Encodes rows of one schema, one after the other, into a buffer of its own that is reused.
///
/// `begin`, then the key, the event time and the columns in any order, then `finish`. A column not set is null; one set
/// twice has the later value. To set a column to a value of another type than its own is a programming error, and panics.
#[derive(Debug)]
pub struct RowWriter {
    columns: TupleLayout,
    key: Vec<u8>,
    event_time_us: i64,
    nulls: Vec<u8>,
    fixed: Vec<u8>,
    /// Variable values in the order in which they were set, and where each variable column's lies.
    area: Vec<u8>,
    spans: Vec<(usize, usize)>,
    row: Vec<u8>,
}

impl RowWriter {
    pub fn new(schema: &Schema) -> Self {
        let columns = TupleLayout::new(&schema.columns);
        Self {
            key: Vec::new(),
            event_time_us: 0,
            nulls: Vec::with_capacity(columns.null_bytes),
            fixed: Vec::with_capacity(columns.fixed_bytes),
            area: Vec::new(),
            spans: Vec::with_capacity(columns.variable),
            row: Vec::new(),
            columns,
        }
    }

    /// Starts a row with this encoded key (see [`crate::key::KeyWriter`]); every column is null until set.
    pub fn begin(&mut self, key: &[u8], event_time_us: i64) {
        self.key.clear();
        self.key.extend_from_slice(key);
        self.event_time_us = event_time_us;
        self.nulls.clear();
        self.nulls.resize(self.columns.null_bytes, u8::MAX);
        if let (Some(last), used @ 1..) = (self.nulls.last_mut(), self.columns.slots.len() % 8) {
            *last = u8::MAX >> (8 - used); // bits of no column stay zero: equal rows have equal bytes
        }
        self.fixed.clear();
        self.fixed.resize(self.columns.fixed_bytes, 0);
        self.area.clear();
        self.spans.clear();
        self.spans.resize(self.columns.variable, (0, 0));
    }

    pub fn boolean(&mut self, column: usize, value: bool) {
        assert!(matches!(self.kind(column), Kind::Boolean), "column {column} is no boolean");
        self.set_fixed(column, &[u8::from(value)]);
    }

    pub fn int64(&mut self, column: usize, value: i64) {
        assert!(matches!(self.kind(column), Kind::Int64), "column {column} is no int64");
        self.set_fixed(column, &value.to_le_bytes());
    }

    pub fn float32(&mut self, column: usize, value: f32) {
        assert!(matches!(self.kind(column), Kind::Float32), "column {column} is no float32");
        self.set_fixed(column, &value.to_le_bytes());
    }

    pub fn float64(&mut self, column: usize, value: f64) {
        assert!(matches!(self.kind(column), Kind::Float64), "column {column} is no float64");
        self.set_fixed(column, &value.to_le_bytes());
    }

    /// Microseconds since the Unix epoch.
    pub fn timestamp(&mut self, column: usize, value: i64) {
        assert!(matches!(self.kind(column), Kind::Timestamp), "column {column} is no timestamp");
        self.set_fixed(column, &value.to_le_bytes());
    }

    pub fn string(&mut self, column: usize, value: &str) {
        assert!(matches!(self.kind(column), Kind::String), "column {column} is no string");
        let start = self.area.len();
        self.area.extend_from_slice(value.as_bytes());
        self.set_span(column, start);
    }

    pub fn binary(&mut self, column: usize, value: &[u8]) {
        assert!(matches!(self.kind(column), Kind::Binary), "column {column} is no binary");
        let start = self.area.len();
        self.area.extend_from_slice(value);
        self.set_span(column, start);
    }

    /// Any value, nested ones included. Its type must be the column's; anything else is a programming error.
    pub fn value(&mut self, column: usize, value: &Value) {
        match value {
            Value::Null => self.null(column),
            Value::Boolean(value) => self.boolean(column, *value),
            Value::Int64(value) => self.int64(column, *value),
            Value::Float32(value) => self.float32(column, *value),
            Value::Float64(value) => self.float64(column, *value),
            Value::Timestamp(value) => self.timestamp(column, *value),
            Value::String(value) => self.string(column, value),
            Value::Binary(value) => self.binary(column, value),
            Value::Array(_) | Value::Struct(_) | Value::Map(_) => {
                let start = self.area.len();
                encode(&self.columns.slots[column].kind, value, &mut self.area);
                self.set_span(column, start);
            }
        }
    }

    /// The encoded row.
    pub fn finish(&mut self) -> Result<&[u8], RowError> {
        if self.key.len() > KEY_BYTES_MAX {
            return Err(RowError::KeyTooLong { bytes: self.key.len(), max: KEY_BYTES_MAX });
        }
        let variable_bytes = self.spans.iter().map(|(start, end)| end - start).sum();
        let width = EndWidth::fitting(variable_bytes);
        let head_bytes = ROW_HEAD_BYTES_MAX + self.key.len() + EVENT_TIME_BYTES;
        let bytes = head_bytes + self.columns.prefix_bytes(width) + variable_bytes;
        if bytes > ROW_BYTES_MAX {
            return Err(RowError::RowTooLong { bytes, max: ROW_BYTES_MAX });
        }
        self.row.clear();
        write_varint(&mut self.row, self.key.len() << 2 | width.code());
        self.row.extend_from_slice(&self.key);
        self.row.extend_from_slice(&self.event_time_us.to_le_bytes());
        self.row.extend_from_slice(&self.nulls);
        self.row.extend_from_slice(&self.fixed);
        let mut total = 0;
        for (start, end) in &self.spans {
            total += end - start;
            width.write(&mut self.row, total);
        }
        for (start, end) in &self.spans {
            self.row.extend_from_slice(&self.area[*start..*end]);
        }
        Ok(&self.row)
    }

    fn kind(&self, column: usize) -> &Kind {
        &self.columns.slots[column].kind
    }

    fn null(&mut self, column: usize) {
        match self.kind(column).fixed_bytes() {
            Some(bytes) => self.set_fixed(column, &[0; size_of::<i64>()][..bytes]),
            None => self.spans[self.columns.slots[column].at] = (0, 0),
        }
        self.nulls[column / 8] |= 1 << (column % 8);
    }

    fn set_fixed(&mut self, column: usize, bytes: &[u8]) {
        let at = self.columns.slots[column].at;
        self.fixed[at..at + bytes.len()].copy_from_slice(bytes);
        self.set_present(column);
    }

    fn set_span(&mut self, column: usize, start: usize) {
        self.spans[self.columns.slots[column].at] = (start, self.area.len());
        self.set_present(column);
    }

    fn set_present(&mut self, column: usize) {
        self.nulls[column / 8] &= !(1 << (column % 8));
    }
}

/// Appends to `out` what says that there is no row with this encoded key as of `event_time_us`: every row of the key with that
/// event time or an older one is hidden.
pub fn write_tombstone(key: &[u8], event_time_us: i64, out: &mut Vec<u8>) -> Result<(), RowError> {
    if key.len() > KEY_BYTES_MAX {
        return Err(RowError::KeyTooLong { bytes: key.len(), max: KEY_BYTES_MAX });
    }
    out.extend_from_slice(&RowHead::tombstone(key.len()));
    out.extend_from_slice(key);
    out.extend_from_slice(&event_time_us.to_le_bytes());
    Ok(())
}
