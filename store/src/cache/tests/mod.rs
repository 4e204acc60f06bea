//! What the cache promises: what is found is what was inserted (`model`), and what is wanted stays (`admission`).

use super::*;

mod admission;
mod model;
mod parts;

/// The bytes that the row of this id has, whoever inserts it.
fn row_of(id: RowId, row_bytes: usize) -> Vec<u8> {
    let first = id.segment.wrapping_mul(31).wrapping_add(u64::from(id.key));
    (0..row_bytes as u64).map(|at| (first.wrapping_add(at) % 251).to_le_bytes()[0]).collect()
}

fn id(start: u32) -> RowId {
    RowId { segment: 7, key: start }
}

/// Whether the row was there; it is afterwards, if the cache takes it.
fn ask(cache: &mut RowCache, id: RowId, row: &[u8]) -> bool {
    let found = cache.find(id);
    if let Some(place) = found {
        assert_eq!(cache.bytes(place), row);
    } else {
        cache.insert(id, row);
    }
    found.is_some()
}
