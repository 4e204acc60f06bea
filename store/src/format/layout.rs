//! Where the parts of a row lie, worked out once per schema.
//!
//! ```text
//! row     | header  | key | event time | tuple of the columns |
//!         | 1-2 B   |     | i64        |                      |
//!           key length << 2 | width of ends (1: u8, 2: u16, 3: u32)
//!
//! tombstone | header | key | event time |
//!           | 2 B    |     | i64        |
//!             the same with a width of 0, in two bytes even where one would do: so the first is never 0
//!
//! tuple   | nulls           | fixed columns          | ends              | variable columns |
//!         | 1 bit each, set | declared order, zeros  | one per variable  | one after        |
//!         | when null       | when null              | column            | the other        |
//!
//! array   | count << 2 | width (varint) | nulls | fixed elements, or ends and elements |
//! struct  | width (only with variable fields)  | tuple of the fields                  |
//! map     | bytes of the keys (varint)         | array of strings | array of values   |
//! ```

use super::bytes::{EndWidth, i64_at, u32_at, u64_at};
use crate::{
    schema::{ColumnType, Field, Schema},
    value::{ArrayRef, MapRef, StructRef, ValueRef},
};

/// Where the columns of one schema lie in its rows.
#[derive(Debug, Clone)]
pub struct RowLayout {
    pub(crate) columns: TupleLayout,
    /// What messages call the place that rows come from: a file's name.
    pub(crate) file: Box<str>,
}

impl RowLayout {
    /// The layout of this schema's rows. Messages about damaged rows name `file`.
    pub fn new(schema: &Schema, file: &str) -> Self {
        Self { columns: TupleLayout::new(&schema.columns), file: file.into() }
    }

    /// What messages call the place that rows come from.
    pub fn name(&self) -> &str {
        &self.file
    }
}

/// Where the values of a row's columns, or of a struct's fields, lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TupleLayout {
    pub(crate) slots: Box<[Slot]>,
    /// Bytes of the bits that say which are null.
    pub(crate) null_bytes: usize,
    pub(crate) fixed_bytes: usize,
    /// How many have no fixed size.
    pub(crate) variable: usize,
}

/// One column or field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) kind: Kind,
    /// Of a fixed size: the offset among the fixed ones. Otherwise: the position among the variable ones.
    pub(crate) at: usize,
}

/// A type, with the layouts of what is nested in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    Int64,
    Float32,
    Float64,
    Timestamp,
    String,
    Binary,
    Array(Box<Self>),
    Struct(TupleLayout),
    Map(Box<Self>),
}

impl Kind {
    pub(crate) fn new(column_type: &ColumnType) -> Self {
        match column_type {
            ColumnType::Boolean => Self::Boolean,
            ColumnType::Int64 => Self::Int64,
            ColumnType::Float32 => Self::Float32,
            ColumnType::Float64 => Self::Float64,
            ColumnType::Timestamp => Self::Timestamp,
            ColumnType::String => Self::String,
            ColumnType::Binary => Self::Binary,
            ColumnType::Array(element) => Self::Array(Box::new(Self::new(element))),
            ColumnType::Struct(fields) => Self::Struct(TupleLayout::new(fields)),
            ColumnType::Map(value) => Self::Map(Box::new(Self::new(value))),
        }
    }

    /// The size of every value of this type, if they have one size.
    #[inline]
    pub(crate) fn fixed_bytes(&self) -> Option<usize> {
        match self {
            Self::Boolean => Some(1),
            Self::Float32 => Some(4),
            Self::Int64 | Self::Float64 | Self::Timestamp => Some(8),
            Self::String | Self::Binary | Self::Array(_) | Self::Struct(_) | Self::Map(_) => None,
        }
    }

