//! Rows: how one key's event time and column values become bytes, and how they are read in place.

use crate::{
    error::Corrupt,
    schema::Schema,
    value::{Value, ValueRef},
};

/// A row read in place. Copying it copies two pointers.
#[derive(Debug, Clone, Copy)]
pub struct Row<'t>(std::marker::PhantomData<&'t ()>);

impl<'t> Row<'t> {
    /// The encoded key.
    pub fn key(&self) -> &'t [u8] {
        unimplemented!()
    }

    /// Microseconds since the Unix epoch, UTC.
    pub fn event_time_us(&self) -> i64 {
        unimplemented!()
    }

    /// The value of the column at this position in the schema.
    pub fn value(&self, _column: usize) -> Result<ValueRef<'t>, Corrupt> {
        unimplemented!()
    }

    /// The whole encoded length in bytes.
    pub fn bytes(&self) -> usize {
        unimplemented!()
    }
}

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
/// `begin`, then the key, the event time and the columns in any order, then `finish`. A column not set is null.
#[derive(Debug)]
pub struct RowWriter {}

impl RowWriter {
    pub fn new(_schema: &Schema) -> Self {
        unimplemented!()
    }

    /// Starts a row with this encoded key (see [`crate::key::KeyWriter`]); every column is null until set.
    pub fn begin(&mut self, _key: &[u8], _event_time_us: i64) {
        unimplemented!()
    }

    pub fn boolean(&mut self, _column: usize, _value: bool) {}
    pub fn int64(&mut self, _column: usize, _value: i64) {}
    pub fn float32(&mut self, _column: usize, _value: f32) {}
    pub fn float64(&mut self, _column: usize, _value: f64) {}
    /// Microseconds since the Unix epoch.
    pub fn timestamp(&mut self, _column: usize, _value: i64) {}
    pub fn string(&mut self, _column: usize, _value: &str) {}
    /// Any value, nested ones included. Its type must be the column's; anything else is a programming error.
    pub fn value(&mut self, _column: usize, _value: &Value) {}

    /// The encoded row.
    pub fn finish(&mut self) -> Result<&[u8], RowError> {
        unimplemented!()
    }
}
