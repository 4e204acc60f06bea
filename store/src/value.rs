//! Values: owned ones for building rows, borrowed ones for reading them in place.

use crate::{
    error::Corrupt,
    format::{
        bytes::{EndWidth, varint},
        encode::encode,
        layout::{Kind, TupleLayout, is_null, part},
    },
    schema::ColumnType,
};

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
    Binary(Vec<u8>),
    Array(Vec<Self>),
    /// One value per field, in declared order.
    Struct(Vec<Self>),
    /// Entries in key order, keys unique.
    Map(Vec<(String, Self)>),
}

/// How a text or a nested value of one type lies in bytes by itself, outside of a row. Values of a fixed size have no such form.
#[derive(Debug, Clone)]
pub struct ValueLayout(Kind);

impl ValueLayout {
    pub fn new(column_type: &ColumnType) -> Self {
        Self(Kind::new(column_type))
    }

    /// The value that is all of `bytes`.
    pub fn read<'t>(&'t self, bytes: &'t [u8]) -> Result<ValueRef<'t>, Corrupt> {
        self.0.read_variable(bytes).ok_or_else(|| damaged("a value of its type", 0))
    }

    /// Appends a value. One of another type, or of a fixed size, is a programming error, and panics.
    pub fn write(&self, value: &Value, out: &mut Vec<u8>) {
        encode(&self.0, value, out);
    }
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
    Binary(&'t [u8]),
    Array(ArrayRef<'t>),
    Struct(StructRef<'t>),
    Map(MapRef<'t>),
}

/// An array in place.
#[derive(Debug, Clone, Copy)]
pub struct ArrayRef<'t> {
    element: &'t Kind,
    count: usize,
    width: EndWidth,
    /// From the null bits on.
    bytes: &'t [u8],
}

/// A struct in place.
#[derive(Debug, Clone, Copy)]
pub struct StructRef<'t> {
    fields: &'t TupleLayout,
    width: EndWidth,
    /// From the null bits on.
    bytes: &'t [u8],
}

/// A map in place.
#[derive(Debug, Clone, Copy)]
pub struct MapRef<'t> {
    keys: ArrayRef<'t>,
    values: ArrayRef<'t>,
}

impl<'t> ArrayRef<'t> {
    /// The array that is all of `bytes`; `None` if these cannot hold as many elements as they say.
    pub(crate) fn parse(element: &'t Kind, bytes: &'t [u8]) -> Option<Self> {
        let (number, start) = varint(bytes)?;
        let (count, width) = ((number >> 2) as usize, EndWidth::of_code(number)?);
        let array = Self { element, count, width, bytes: bytes.get(start..)? };
        (array.elements_start() + array.count * element.fixed_bytes().unwrap_or_else(|| width.bytes())
            <= array.bytes.len())
        .then_some(array)
    }

    fn elements_start(&self) -> usize {
        self.count.div_ceil(8)
    }

    fn element(&self, index: usize) -> Option<ValueRef<'t>> {
        if is_null(self.bytes, index)? {
            return Some(ValueRef::Null);
        }
        match self.element.fixed_bytes() {
            Some(bytes) => self.element.read_fixed(self.bytes, self.elements_start() + index * bytes),
            None => self.element.read_variable(self.part(index)?),
        }
    }

    /// The bytes of an element of no fixed size.
    fn part(&self, index: usize) -> Option<&'t [u8]> {
        let ends_at = self.elements_start();
        let area = self.bytes.get(ends_at + self.count * self.width.bytes()..)?;
        part(self.bytes, ends_at, area, self.width, index)
    }

    /// How many elements.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements in order.
    pub fn iter(&self) -> impl Iterator<Item = Result<ValueRef<'t>, Corrupt>> + use<'t> {
        let array = *self;
        (0..array.count).map(move |index| array.element(index).ok_or_else(|| damaged("an array element", index)))
    }
}

impl<'t> StructRef<'t> {
    /// The struct that is all of `bytes`.
    pub(crate) fn parse(fields: &'t TupleLayout, bytes: &'t [u8]) -> Option<Self> {
        if fields.variable == 0 {
            return Some(Self { fields, width: EndWidth::One, bytes });
        }
        let width = EndWidth::of_code(u32::from(*bytes.first()?))?;
        Some(Self { fields, width, bytes: bytes.get(1..)? })
    }

    /// How many fields.
    pub fn len(&self) -> usize {
        self.fields.slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of the field at this position.
    pub fn field(&self, position: usize) -> Result<ValueRef<'t>, Corrupt> {
        self.fields.value(self.bytes, self.width, position).ok_or_else(|| damaged("a struct field", position))
    }

    /// The fields' values in declared order.
    pub fn iter(&self) -> impl Iterator<Item = Result<ValueRef<'t>, Corrupt>> + use<'t> {
        let fields = *self;
        (0..fields.len()).map(move |position| fields.field(position))
    }
}

impl<'t> MapRef<'t> {
    /// The map that is all of `bytes`.
    pub(crate) fn parse(value: &'t Kind, bytes: &'t [u8]) -> Option<Self> {
        let (keys_bytes, start) = varint(bytes)?;
        let (keys, values) = bytes.get(start..)?.split_at_checked(keys_bytes as usize)?;
        let (keys, values) = (ArrayRef::parse(&Kind::String, keys)?, ArrayRef::parse(value, values)?);
        (keys.count == values.count).then_some(Self { keys, values })
    }

    /// How many entries.
    pub fn len(&self) -> usize {
        self.keys.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries in key order; keys are UTF-8 when written.
    pub fn iter(&self) -> impl Iterator<Item = Result<(&'t [u8], ValueRef<'t>), Corrupt>> + use<'t> {
        let map = *self;
        (0..map.len()).map(move |index| {
            let entry = || Some((map.keys.part(index)?, map.values.element(index)?));
            entry().ok_or_else(|| damaged("a map entry", index))
        })
    }
}

impl ValueRef<'_> {
    /// A copy of its own, for inspection and tests. Text that is not UTF-8 is a damaged value.
    pub fn to_value(&self) -> Result<Value, Corrupt> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Boolean(value) => Value::Boolean(*value),
            Self::Int64(value) => Value::Int64(*value),
            Self::Float32(value) => Value::Float32(*value),
            Self::Float64(value) => Value::Float64(*value),
            Self::Timestamp(value) => Value::Timestamp(*value),
            Self::String(bytes) => Value::String(text(bytes)?),
            Self::Binary(bytes) => Value::Binary(bytes.to_vec()),
            Self::Array(array) => Value::Array(array.iter().map(|value| value?.to_value()).collect::<Result<_, _>>()?),
            Self::Struct(fields) => {
                Value::Struct(fields.iter().map(|value| value?.to_value()).collect::<Result<_, _>>()?)
            }
            Self::Map(map) => {
                let entry = |entry: Result<(&[u8], ValueRef<'_>), Corrupt>| {
                    let (key, value) = entry?;
                    Ok((text(key)?, value.to_value()?))
                };
                Value::Map(map.iter().map(entry).collect::<Result<_, _>>()?)
            }
        })
    }
}

fn text(bytes: &[u8]) -> Result<String, Corrupt> {
    String::from_utf8(bytes.to_owned()).map_err(|error| damaged("text", error.utf8_error().valid_up_to()))
}

/// What is nested knows no file. Its bytes passed their checksum, so it was written wrongly rather than damaged later.
#[cold]
fn damaged(what: &str, position: usize) -> Corrupt {
    Corrupt {
        file: "a nested value".into(),
        offset: position as u64,
        expected: format!("{what} that lies within its value"),
        found: "other bytes".into(),
    }
}
