//! A record's cells become a row of a view.

use gannet_store::{
    KeyType, Value,
    key::KeyWriter,
    limits::KEY_BYTES_MAX,
    plane::{StreamTable, WriteBuilder},
    row::RowWriter,
    value::ValueLayout,
};

use super::{
    Cell, Reason, Rejected,
    intake::{SourceIntake, SourceView, ViewIntake},
};
use crate::aggregates::{Input, RowBuilder};

/// Makes rows of one view, one after the other.
#[derive(Debug)]
pub(crate) struct RowMaker<'v> {
    view: &'v ViewIntake,
    table: &'v StreamTable,
    writer: RowWriter,
    tiles: Option<TileMaker<'v>>,
    key: Vec<u8>,
    rows: u32,
}

/// Makes the tiles of one event after the other.
#[derive(Debug)]
struct TileMaker<'v> {
    builder: RowBuilder<'v>,
    /// Nested values of the event as the store encodes them, one after the other, and how long each is.
    nested: Vec<u8>,
    lengths: Vec<usize>,
    encoded: Vec<u8>,
}

impl<'v> RowMaker<'v> {
    /// `None` if nothing can be written to the view now.
    pub(crate) fn new(view: &'v ViewIntake) -> Option<Self> {
        let table = view.table.as_deref()?;
        let writer = RowWriter::new(&table.schema);
        let tiles = view.aggregates.as_ref().map(|aggregates| TileMaker::new(aggregates.builder()));
        Some(Self { view, table, writer, tiles, key: Vec::new(), rows: 0 })
    }

    pub(crate) fn view(&self) -> &'v ViewIntake {
        self.view
    }

    /// Rows so far.
    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    /// Puts what the view takes of a record into `write`: a row, or none where the view groups by a secondary key that is null.
    pub(crate) fn take(
        &mut self,
        source: &SourceIntake,
        of: &SourceView,
        cells: &[Cell<'_>],
        event_time_us: i64,
        now_us: i64,
        write: &mut WriteBuilder,
    ) -> Result<(), Rejected> {
        if self.is_expired(event_time_us, now_us) {
            let message = format_args!(
                "timestamp value is outside of the serving TTL defined for Feature View {}",
                self.view.name
            );
            return Err(Rejected::new(Reason::Expired, message));
        }
        self.key.clear();
        let missing = |field: &usize| {
            let message = format_args!("join key field {} is missing or null", source.fields[*field].name);
            Rejected::new(Reason::JoinKey, message)
        };
        if let Some(field) = of.keys.iter().find(|field| matches!(cells[**field], Cell::Null)) {
            return Err(missing(field));
        }
        let parts = of.keys.iter().map(|field| &cells[*field]);
        if !encode_key(&self.view.key_types, parts, &mut self.key) {
            let message = format_args!("the join keys come to more than {KEY_BYTES_MAX} bytes");
            return Err(Rejected::new(Reason::TooLong, message));
        }
        self.writer.begin(&self.key, event_time_us);
        match &mut self.tiles {
            None => {
                of.values.iter().enumerate().for_each(|(column, field)| set(&mut self.writer, column, &cells[*field]))
            }
            Some(tiles) => {
                let secondary_key = of.secondary_key.map(|field| &cells[field]);
                if secondary_key == Some(&Cell::Null) {
                    return Ok(()); // an event that belongs to no group
                }
                let secondary_key = match secondary_key {
                    Some(Cell::Text(text)) => Some(text.as_bytes()),
                    _ => None,
                };
                self.writer.binary(0, tiles.of_event(source, of, cells, event_time_us, secondary_key)?);
            }
        }
        let row = self.writer.finish().map_err(|error| Rejected::new(Reason::TooLong, error))?;
        write.row(self.table, row);
        self.rows += 1;
        Ok(())
    }
}

impl RowMaker<'_> {
    fn is_expired(&self, event_time_us: i64, now_us: i64) -> bool {
        let ViewIntake { aggregates, leading_edge, ttl_us, .. } = self.view;
        let Some(aggregates) = aggregates else {
            return ttl_us.is_some_and(|ttl_us| event_time_us <= now_us.saturating_sub(ttl_us));
        };
        let moment_us = leading_edge.moment_us(now_us, self.table.watermark_us());
        moment_us.is_some_and(|moment_us| aggregates.is_refused(event_time_us, moment_us))
    }
}

/// Appends an encoded key; `false` if it is longer than any may be. Parts are in the order of the types, and of them.
pub(crate) fn encode_key<'c>(types: &[KeyType], parts: impl Iterator<Item = &'c Cell<'c>>, key: &mut Vec<u8>) -> bool {
    let mut writer = KeyWriter::new(types, key);
    for part in parts {
        match part {
            Cell::Int64(value) => writer.int64(*value),
            Cell::Text(text) => writer.string(text.as_bytes()),
            _ => break, // a key that is not whole is refused
        }
    }
    writer.finish()
}

impl<'v> TileMaker<'v> {
    fn new(builder: RowBuilder<'v>) -> Self {
        Self { builder, nested: Vec::new(), lengths: Vec::new(), encoded: Vec::new() }
    }

    fn of_event(
        &mut self,
        source: &SourceIntake,
        of: &SourceView,
        cells: &[Cell<'_>],
        event_time_us: i64,
        secondary_key: Option<&[u8]>,
    ) -> Result<&[u8], Rejected> {
        let Self { builder, nested, lengths, encoded } = self;
        nested.clear();
        lengths.clear();
        for field in &of.values {
            if let Cell::Nested(value) = &cells[*field] {
                let start = nested.len();
                ValueLayout::new(&source.fields[*field].column_type).write(value, nested);
                lengths.push(nested.len() - start);
            }
        }
        let (mut rest, mut lengths) = (nested.as_slice(), lengths.iter());
        let mut next_nested = || {
            let (value, behind) = rest.split_at(lengths.next().copied().unwrap_or_default());
            rest = behind;
            value
        };
        let inputs: Vec<Input<'_>> = of.values.iter().map(|field| input(&cells[*field], &mut next_nested)).collect();
        builder.clear();
        builder.add(event_time_us, secondary_key, &inputs);
        encoded.clear();
        builder.encode(encoded).map_err(|error| Rejected::new(Reason::TooLong, error))?;
        Ok(encoded)
    }
}

/// `nested` gives the bytes of each nested value in turn.
fn input<'c>(cell: &'c Cell<'_>, nested: &mut impl FnMut() -> &'c [u8]) -> Input<'c> {
    match cell {
        Cell::Null => Input::Null,
        Cell::Boolean(value) => Input::Boolean(*value),
        Cell::Int64(value) | Cell::Timestamp(value) => Input::Int64(*value),
        Cell::Float32(value) => Input::Float32(*value),
        Cell::Float64(value) => Input::Float64(*value),
        Cell::Text(text) => Input::Bytes(text.as_bytes()),
        Cell::Nested(_) => Input::Bytes(nested()),
    }
}

fn set(writer: &mut RowWriter, column: usize, cell: &Cell<'_>) {
    match cell {
        Cell::Null => writer.value(column, &Value::Null),
        Cell::Boolean(value) => writer.boolean(column, *value),
        Cell::Int64(value) => writer.int64(column, *value),
        Cell::Float32(value) => writer.float32(column, *value),
        Cell::Float64(value) => writer.float64(column, *value),
        Cell::Timestamp(value) => writer.timestamp(column, *value),
        Cell::Text(text) => writer.string(column, text),
        Cell::Nested(value) => writer.value(column, value),
    }
}
