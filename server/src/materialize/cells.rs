//! One column of a Parquet batch, downcast once, then read cell by cell.

use std::fmt;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Date64Array, Decimal32Array, Decimal64Array, Decimal128Array,
    Decimal256Array, FixedSizeListArray, Float16Array, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array,
    Int64Array, LargeListArray, LargeStringArray, ListArray, MapArray, StringArray, StringViewArray, StructArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt8Array,
    UInt16Array, UInt32Array, UInt64Array,
    cast::{AsArray as _, as_boolean_array},
};
use arrow_schema::{DataType, TimeUnit};
use gannet_store::{ColumnType, Value};

use super::{
    cast::{float32_of_integer, float64_of_integer, microseconds, midnight, narrow, whole},
    fault::Fault,
    text,
};

/// A column with its type resolved. Cloning the arrays into it copies pointers.
#[derive(Debug)]
pub(super) enum Cells {
    Boolean(BooleanArray),
    Int8(Int8Array),
    Int16(Int16Array),
    Int32(Int32Array),
    Int64(Int64Array),
    UInt8(UInt8Array),
    UInt16(UInt16Array),
    UInt32(UInt32Array),
    UInt64(UInt64Array),
    Float16(Float16Array),
    Float32(Float32Array),
    Float64(Float64Array),
    Decimal32(Decimal32Array),
    Decimal64(Decimal64Array),
    Decimal128(Decimal128Array),
    Decimal256(Decimal256Array),
    Date32(Date32Array),
    Date64(Date64Array),
    Second(TimestampSecondArray),
    Millisecond(TimestampMillisecondArray),
    Microsecond(TimestampMicrosecondArray),
    Nanosecond(TimestampNanosecondArray),
    String(StringArray),
    LargeString(LargeStringArray),
    StringView(StringViewArray),
    /// The positions in the values, and the values. A null key is found through the array itself.
    Dictionary(ArrayRef, Vec<usize>, Box<Self>),
    List(ListArray, Box<Self>),
    LargeList(LargeListArray, Box<Self>),
    FixedList(FixedSizeListArray, Box<Self>),
    /// One per declared field, in declared order; `None` where the file has no such field.
    Struct(StructArray, Vec<Option<Self>>),
    Map(MapArray, Box<Self>, Box<Self>),
}

