//! Many sorted sources become one, and of each key the newest row remains.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
    fs::File,
    ops::Range,
};

use crate::{
    error::Error,
    row::{Row, RowLayout},
};

use super::{
    arena::{Entry, Rank},
    run::{Run, RunCursor},
    sink::{Resident, TOUCHED_AHEAD},
};

/// A place in sorted rows.
#[derive(Debug)]
pub(super) enum Source<'s> {
    Resident { resident: &'s Resident, entries: &'s [Entry], touched: usize },
    Run(RunCursor<'s>),
}

impl<'s> Source<'s> {
    /// The sorted rows in memory whose hashes are in `hashes`; `None` as the end is beyond the last hash.
    pub(super) fn resident(resident: &'s Resident, hashes: &Range<Option<u64>>) -> Self {
        let below = |hash: Option<u64>| {
            resident.entries.partition_point(|entry| hash.is_none_or(|hash| entry.rank.hash < hash))
        };
        let start = hashes.start.map_or(0, |hash| below(Some(hash)));
        Self::Resident { resident, entries: &resident.entries[start..below(hashes.end)], touched: 0 }
    }

    pub(super) fn run(run: &'s Run, file: &'s File, hashes: &Range<Option<u64>>) -> Result<Self, Error> {
        Ok(Self::Run(run.cursor(file, hashes.clone())?))
    }

    /// Of the row at hand; `None` at the end.
    #[inline]
    fn rank(&self) -> Option<Rank> {
        match self {
            Self::Resident { entries, .. } => Some(entries.first()?.rank),
            Self::Run(cursor) => cursor.rank(),
        }
    }

    #[inline]
    fn row(&mut self) -> &[u8] {
        match self {
            Self::Resident { resident, entries, touched } => {
                if *touched == 0 {
                    *touched = TOUCHED_AHEAD.min(entries.len());
                    resident.arena.touch(&entries[..*touched]);
                }
                resident.arena.row(entries[0].position)
            }
            Self::Run(cursor) => cursor.row(),
        }
    }

    #[inline]
    fn advance(&mut self) -> Result<(), Error> {
        match self {
            Self::Resident { entries, touched, .. } => {
                *entries = &entries[1..];
                *touched = touched.saturating_sub(1);
                Ok(())
            }
            Self::Run(cursor) => cursor.advance(),
        }
    }
}

/// Hands the rows of all sources to `take`, in order.
pub(super) fn merge(
    sources: &mut [Source<'_>],
    mut take: impl FnMut(Rank, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let ranks = sources.iter().enumerate().filter_map(|(index, source)| Some(Reverse((source.rank()?, index))));
    let mut heap: BinaryHeap<_> = ranks.collect();
    while let Some(mut first) = heap.peek_mut() {
        let Reverse((rank, index)) = *first;
        let source = &mut sources[index];
        take(rank, source.row())?;
        source.advance()?;
        match source.rank() {
            Some(rank) => *first = Reverse((rank, index)),
            None => drop(PeekMut::pop(first)),
        }
    }
    Ok(())
}

/// Tells the first row of each key, which is the newest, from the others. Rows come in order.
#[derive(Debug)]
pub(super) struct Newest<'l> {
    layout: &'l RowLayout,
    hash: Option<u64>,
    key: Vec<u8>,
}

/// What a row is among those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// The first with its hash.
    First,
    /// Of the same key as the one before it.
    Again,
    /// Of another key than the one before it, and yet of the same hash.
    Collides,
}

impl<'l> Newest<'l> {
    pub(super) fn new(layout: &'l RowLayout) -> Self {
        Self { layout, hash: None, key: Vec::new() }
    }

    #[inline]
    pub(super) fn see(&mut self, hash: u64, row: &[u8]) -> Result<Seen, Error> {
        let key = Row::parse(self.layout, row)?.key();
        let same_hash = self.hash.replace(hash) == Some(hash);
        if same_hash && self.key == key {
            return Ok(Seen::Again);
        }
        self.key.clear();
        self.key.extend_from_slice(key);
        Ok(if same_hash { Seen::Collides } else { Seen::First })
    }
}
