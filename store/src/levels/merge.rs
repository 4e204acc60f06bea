//! Sorted rows of several levels become one sequence: of each key the newest, or all combined.

use crate::{
    error::Error,
    limits::ROW_BYTES_MAX,
    overlay::{FrozenRows, key_and_time},
    plane::Combine,
    row::Row,
    table::{KeyHash, Table},
};

/// The rows of one level, in ascending order of their hashes under one seed.
pub(super) struct Source<'s> {
    rows: Rows<'s>,
    /// The row at hand.
    hash: Option<KeyHash>,
    row: Vec<u8>,
    key: std::ops::Range<usize>,
    event_time_us: i64,
}

enum Rows<'s> {
    Frozen(FrozenRows<'s>),
    Table { table: &'s Table, scan: Box<dyn Iterator<Item = Result<Row<'s>, crate::Corrupt>> + 's> },
}

impl<'s> Source<'s> {
    pub(super) fn frozen(rows: FrozenRows<'s>) -> Result<Self, Error> {
        Self::new(Rows::Frozen(rows))
    }

    /// Of a table that was opened to be scanned.
    pub(super) fn table(table: &'s Table) -> Result<Self, Error> {
        table.advise_scan()?;
        Self::new(Rows::Table { table, scan: Box::new(table.scan()) })
    }

    /// The row at hand, with its key's hash; `None` at the end.
    pub(super) fn row(&self) -> Option<(KeyHash, &[u8])> {
        Some((self.hash?, &self.row))
    }

    pub(super) fn advance(&mut self) -> Result<(), Error> {
        self.row.clear();
        self.hash = match &mut self.rows {
            Rows::Frozen(rows) => rows.next_row().map(|(hash, row)| {
                self.row.extend_from_slice(row);
                hash
            }),
            Rows::Table { table, scan } => match scan.next().transpose()? {
                Some(row) => {
                    self.row.extend_from_slice(row.encoded());
                    Some(table.hash(row.key()))
                }
                None => {
                    table.check_mapping()?; // or what was read may have been zeros
                    None
                }
            },
        };
        if self.hash.is_some() {
            let (head, key, event_time_us) = key_and_time(&self.row).ok_or(Error::NotARow)?;
            self.key = head.key();
            debug_assert_eq!(self.key.len(), key.len());
            self.event_time_us = event_time_us;
        }
        Ok(())
    }

    fn new(rows: Rows<'s>) -> Result<Self, Error> {
        let mut source = Self { rows, hash: None, row: Vec::new(), key: 0..0, event_time_us: 0 };
        source.advance()?;
        Ok(source)
    }

    fn key(&self) -> &[u8] {
        &self.row[self.key.clone()]
    }
}

/// How rows of a key become one.
#[derive(Clone, Copy)]
pub(super) struct Rule<'c> {
    /// Under which all sources are sorted.
    pub(super) seed: u64,
    /// With the time, microseconds since the Unix epoch; `None`: the newest counts, and nothing of the others.
    pub(super) combine: Option<(&'c dyn Combine, i64)>,
    /// Tombstones up to this event time are left out, with all that they hide.
    pub(super) tombstones_until_us: Option<i64>,
}

/// Hands one row of each key to `take`, in order. Upper levels come first. Two keys with one hash are [`Error::Reseed`].
pub(super) fn merge(
    sources: &mut [Source<'_>],
    rule: Rule<'_>,
    mut take: impl FnMut(KeyHash, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let (mut combined, mut spare) = (Vec::new(), Vec::new());
    while let Some(hash) = sources.iter().filter_map(|source| source.hash.map(|hash| hash.0)).min() {
        let hash = KeyHash(hash);
        let mut at_hand = sources.iter().filter(|source| source.hash == Some(hash));
        let Some(mut best) = at_hand.next() else { continue };
        combined.clear();
        for source in at_hand {
            if best.key() != source.key() {
                return Err(Error::Reseed { seed: rule.seed });
            }
            match rule.combine {
                None if source.event_time_us > best.event_time_us => best = source,
                None => {}
                Some((combine, now_us)) => {
                    let upper = if combined.is_empty() { &best.row } else { &combined };
                    spare.clear();
                    combine.combine(upper, &source.row, now_us, &mut spare)?;
                    // Longer than a row may be, it could be read by nobody: then what was written later is what stays.
                    if spare.len() <= ROW_BYTES_MAX {
                        std::mem::swap(&mut combined, &mut spare);
                    }
                }
            }
        }
        let row = if combined.is_empty() { &best.row } else { &combined };
        let (head, _, event_time_us) = key_and_time(row).ok_or(Error::NotARow)?;
        if !(head.is_tombstone && rule.tombstones_until_us.is_some_and(|until| event_time_us <= until)) {
            take(hash, row)?;
        }
        for source in sources.iter_mut().filter(|source| source.hash == Some(hash)) {
            source.advance()?;
        }
    }
    Ok(())
}
