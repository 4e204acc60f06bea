//! The newest and oldest values.

use super::{Fold, Item, Row, list, value};
use crate::aggregates::{
    function::Function,
    partial::{End, ListKind},
    row::{Damaged, ListRef},
};

/// A value that may be among those asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    time_us: i64,
    /// Of equal times: what comes before, in the order of a list.
    order: u64,
    value: Item,
}

impl Fold<'_, '_> {
    /// From lists of tiles. Tiles of a part follow each other in time, so the first ones from the right end give enough.
    pub(super) fn list(
        &self,
        function: Function,
        asked: ListKind,
        candidates: &mut Vec<Candidate>,
        elements: &mut Vec<Item>,
    ) -> Result<Item, Damaged> {
        let Some((stored, array)) = self.column.list(asked) else { return Ok(Item::Null) };
        candidates.clear();
        for (at, row, mut tiles) in self.each() {
            let mut found = Found::new(candidates.len());
            while !found.is_enough(asked, candidates, self.rows) {
                let tile = match asked.end {
                    End::Last => tiles.next_back(),
                    End::First => tiles.next(),
                };
                let Some(tile) = tile else { break };
                let values = ListRef::read(row, row.item(array, tile)?, stored, self.column.kind)?;
                for position in 0..values.len() {
                    let value = value(row, at, &values.value(position)?, self.column.kind);
                    candidates.push(candidate(values.time_us(position), asked.end, at, position, value));
                }
            }
        }
        Ok(self.choose(function, asked, candidates, elements))
    }

    /// From single events.
    pub(super) fn list_of_events(
        &self,
        function: Function,
        asked: ListKind,
        candidates: &mut Vec<Candidate>,
        elements: &mut Vec<Item>,
    ) -> Result<Item, Damaged> {
        candidates.clear();
        self.each_event(|at, row, tile, range| {
            let value = value(row, at, &range, self.column.kind);
            candidates.push(candidate(row.number(tile), asked.end, at, 0, value));
        })?;
        Ok(self.choose(function, asked, candidates, elements))
    }

    fn choose(
        &self,
        function: Function,
        asked: ListKind,
        candidates: &mut Vec<Candidate>,
        elements: &mut Vec<Item>,
    ) -> Item {
        if asked.distinct {
            keep_distinct(asked.end, candidates, 0, self.rows);
        }
        candidates.sort_unstable_by_key(|candidate| (candidate.time_us, candidate.order));
        let length = usize::from(asked.length).min(candidates.len());
        let chosen = match asked.end {
            End::Last => &candidates[candidates.len() - length..],
            End::First => &candidates[..length],
        };
        if matches!(function, Function::Last | Function::First) {
            return chosen.first().map_or(Item::Null, |candidate| candidate.value);
        }
        let start = elements.len();
        elements.extend(chosen.iter().map(|candidate| candidate.value));
        list(start, elements.len())
    }
}

/// Of equal times, later rows are nearer to the list's end of time, and a list's own order holds within a row.
fn candidate(time_us: i64, end: End, row: usize, position: usize, value: Item) -> Candidate {
    let (row, position) = (u32::try_from(row).unwrap_or(u32::MAX), u32::try_from(position).unwrap_or(u32::MAX));
    let row = match end {
        End::Last => row,
        End::First => u32::MAX - row,
    };
    Candidate { time_us, order: u64::from(row) << 32 | u64::from(position), value }
}

/// How far the candidates of one part have come.
struct Found {
    start: usize,
    /// When there are so many, it pays to look how many of them are different.
    look_at: usize,
}

impl Found {
    fn new(start: usize) -> Self {
        Self { start, look_at: 0 }
    }

    fn is_enough(&mut self, asked: ListKind, candidates: &mut Vec<Candidate>, rows: &[Row<'_>]) -> bool {
        let length = usize::from(asked.length);
        if candidates.len() - self.start < length.max(self.look_at) {
            return false;
        }
        if !asked.distinct {
            return true;
        }
        keep_distinct(asked.end, candidates, self.start, rows);
        let different = candidates.len() - self.start;
        self.look_at = different + length;
        different >= length
    }
}

/// Of equal values from `start` on, keeps the one nearest to the list's end of time.
fn keep_distinct(end: End, candidates: &mut Vec<Candidate>, start: usize, rows: &[Row<'_>]) {
    candidates[start..].sort_unstable_by(|one, other| {
        let moments = (one.time_us, one.order).cmp(&(other.time_us, other.order));
        let nearest_first = if end == End::Last { moments.reverse() } else { moments };
        compare(one.value, other.value, rows).then(nearest_first)
    });
    let mut kept = start;
    for at in start..candidates.len() {
        let candidate = candidates[at];
        let same = kept > start && compare(candidates[kept - 1].value, candidate.value, rows).is_eq();
        if !same {
            candidates[kept] = candidate;
            kept += 1;
        }
    }
    candidates.truncate(kept);
}

fn compare(one: Item, other: Item, rows: &[Row<'_>]) -> std::cmp::Ordering {
    match (one, other) {
        (Item::Int64(one), Item::Int64(other)) => one.cmp(&other),
        _ => super::Folded::bytes(one, rows).cmp(super::Folded::bytes(other, rows)),
    }
}
