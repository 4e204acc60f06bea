//! Nested values into bytes; `layout` draws them and reads them back.

use super::{
    bytes::{EndWidth, write_varint},
    layout::{Kind, TupleLayout},
};
use crate::value::Value;

/// Appends a value that is not null and is of this kind.
///
/// # Panics
/// If the value is of another type: callers convert to the column's type before.
pub(crate) fn encode(kind: &Kind, value: &Value, out: &mut Vec<u8>) {
    match (kind, value) {
        (Kind::Boolean, Value::Boolean(value)) => out.push(u8::from(*value)),
        (Kind::Int64, Value::Int64(value)) | (Kind::Timestamp, Value::Timestamp(value)) => {
            out.extend_from_slice(&value.to_le_bytes());
        }
        (Kind::Float32, Value::Float32(value)) => out.extend_from_slice(&value.to_le_bytes()),
        (Kind::Float64, Value::Float64(value)) => out.extend_from_slice(&value.to_le_bytes()),
        (Kind::String, Value::String(value)) => out.extend_from_slice(value.as_bytes()),
        (Kind::Binary, Value::Binary(value)) => out.extend_from_slice(value),
        (Kind::Array(element), Value::Array(values)) => encode_array(element, values.iter(), out),
        (Kind::Struct(fields), Value::Struct(values)) => encode_struct(fields, values, out),
        (Kind::Map(value_kind), Value::Map(entries)) => encode_map(value_kind, entries, out),
        (kind, value) => panic!("a value of another type than its column: {value:?} for {kind:?}"),
    }
}

fn encode_array<'v>(element: &Kind, values: impl ExactSizeIterator<Item = &'v Value> + Clone, out: &mut Vec<u8>) {
    let count = values.len();
    if let Some(bytes) = element.fixed_bytes() {
        write_varint(out, count << 2 | EndWidth::One.code());
        write_nulls(out, values.clone());
        for value in values {
            match value {
                Value::Null => out.resize(out.len() + bytes, 0),
                value => encode(element, value, out),
            }
        }
        return;
    }
    let (mut area, mut ends) = (Vec::new(), Vec::with_capacity(count));
    for value in values.clone() {
        if !matches!(value, Value::Null) {
            encode(element, value, &mut area);
        }
        ends.push(area.len());
    }
    let width = EndWidth::fitting(area.len());
    write_varint(out, count << 2 | width.code());
    write_nulls(out, values);
    write_parts(out, width, &ends, &area);
}

fn encode_struct(fields: &TupleLayout, values: &[Value], out: &mut Vec<u8>) {
    assert_eq!(fields.slots.len(), values.len(), "a struct has one value per field");
    let (mut fixed, mut area, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for (slot, value) in fields.slots.iter().zip(values) {
        match (slot.kind.fixed_bytes(), value) {
            (Some(bytes), Value::Null) => fixed.resize(fixed.len() + bytes, 0),
            (Some(_), value) => encode(&slot.kind, value, &mut fixed),
            (None, value) => {
                if !matches!(value, Value::Null) {
                    encode(&slot.kind, value, &mut area);
                }
                ends.push(area.len());
            }
        }
    }
    let width = EndWidth::fitting(area.len());
    if fields.variable > 0 {
        write_varint(out, width.code());
    }
    write_nulls(out, values.iter());
    out.extend_from_slice(&fixed);
    write_parts(out, width, &ends, &area);
}

fn encode_map(value_kind: &Kind, entries: &[(String, Value)], out: &mut Vec<u8>) {
    let (mut keys, mut ends) = (Vec::new(), Vec::with_capacity(entries.len()));
    for (key, _) in entries {
        keys.extend_from_slice(key.as_bytes());
        ends.push(keys.len());
    }
    let width = EndWidth::fitting(keys.len());
    let mut array = Vec::new();
    write_varint(&mut array, entries.len() << 2 | width.code());
    array.resize(array.len() + entries.len().div_ceil(8), 0); // no key is null
    write_parts(&mut array, width, &ends, &keys);
    write_varint(out, array.len());
    out.extend_from_slice(&array);
    encode_array(value_kind, entries.iter().map(|(_, value)| value), out);
}

fn write_nulls<'v>(out: &mut Vec<u8>, values: impl Iterator<Item = &'v Value>) {
    let mut bits = 0_u8;
    let mut position = 0_usize;
    for value in values {
        bits |= u8::from(matches!(value, Value::Null)) << (position % 8);
        position += 1;
        if position.is_multiple_of(8) {
            out.push(std::mem::take(&mut bits));
        }
    }
    if !position.is_multiple_of(8) {
        out.push(bits);
    }
}

fn write_parts(out: &mut Vec<u8>, width: EndWidth, ends: &[usize], area: &[u8]) {
    for &end in ends {
        width.write(out, end);
    }
    out.extend_from_slice(area);
}