impl Cells {
    /// Resolves `array` for reading as `column_type`, which [`super::types::check`] has found to be possible.
    pub(super) fn new(array: &ArrayRef, column_type: &ColumnType) -> Result<Self, Unreadable> {
        Ok(match array.data_type() {
            DataType::Boolean => Self::Boolean(as_boolean_array(array).clone()),
            DataType::Int8 => Self::Int8(array.as_primitive().clone()),
            DataType::Int16 => Self::Int16(array.as_primitive().clone()),
            DataType::Int32 => Self::Int32(array.as_primitive().clone()),
            DataType::Int64 => Self::Int64(array.as_primitive().clone()),
            DataType::UInt8 => Self::UInt8(array.as_primitive().clone()),
            DataType::UInt16 => Self::UInt16(array.as_primitive().clone()),
            DataType::UInt32 => Self::UInt32(array.as_primitive().clone()),
            DataType::UInt64 => Self::UInt64(array.as_primitive().clone()),
            DataType::Float16 => Self::Float16(array.as_primitive().clone()),
            DataType::Float32 => Self::Float32(array.as_primitive().clone()),
            DataType::Float64 => Self::Float64(array.as_primitive().clone()),
            DataType::Decimal32(..) => Self::Decimal32(array.as_primitive().clone()),
            DataType::Decimal64(..) => Self::Decimal64(array.as_primitive().clone()),
            DataType::Decimal128(..) => Self::Decimal128(array.as_primitive().clone()),
            DataType::Decimal256(..) => Self::Decimal256(array.as_primitive().clone()),
            DataType::Date32 => Self::Date32(array.as_primitive().clone()),
            DataType::Date64 => Self::Date64(array.as_primitive().clone()),
            DataType::Timestamp(TimeUnit::Second, _) => Self::Second(array.as_primitive().clone()),
            DataType::Timestamp(TimeUnit::Millisecond, _) => Self::Millisecond(array.as_primitive().clone()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => Self::Microsecond(array.as_primitive().clone()),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => Self::Nanosecond(array.as_primitive().clone()),
            DataType::Utf8 => Self::String(array.as_string().clone()),
            DataType::LargeUtf8 => Self::LargeString(array.as_string().clone()),
            DataType::Utf8View => Self::StringView(array.as_string_view().clone()),
            DataType::Dictionary(..) => {
                let dictionary = array.as_any_dictionary();
                let values = Self::new(dictionary.values(), column_type)?;
                // Keys of null rows are arbitrary; with no values at all there is nothing to normalise them to.
                let keys =
                    if dictionary.values().is_empty() { vec![0; array.len()] } else { dictionary.normalized_keys() };
                Self::Dictionary(ArrayRef::clone(array), keys, Box::new(values))
            }
            data_type => match (data_type, column_type) {
                (DataType::List(_), ColumnType::Array(element)) => {
                    let list = array.as_list::<i32>();
                    Self::List(list.clone(), Box::new(Self::new(list.values(), element)?))
                }
                (DataType::LargeList(_), ColumnType::Array(element)) => {
                    let list = array.as_list::<i64>();
                    Self::LargeList(list.clone(), Box::new(Self::new(list.values(), element)?))
                }
                (DataType::FixedSizeList(..), ColumnType::Array(element)) => {
                    let list = array.as_fixed_size_list();
                    Self::FixedList(list.clone(), Box::new(Self::new(list.values(), element)?))
                }
                (DataType::Struct(_), ColumnType::Struct(fields)) => {
                    let record = array.as_struct();
                    let field = |name| record.column_by_name(name);
                    let cells = fields
                        .iter()
                        .map(|f| field(&f.name).map(|array| Self::new(array, &f.column_type)).transpose())
                        .collect::<Result<_, _>>()?;
                    Self::Struct(record.clone(), cells)
                }
                (DataType::Map(..), ColumnType::Map(element)) => {
                    let map = array.as_map();
                    let keys = Self::new(map.keys(), &ColumnType::String)?;
                    Self::Map(map.clone(), Box::new(keys), Box::new(Self::new(map.values(), element)?))
                }
                (data_type, _) => return Err(Unreadable { found: data_type.to_string() }),
            },
        })
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Dictionary(array, keys, values) => array.is_null(row) || values.is_null(keys[row]),
            _ => self.array().is_null(row),
        }
    }

    pub(super) fn boolean(&self, row: usize) -> Result<bool, Fault> {
        match self {
            Self::Boolean(array) => Ok(array.value(row)),
            Self::Dictionary(_, keys, values) => values.boolean(keys[row]),
            _ => Err(self.mismatch("bool")),
        }
    }

    pub(super) fn int64(&self, row: usize) -> Result<i64, Fault> {
        match self {
            Self::Int64(array) => Ok(array.value(row)),
            Self::UInt64(array) => {
                let value = array.value(row);
                i64::try_from(value).map_err(|_| Fault::range(value, "int64"))
            }
            Self::Float16(_) | Self::Float32(_) | Self::Float64(_) => whole(self.float(row)?),
            Self::Decimal32(_) | Self::Decimal64(_) | Self::Decimal128(_) | Self::Decimal256(_) => {
                text::int64(&self.decimal(row))
            }
            Self::Dictionary(_, keys, values) => values.int64(keys[row]),
            _ => self.small_integer(row).ok_or_else(|| self.mismatch("int64")),
        }
    }

