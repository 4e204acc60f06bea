//! Single events: rows of plain columns on their way into tiles.
//!
//! An *event row* is a row of the store with the view's join keys and, as columns, [`Aggregates::columns`] and behind them the secondary
//! key, if there is one ([`Aggregates::event_columns`]). It is what a batch sorts before it aggregates; what is streamed becomes tiles
//! without it (`crate::ingest`).

use gannet_store::{Corrupt, Field, Row, ValueRef};

use super::{
    compiled::Aggregates,
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