    /// A value of a fixed size, which starts at `at`.
    #[inline]
    pub(crate) fn read_fixed<'t>(&self, bytes: &'t [u8], at: usize) -> Option<ValueRef<'t>> {
        Some(match self {
            Self::Boolean => match bytes.get(at)? {
                0 => ValueRef::Boolean(false),
                1 => ValueRef::Boolean(true),
                _ => return None,
            },
            Self::Int64 => ValueRef::Int64(i64_at(bytes, at)?),
            Self::Timestamp => ValueRef::Timestamp(i64_at(bytes, at)?),
            Self::Float32 => ValueRef::Float32(f32::from_bits(u32_at(bytes, at)?)),
            Self::Float64 => ValueRef::Float64(f64::from_bits(u64_at(bytes, at)?)),
            Self::String | Self::Binary | Self::Array(_) | Self::Struct(_) | Self::Map(_) => return None,
        })
    }

    /// A value of no fixed size, which is all of `bytes`.
    #[inline(always)]
    pub(crate) fn read_variable<'t>(&'t self, bytes: &'t [u8]) -> Option<ValueRef<'t>> {
        Some(match self {
            Self::String => ValueRef::String(bytes),
            Self::Binary => ValueRef::Binary(bytes),
            Self::Array(element) => ValueRef::Array(ArrayRef::parse(element, bytes)?),
            Self::Struct(fields) => ValueRef::Struct(StructRef::parse(fields, bytes)?),
            Self::Map(value) => ValueRef::Map(MapRef::parse(value, bytes)?),
            Self::Boolean | Self::Int64 | Self::Float32 | Self::Float64 | Self::Timestamp => return None,
        })
    }
}

impl TupleLayout {
    pub(crate) fn new(fields: &[Field]) -> Self {
        let (mut fixed_bytes, mut variable) = (0, 0);
        let slots = fields.iter().map(|field| {
            let kind = Kind::new(&field.column_type);
            let (next, bytes) = match kind.fixed_bytes() {
                Some(bytes) => (&mut fixed_bytes, bytes),
                None => (&mut variable, 1),
            };
            let at = *next;
            *next += bytes;
            Slot { kind, at }
        });
        let slots: Box<[Slot]> = slots.collect();
        Self { null_bytes: slots.len().div_ceil(8), fixed_bytes, variable, slots }
    }

    /// Bytes before the variable columns: to know them is to know where everything lies.
    #[inline]
    pub(crate) fn prefix_bytes(&self, width: EndWidth) -> usize {
        self.null_bytes + self.fixed_bytes + self.variable * width.bytes()
    }

    /// All bytes of the tuple at the start of `bytes`.
    #[inline]
    pub(crate) fn total_bytes(&self, bytes: &[u8], width: EndWidth) -> Option<usize> {
        let prefix = self.prefix_bytes(width);
        let Some(last) = self.variable.checked_sub(1) else { return Some(prefix) };
        Some(prefix + width.read(bytes, self.null_bytes + self.fixed_bytes, last)?)
    }

    /// The value at this position of the tuple at the start of `bytes`.
    // Inlined into answers: see `Row::value`.
    #[inline(always)]
    pub(crate) fn value<'t>(&'t self, bytes: &'t [u8], width: EndWidth, position: usize) -> Option<ValueRef<'t>> {
        let slot = self.slots.get(position)?;
        if is_null(bytes, position)? {
            return Some(ValueRef::Null);
        }
        if slot.kind.fixed_bytes().is_some() {
            return slot.kind.read_fixed(bytes, self.null_bytes + slot.at);
        }
        slot.kind.read_variable(self.variable(bytes, width, slot.at)?)
    }

    /// The bytes of a value of no fixed size, or that it is null.
    pub(crate) fn encoded<'t>(&self, bytes: &'t [u8], width: EndWidth, position: usize) -> Option<Option<&'t [u8]>> {
        let slot = self.slots.get(position).filter(|slot| slot.kind.fixed_bytes().is_none())?;
        if is_null(bytes, position)? {
            return Some(None);
        }
        self.variable(bytes, width, slot.at).map(Some)
    }

    #[inline]
    fn variable<'t>(&self, bytes: &'t [u8], width: EndWidth, at: usize) -> Option<&'t [u8]> {
        let area = bytes.get(self.prefix_bytes(width)..)?;
        part(bytes, self.null_bytes + self.fixed_bytes, area, width, at)
    }
}