    pub(super) fn float64(&self, row: usize) -> Result<f64, Fault> {
        match self {
            Self::Float16(_) | Self::Float32(_) | Self::Float64(_) => self.float(row),
            Self::Decimal32(_) | Self::Decimal64(_) | Self::Decimal128(_) | Self::Decimal256(_) => {
                text::float64(&self.decimal(row))
            }
            Self::Dictionary(_, keys, values) => values.float64(keys[row]),
            _ => float64_of_integer(self.int64(row)?),
        }
    }

    pub(super) fn float32(&self, row: usize) -> Result<f32, Fault> {
        match self {
            Self::Float32(array) => Ok(array.value(row)),
            Self::Float16(_) | Self::Float64(_) => narrow(self.float(row)?),
            Self::Decimal32(_) | Self::Decimal64(_) | Self::Decimal128(_) | Self::Decimal256(_) => {
                narrow(self.float64(row)?)
            }
            Self::Dictionary(_, keys, values) => values.float32(keys[row]),
            _ => float32_of_integer(self.int64(row)?),
        }
    }

    pub(super) fn timestamp(&self, row: usize) -> Result<i64, Fault> {
        match self {
            Self::Microsecond(array) => Ok(array.value(row)),
            Self::Second(array) => microseconds(array.value(row), 1),
            Self::Millisecond(array) => microseconds(array.value(row), 1_000),
            Self::Nanosecond(array) => microseconds(array.value(row), 1_000_000_000),
            Self::Date32(array) => midnight(array.value(row).into()),
            Self::Date64(array) => microseconds(array.value(row), 1_000),
            Self::Dictionary(_, keys, values) => values.timestamp(keys[row]),
            _ => text::timestamp(self.string(row)?),
        }
    }

    pub(super) fn string(&self, row: usize) -> Result<&str, Fault> {
        match self {
            Self::String(array) => Ok(array.value(row)),
            Self::LargeString(array) => Ok(array.value(row)),
            Self::StringView(array) => Ok(array.value(row)),
            Self::Dictionary(_, keys, values) => values.string(keys[row]),
            _ => Err(self.mismatch("string")),
        }
    }

    /// A cell of any type as a value of its own.
    pub(super) fn value(&self, row: usize, column_type: &ColumnType) -> Result<Value, Fault> {
        if self.is_null(row) {
            return Ok(Value::Null);
        }
        Ok(match column_type {
            ColumnType::Boolean => Value::Boolean(self.boolean(row)?),
            ColumnType::Int64 => Value::Int64(self.int64(row)?),
            ColumnType::Float32 => Value::Float32(self.float32(row)?),
            ColumnType::Float64 => Value::Float64(self.float64(row)?),
            ColumnType::String => Value::String(self.string(row)?.to_owned()),
            ColumnType::Binary => return Err(self.mismatch("binary")), // no column of a source is declared so
            ColumnType::Timestamp => Value::Timestamp(self.timestamp(row)?),
            ColumnType::Array(element) => {
                let (elements, range) = self.elements(row).ok_or_else(|| self.mismatch("array"))?;
                Value::Array(range.map(|at| elements.value(at, element)).collect::<Result<_, _>>()?)
            }
            ColumnType::Struct(fields) => {
                let Self::Struct(_, cells) = self else { return Err(self.mismatch("struct")) };
                let pairs = fields.iter().zip(cells);
                Value::Struct(
                    pairs
                        .map(|(f, cells)| {
                            cells.as_ref().map_or(Ok(Value::Null), |cells| cells.value(row, &f.column_type))
                        })
                        .collect::<Result<_, _>>()?,
                )
            }
            ColumnType::Map(element) => {
                let Self::Map(array, keys, values) = self else { return Err(self.mismatch("map")) };
                let mut entries = Vec::new();
                for at in range(array.value_offsets()[row], array.value_offsets()[row + 1]) {
                    entries.push((keys.string(at)?.to_owned(), values.value(at, element)?));
                }
                // The store wants entries in key order with unique keys; of equal keys the last one stays, as in Spark.
                entries.reverse();
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                entries.dedup_by(|later, earlier| later.0 == earlier.0);
                Value::Map(entries)
            }
        })
    }

