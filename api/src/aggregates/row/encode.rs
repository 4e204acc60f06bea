//! Writes rows: the one place that knows the order of their bytes from the writing side.

use super::{
    FLAG_ANEW, FLAG_EVENTS, FLAG_GROUPED, VERSION,
    builder::RowBuilder,
    cell::{Cell, State, Sum},
    list::Scalar,
};
use crate::aggregates::{
    partial::{ColumnShape, Kind, Partial},
    window::Grid,
};

/// Appends the builder's row. What does not fit 32 bits belongs to a row that is longer than any may be, which is refused when it is whole.
pub(in crate::aggregates) fn encode(builder: &RowBuilder<'_>, out: &mut Vec<u8>) {
    let shape = builder.shape;
    let tiles: Vec<(i64, &[Cell])> =
        builder.groups.values().flatten().map(|(number, cells)| (*number, cells.as_slice())).collect();
    let flags = [(shape.grid == Grid::Events, FLAG_EVENTS), (shape.grouped, FLAG_GROUPED), (builder.anew, FLAG_ANEW)];
    let flags = flags.into_iter().filter_map(|(is_set, flag)| is_set.then_some(flag)).sum();
    out.extend_from_slice(&[VERSION, flags]);
    out.extend_from_slice(&shape.arrays.to_le_bytes());
    out.extend_from_slice(&shape.fingerprint.to_le_bytes());
    put_u32(out, tiles.len());
    put_u32(out, builder.groups.len());
    out.extend_from_slice(&builder.newest_event_us.to_le_bytes());
    if shape.grouped {
        put_ends(out, builder.groups.values().map(std::collections::BTreeMap::len));
        put_ends(out, builder.groups.keys().map(|key| key.len()));
        builder.groups.keys().for_each(|key| out.extend_from_slice(key));
    }
    tiles.iter().for_each(|(number, _)| out.extend_from_slice(&number.to_le_bytes()));
    let ends = out.len();
    out.resize(ends + usize::from(shape.arrays) * 4, 0);
    let area = out.len();
    let mut array = 0;
    for (at, column) in shape.columns.iter().enumerate() {
        let mut state = 0;
        for partial in &column.partials {
            let cells = tiles.iter().filter_map(|(_, cells)| cells.get(at));
            encode_array(column, *partial, state, cells, out);
            state += usize::from(!matches!(partial, Partial::Count | Partial::Sum | Partial::Squares));
            let end = u32::try_from(out.len() - area).unwrap_or(u32::MAX);
            out[ends + array * 4..ends + array * 4 + 4].copy_from_slice(&end.to_le_bytes());
            array += 1;
        }
    }
}

fn encode_array<'c>(
    column: &ColumnShape,
    partial: Partial,
    state: usize,
    cells: impl Iterator<Item = &'c Cell> + Clone,
    out: &mut Vec<u8>,
) {
    match partial {
        Partial::Count => {
            let largest = cells.clone().map(|cell| cell.count).max().unwrap_or(0);
            let bytes = match largest {
                0..=0xff => 1,
                0x100..=0xffff_ffff => 4,
                _ => 8,
            };
            cells.for_each(|cell| out.extend_from_slice(&cell.count.to_le_bytes()[..bytes]));
        }
        Partial::Sum => {
            let wide = cells.clone().any(|cell| matches!(cell.sum, Sum::Int(sum) if i64::try_from(sum).is_err()));
            for cell in cells {
                match cell.sum {
                    Sum::Float(sum) => out.extend_from_slice(&sum.to_le_bytes()),
                    Sum::Int(sum) => out.extend_from_slice(&sum.to_le_bytes()[..if wide { 16 } else { 8 }]),
                }
            }
        }
        Partial::Squares => cells.for_each(|cell| out.extend_from_slice(&cell.squares.to_le_bytes())),
        _ if partial.widths(column.kind).is_empty() => {
            let ends = out.len();
            let items = ends + cells.clone().count() * 4;
            out.resize(items, 0);
            for (tile, cell) in cells.enumerate() {
                if let Some(state) = cell.states.get(state) {
                    encode_item(column.kind, state, out);
                }
                let end = u32::try_from(out.len() - items).unwrap_or(u32::MAX);
                out[ends + tile * 4..ends + tile * 4 + 4].copy_from_slice(&end.to_le_bytes());
            }
        }
        _ => {
            for cell in cells {
                let value = match cell.states.get(state) {
                    Some(State::Min(value) | State::Max(value) | State::Value(value)) => value.as_ref(),
                    _ => None,
                };
                match value {
                    Some(value) => value.encode(column.kind, out),
                    None => absent(column.kind, partial).encode(column.kind, out),
                }
            }
        }
    }
}

fn encode_item(kind: Kind, state: &State, out: &mut Vec<u8>) {
    match state {
        State::List(list) if !list.is_empty() => list.encode(kind, out),
        State::Distinct(distinct) => distinct.encode(out),
        State::Digest(digest) => digest.encode(out),
        State::Min(Some(value)) | State::Max(Some(value)) | State::Value(Some(value)) => value.encode(kind, out),
        State::List(_) | State::Min(_) | State::Max(_) | State::Value(_) => {}
    }
}

/// What stands where a tile has no value: what changes no result.
fn absent(kind: Kind, partial: Partial) -> Scalar {
    Scalar::Word(match (partial, kind) {
        (Partial::Min, Kind::Int64) => i64::MAX.cast_unsigned(),
        (Partial::Max, Kind::Int64) => i64::MIN.cast_unsigned(),
        (Partial::Min | Partial::Max, _) => f64::NAN.to_bits(),
        _ => 0,
    })
}

fn put_u32(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_ends(out: &mut Vec<u8>, lengths: impl Iterator<Item = usize>) {
    let mut end = 0;
    for length in lengths {
        end += length;
        put_u32(out, end);
    }
}
