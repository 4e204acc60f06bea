//! Values: owned ones for building rows, borrowed ones for reading them in place.

use crate::error::Corrupt;

/// An owned value of any column type, for building rows and for tests.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Boolean(bool),
    Int64(i64),
    Float32(f32),
    Float64(f64),
    String(String),
    /// Microseconds since the Unix epoch, UTC.
    Timestamp(i64),
    Array(Vec<Self>),
    /// One value per field, in declared order.
    Struct(Vec<Self>),
    /// Entries in key order, keys unique.
    Map(Vec<(String, Self)>),
}

/// A value read in place from a row.
#[derive(Debug, Clone, Copy)]
pub enum ValueRef<'t> {
    Null,
    Boolean(bool),
    Int64(i64),
    Float32(f32),
    Float64(f64),
    /// UTF-8 when it was written; readers treat it as bytes.
    String(&'t [u8]),
    /// Microseconds since the Unix epoch, UTC.
    Timestamp(i64),
    Array(ArrayRef<'t>),
    Struct(StructRef<'t>),
    Map(MapRef<'t>),
}

/// An array in place.
#[derive(Debug, Clone, Copy)]
pub struct ArrayRef<'t>(std::marker::PhantomData<&'t ()>);

/// A struct in place.
#[derive(Debug, Clone, Copy)]
pub struct StructRef<'t>(std::marker::PhantomData<&'t ()>);

/// A map in place.
#[derive(Debug, Clone, Copy)]
pub struct MapRef<'t>(std::marker::PhantomData<&'t ()>);

impl<'t> ArrayRef<'t> {
    /// How many elements.
    pub fn len(&self) -> usize {
        unimplemented!()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements in order.
    pub fn iter(&self) -> impl Iterator<Item = Result<ValueRef<'t>, Corrupt>> {
        std::iter::empty()
    }
}

impl<'t> StructRef<'t> {
    /// The fields' values in declared order.
    pub fn iter(&self) -> impl Iterator<Item = Result<ValueRef<'t>, Corrupt>> {
        std::iter::empty()
    }
}

impl<'t> MapRef<'t> {
    /// How many entries.
    pub fn len(&self) -> usize {
        unimplemented!()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries in key order; keys are UTF-8 when written.
    pub fn iter(&self) -> impl Iterator<Item = Result<(&'t [u8], ValueRef<'t>), Corrupt>> {
        std::iter::empty()
    }
}