    /// The cells that hold the elements of the list at `row`, and where in them.
    fn elements(&self, row: usize) -> Option<(&Self, std::ops::Range<usize>)> {
        match self {
            Self::List(array, elements) => {
                let offsets = array.value_offsets();
                Some((elements, range(offsets[row], offsets[row + 1])))
            }
            Self::LargeList(array, elements) => {
                let offsets = array.value_offsets();
                Some((elements, range(offsets[row], offsets[row + 1])))
            }
            Self::FixedList(array, elements) => {
                let offset = array.value_offset_at(row);
                let length = usize::try_from(array.value_length()).unwrap_or(0);
                Some((elements, offset..offset + length))
            }
            _ => None,
        }
    }

    fn small_integer(&self, row: usize) -> Option<i64> {
        Some(match self {
            Self::Int8(array) => array.value(row).into(),
            Self::Int16(array) => array.value(row).into(),
            Self::Int32(array) => array.value(row).into(),
            Self::UInt8(array) => array.value(row).into(),
            Self::UInt16(array) => array.value(row).into(),
            Self::UInt32(array) => array.value(row).into(),
            _ => return None,
        })
    }

    fn float(&self, row: usize) -> Result<f64, Fault> {
        match self {
            Self::Float16(array) => Ok(array.value(row).to_f64()),
            Self::Float32(array) => Ok(array.value(row).into()),
            Self::Float64(array) => Ok(array.value(row)),
            _ => Err(self.mismatch("float64")),
        }
    }

    /// Its digits; through text, because that rounds once and correctly whatever the precision.
    fn decimal(&self, row: usize) -> String {
        match self {
            Self::Decimal32(array) => array.value_as_string(row),
            Self::Decimal64(array) => array.value_as_string(row),
            Self::Decimal128(array) => array.value_as_string(row),
            Self::Decimal256(array) => array.value_as_string(row),
            _ => String::new(),
        }
    }

    fn array(&self) -> &dyn Array {
        match self {
            Self::Boolean(array) => array,
            Self::Int8(array) => array,
            Self::Int16(array) => array,
            Self::Int32(array) => array,
            Self::Int64(array) => array,
            Self::UInt8(array) => array,
            Self::UInt16(array) => array,
            Self::UInt32(array) => array,
            Self::UInt64(array) => array,
            Self::Float16(array) => array,
            Self::Float32(array) => array,
            Self::Float64(array) => array,
            Self::Decimal32(array) => array,
            Self::Decimal64(array) => array,
            Self::Decimal128(array) => array,
            Self::Decimal256(array) => array,
            Self::Date32(array) => array,
            Self::Date64(array) => array,
            Self::Second(array) => array,
            Self::Millisecond(array) => array,
            Self::Microsecond(array) => array,
            Self::Nanosecond(array) => array,
            Self::String(array) => array,
            Self::LargeString(array) => array,
            Self::StringView(array) => array,
            Self::Dictionary(array, ..) => array,
            Self::List(array, _) => array,
            Self::LargeList(array, _) => array,
            Self::FixedList(array, _) => array,
            Self::Struct(array, _) => array,
            Self::Map(array, ..) => array,
        }
    }

    /// Types were checked before anything was read, so this is seen only if a file changed under the reader.
    fn mismatch(&self, wanted: &str) -> Fault {
        Fault::wrong(self.array().data_type(), wanted)
    }
}

/// Offsets of a valid array are never negative.
fn range(start: impl TryInto<usize>, end: impl TryInto<usize>) -> std::ops::Range<usize> {
    start.try_into().unwrap_or(0)..end.try_into().unwrap_or(0)
}

/// A column of a type that cannot be read as what was declared.
#[derive(Debug)]
pub(super) struct Unreadable {
    found: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a column of type {} cannot be read", self.found)
    }
}

impl std::error::Error for Unreadable {}
