//! Feature values as this dialect spells them: int64 as strings, structs as lists, special floats as strings.

use gannet_store::{Corrupt, ValueRef, value::ValueLayout};

use crate::{
    aggregates::{Folded, Item, Row},
    render,
};

/// Appends one value. Nesting is as deep as the column's type, which definitions bound.
pub(super) fn value(feature: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Corrupt> {
    match feature {
        ValueRef::Null | ValueRef::Binary(_) => out.extend_from_slice(b"null"), // no feature is binary
        ValueRef::Boolean(true) => out.extend_from_slice(b"true"),
        ValueRef::Boolean(false) => out.extend_from_slice(b"false"),
        ValueRef::Int64(number) => {
            out.push(b'"');
            render::int64(number, out);
            out.push(b'"');
        }
        ValueRef::Float32(number) => render::float32(number, out),
        ValueRef::Float64(number) => render::float64(number, out),
        ValueRef::String(text) => render::string(text, out),
        ValueRef::Timestamp(unix_us) => render::timestamp(unix_us, out),
        ValueRef::Array(array) => list(array.iter(), out)?,
        ValueRef::Struct(fields) => list(fields.iter(), out)?,
        ValueRef::Map(map) => {
            out.push(b'{');
            for (place, entry) in map.iter().enumerate() {
                let (key, entry) = entry?;
                if place > 0 {
                    out.push(b',');
                }
                render::string(key, out);
                out.push(b':');
                value(entry, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// Appends one value that was folded of `rows`. `layouts` are those of its type, of its elements' type, and so on.
pub(super) fn item(
    item: Item,
    layouts: &[ValueLayout],
    folded: &Folded,
    rows: &[Row<'_>],
    out: &mut Vec<u8>,
) -> Result<(), Corrupt> {
    match item {
        Item::Null => out.extend_from_slice(b"null"),
        Item::Boolean(flag) => value(ValueRef::Boolean(flag), out)?,
        Item::Int64(number) => value(ValueRef::Int64(number), out)?,
        Item::Float32(number) => render::float32(number, out),
        Item::Float64(number) => render::float64(number, out),
        Item::Bytes { .. } => {
            let bytes = Folded::bytes(item, rows);
            match layouts.first() {
                Some(layout) => value(layout.read(bytes)?, out)?,
                None => render::string(bytes, out),
            }
        }
        Item::List { .. } => {
            out.push(b'[');
            let of_elements = layouts.get(1..).unwrap_or_default();
            for (place, element) in folded.elements(item).iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                self::item(*element, of_elements, folded, rows, out)?;
            }
            out.push(b']');
        }
    }
    Ok(())
}

fn list<'t>(values: impl Iterator<Item = Result<ValueRef<'t>, Corrupt>>, out: &mut Vec<u8>) -> Result<(), Corrupt> {
    out.push(b'[');
    for (place, element) in values.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        value(element?, out)?;
    }
    out.push(b']');
    Ok(())
}