/// Whether the bit of this position says null, in the bits that `bytes` start with.
#[inline]
pub(crate) fn is_null(bytes: &[u8], position: usize) -> Option<bool> {
    Some(bytes.get(position / 8)? >> (position % 8) & 1 == 1)
}

/// The `index`th variable part of `area`, by the ends at `ends_at` of `bytes`.
#[inline]
pub(crate) fn part<'t>(
    bytes: &[u8],
    ends_at: usize,
    area: &'t [u8],
    width: EndWidth,
    index: usize,
) -> Option<&'t [u8]> {
    let start = match index.checked_sub(1) {
        Some(before) => width.read(bytes, ends_at, before)?,
        None => 0,
    };
    area.get(start..width.read(bytes, ends_at, index)?)
}

/// What the first bytes of a row say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowHead {
    key_start: u8,
    /// Whether it only says that there is no row any more: it ends behind the event time.
    pub(crate) is_tombstone: bool,
    key_bytes: u16,
    pub(crate) width: EndWidth,
}

const _: () = assert!(size_of::<RowHead>() == 8, "no padding: see `EndWidth`");

impl RowHead {
    #[inline]
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let first = u16::from(*bytes.first()?);
        let (number, key_start) = match first < 0x80 {
            true => (first, 1),
            false => (first & 0x7f | u16::from(*bytes.get(1).filter(|&&second| second < 0x80)?) << 7, 2),
        };
        // A width of 0 in one byte may be a zero, which nobody wrote.
        let is_tombstone = number & 3 == 0 && key_start == 2;
        let width = if is_tombstone { EndWidth::One } else { EndWidth::of_code(u32::from(number))? };
        Some(Self { key_start, is_tombstone, key_bytes: number >> 2, width })
    }

    /// The head of a tombstone for a key of this length.
    pub(crate) fn tombstone(key_bytes: usize) -> [u8; ROW_HEAD_BYTES_MAX] {
        let number = key_bytes << 2; // fits 14 bits: see `KEY_BYTES_MAX`
        [u8::try_from(number & 0x7f).unwrap_or(0) | 0x80, u8::try_from(number >> 7 & 0x7f).unwrap_or(0)]
    }

    #[inline]
    pub(crate) fn key(&self) -> std::ops::Range<usize> {
        usize::from(self.key_start)..self.event_time_start()
    }

    #[inline]
    pub(crate) fn event_time_start(&self) -> usize {
        usize::from(self.key_start) + usize::from(self.key_bytes)
    }

    /// Where the tuple starts.
    #[inline]
    pub(crate) fn tuple_start(&self) -> usize {
        self.event_time_start() + EVENT_TIME_BYTES
    }

    /// How many bytes of the row must be there before its length can be read.
    #[inline]
    pub(crate) fn prefix_end(&self, columns: &TupleLayout) -> usize {
        self.tuple_start() + if self.is_tombstone { 0 } else { columns.prefix_bytes(self.width) }
    }

    /// The length of the row that `bytes` start with.
    #[inline]
    pub(crate) fn row_bytes(&self, columns: &TupleLayout, bytes: &[u8]) -> Option<usize> {
        let tuple = bytes.get(self.tuple_start()..)?;
        Some(self.tuple_start() + if self.is_tombstone { 0 } else { columns.total_bytes(tuple, self.width)? })
    }
}

/// The key's length is bounded, so two bytes hold it.
pub(crate) const ROW_HEAD_BYTES_MAX: usize = 2;
pub(crate) const EVENT_TIME_BYTES: usize = 8;
