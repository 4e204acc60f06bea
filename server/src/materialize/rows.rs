//! From records of any format to encoded rows of the store.

use gannet_store::{
    ColumnType, Error, KeyType, Value,
    build::RowSink,
    key::KeyWriter,
    limits::KEY_BYTES_MAX,
    row::{RowError, RowWriter},
};

use super::{
    fault::{BadRow, BadRows, Fault, Position, Reason},
    shape::Shape,
};

/// One record of a source, read by slot (see [`Shape`]). `None` is null. A reader is asked only for what the slot's declared
/// type calls for.
pub(super) trait Record {
    fn boolean(&self, slot: usize) -> Result<Option<bool>, Fault>;
    fn int64(&self, slot: usize) -> Result<Option<i64>, Fault>;
    fn float32(&self, slot: usize) -> Result<Option<f32>, Fault>;
    fn float64(&self, slot: usize) -> Result<Option<f64>, Fault>;
    /// Microseconds since the Unix epoch.
    fn timestamp(&self, slot: usize) -> Result<Option<i64>, Fault>;
    fn string(&self, slot: usize) -> Result<Option<&str>, Fault>;
    /// Nested types; the only ones that allocate.
    fn nested(&self, slot: usize, column_type: &ColumnType) -> Result<Value, Fault>;
}

/// One thread's way from records to its sink. Counts what it takes and what it leaves out.
#[derive(Debug)]
pub(super) struct Rows<'v> {
    shape: &'v Shape,
    /// The event time of rows whose view declares no timestamp column.
    now_us: i64,
    key: Vec<u8>,
    writer: RowWriter,
    sink: RowSink,
    pub(super) read: u64,
    pub(super) bad: BadRows,
}

impl<'v> Rows<'v> {
    pub(super) fn new(shape: &'v Shape, now_us: i64, sink: RowSink) -> Self {
        let writer = RowWriter::new(&shape.schema);
        Self { shape, now_us, key: Vec::new(), writer, sink, read: 0, bad: BadRows::default() }
    }

    /// Takes a record, or notes why it cannot be taken. `row` rises within the file and orders equal event times.
    pub(super) fn take(
        &mut self,
        record: &impl Record,
        file: usize,
        row: u64,
        position: Position,
    ) -> Result<(), Error> {
        self.read += 1;
        match encode(self.shape, self.now_us, &mut self.key, &mut self.writer, record) {
            Ok(bytes) => self.sink.push(bytes, ordinal(file, row)),
            Err(fault) => {
                self.bad.note(BadRow { file, position, fault });
                Ok(())
            }
        }
    }

    /// Notes a line that is no record at all.
    pub(super) fn refuse(&mut self, file: usize, position: Position, fault: Fault) {
        self.read += 1;
        self.bad.note(BadRow { file, position, fault });
    }

    pub(super) fn into_parts(self) -> (RowSink, u64, BadRows) {
        (self.sink, self.read, self.bad)
    }
}

/// Later files win over earlier ones, later rows over earlier rows.
fn ordinal(file: usize, row: u64) -> u64 {
    ((file as u64) << ROW_BITS) | row
}

fn encode<'w>(
    shape: &Shape,
    now_us: i64,
    key: &mut Vec<u8>,
    writer: &'w mut RowWriter,
    record: &impl Record,
) -> Result<&'w [u8], Fault> {
    key.clear();
    let mut parts = KeyWriter::new(&shape.key_types, key);
    for (slot, key_type) in shape.key_types.iter().enumerate() {
        let in_column = |fault: Fault| fault.of_column(&shape.slots[slot].column);
        let missing = || in_column(Fault::new(Reason::KeyMissing, "the join key is null or missing"));
        match key_type {
            KeyType::Int64 => parts.int64(record.int64(slot).map_err(in_column)?.ok_or_else(missing)?),
            KeyType::String => parts.string(record.string(slot).map_err(in_column)?.ok_or_else(missing)?.as_bytes()),
        }
    }
    if !parts.finish() {
        let detail = format_args!("the encoded key has more than {KEY_BYTES_MAX} bytes");
        return Err(Fault::new(Reason::KeyTooLong, detail));
    }

    let event_time_us = match shape.time {
        None => now_us,
        Some(slot) => {
            let in_column = |fault: Fault| fault.of_column(&shape.slots[slot].column);
            let missing = || in_column(Fault::new(Reason::TimeMissing, "the event time is null or missing"));
            record.timestamp(slot).map_err(in_column)?.ok_or_else(missing)?
        }
    };

    writer.begin(key, event_time_us);
    for (column, described) in shape.slots[shape.features..].iter().enumerate() {
        let slot = shape.features + column;
        write(writer, column, &described.column_type, record, slot).map_err(|f| f.of_column(&described.column))?;
    }
    writer.finish().map_err(|e| {
        let reason = match e {
            RowError::KeyTooLong { .. } => Reason::KeyTooLong,
            _ => Reason::RowTooLong,
        };
        Fault::new(reason, e)
    })
}

fn write(
    writer: &mut RowWriter,
    column: usize,
    column_type: &ColumnType,
    record: &impl Record,
    slot: usize,
) -> Result<(), Fault> {
    match column_type {
        ColumnType::Boolean => set(record.boolean(slot)?, |v| writer.boolean(column, v)),
        ColumnType::Int64 => set(record.int64(slot)?, |v| writer.int64(column, v)),
        ColumnType::Float32 => set(record.float32(slot)?, |v| writer.float32(column, v)),
        ColumnType::Float64 => set(record.float64(slot)?, |v| writer.float64(column, v)),
        ColumnType::Timestamp => set(record.timestamp(slot)?, |v| writer.timestamp(column, v)),
        ColumnType::String => set(record.string(slot)?, |v| writer.string(column, v)),
        ColumnType::Binary | ColumnType::Array(_) | ColumnType::Struct(_) | ColumnType::Map(_) => {
            writer.value(column, &record.nested(slot, column_type)?);
        }
    }
    Ok(())
}

/// A column that is not set is null.
fn set<T>(value: Option<T>, write: impl FnOnce(T)) {
    if let Some(value) = value {
        write(value);
    }
}

/// Rows of one file that an ordinal can tell apart: more than a file of one byte per row on any disk.
const ROW_BITS: u32 = 40;
