//! Single events: rows of plain columns on their way into tiles.
//!
//! An *event row* is a row of the store with the view's join keys and, as columns, [`Aggregates::columns`] and behind them the secondary
//! key, if there is one ([`Aggregates::event_columns`]). It is what records are encoded as before anybody aggregates.

use std::sync::Arc;

use gannet_store::{
    Corrupt, Field, Row, Schema, ValueRef,
    row::{RowError, RowLayout, RowWriter},
};

use super::{
    compiled::Aggregates,
    limits::TILES_BYTES_MAX,
    row::{Input, RowBuilder},
};

impl Aggregates {
    /// The columns of event rows: every aggregated one, then the secondary key.
    pub fn event_columns(&self) -> Vec<Field> {
        let columns = self.columns().iter().chain(self.secondary_key());
        columns.map(|column| Field { name: column.name.clone(), column_type: column.column_type.clone() }).collect()
    }
}

/// Adds an event row to what is known of its key. Events are added in the order in which they were written.
pub fn add_event(aggregates: &Aggregates, builder: &mut RowBuilder<'_>, event: &Row<'_>) -> Result<(), Corrupt> {
    let columns = aggregates.columns().len();
    let mut values = Vec::with_capacity(columns);
    for column in 0..columns {
        values.push(match event.value(column)? {
            ValueRef::Null => Input::Null,
            ValueRef::Boolean(value) => Input::Boolean(value),
            ValueRef::Int64(value) | ValueRef::Timestamp(value) => Input::Int64(value),
            ValueRef::Float32(value) => Input::Float32(value),
            ValueRef::Float64(value) => Input::Float64(value),
            ValueRef::String(bytes) | ValueRef::Binary(bytes) => Input::Bytes(bytes),
            ValueRef::Array(_) | ValueRef::Struct(_) | ValueRef::Map(_) => {
                Input::Bytes(event.encoded_value(column)?.unwrap_or_default())
            }
        });
    }
    let secondary_key = match aggregates.secondary_key() {
        Some(_) => match event.value(columns)? {
            ValueRef::String(key) => Some(key),
            _ => None,
        },
        None => None,
    };
    builder.add(event.event_time_us(), secondary_key, &values);
    Ok(())
}

/// Makes rows of tiles of single events, one after the other, into a buffer that is used again.
#[derive(Debug)]
pub struct EventRows {
    aggregates: Arc<Aggregates>,
    /// Of event rows.
    layout: RowLayout,
    tiles: Vec<u8>,
    writer: RowWriter,
}

impl EventRows {
    /// `schema` is that of the view's table, [`crate::definitions::model::FeatureView::schema`].
    pub fn new(aggregates: Arc<Aggregates>, schema: &Schema) -> Self {
        let events = Schema { key: schema.key.clone(), columns: aggregates.event_columns() };
        let layout = RowLayout::new(&events, "an event");
        Self { aggregates, layout, tiles: Vec::new(), writer: RowWriter::new(schema) }
    }

    /// The row of tiles that an event row, as [`RowWriter::finish`] gave it, comes to. `None`: it counts nowhere, for want of a secondary
    /// key.
    pub fn row(&mut self, event: &[u8]) -> Result<Option<&[u8]>, EventError> {
        let event = Row::parse(&self.layout, event)?;
        let mut builder = self.aggregates.builder();
        add_event(&self.aggregates, &mut builder, &event)?;
        if builder.is_empty() {
            return Ok(None);
        }
        self.tiles.clear();
        super::row::encode(&builder, &mut self.tiles);
        if self.tiles.len() > TILES_BYTES_MAX {
            return Err(RowError::RowTooLong { bytes: self.tiles.len(), max: TILES_BYTES_MAX }.into());
        }
        self.writer.begin(event.key(), event.event_time_us());
        self.writer.binary(0, &self.tiles);
        Ok(Some(self.writer.finish()?))
    }
}

/// Why an event becomes no row.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// Its key or its values are too long: the fault of whoever sent it.
    #[error(transparent)]
    TooLong(#[from] RowError),
    /// It was encoded wrongly: a mistake of this program.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}
