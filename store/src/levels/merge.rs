//! Sorted rows of several levels become one sequence, of each key the newest.

use crate::{
    error::Error,
    overlay::FrozenRows,
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
    is_tombstone: bool,
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
            let (head, key, event_time_us) = crate::overlay::key_and_time(&self.row).ok_or(Error::NotARow)?;
            self.key = head.key();
            debug_assert_eq!(self.key.len(), key.len());
            (self.event_time_us, self.is_tombstone) = (event_time_us, head.is_tombstone);
        }
        Ok(())
    }

    fn new(rows: Rows<'s>) -> Result<Self, Error> {
        let mut source = Self { rows, hash: None, row: Vec::new(), key: 0..0, event_time_us: 0, is_tombstone: false };
        source.advance()?;
        Ok(source)
    }

    fn key(&self) -> &[u8] {
        &self.row[self.key.clone()]
    }
}

/// Hands the newest row of each key to `take`, in order, but for tombstones up to `tombstones_until_us`, which are left out with all
/// that they hide. Upper levels come first. Two keys with one hash are [`Error::Reseed`].
pub(super) fn merge(
    sources: &mut [Source<'_>],
    seed: u64,
    tombstones_until_us: Option<i64>,
    mut take: impl FnMut(KeyHash, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    while let Some(hash) = sources.iter().filter_map(|source| source.hash.map(|hash| hash.0)).min() {
        let at_hand = |source: &Source<'_>| source.hash == Some(KeyHash(hash));
        let mut newest: Option<usize> = None;
        for (at, source) in sources.iter().enumerate().filter(|(_, source)| at_hand(source)) {
            let Some(best) = newest.map(|best| &sources[best]) else {
                newest = Some(at);
                continue;
            };
            if best.key() != source.key() {
                return Err(Error::Reseed { seed });
            }
            if source.event_time_us > best.event_time_us {
                newest = Some(at);
            }
        }
        if let Some(best) = newest.map(|best| &sources[best])
            && !(best.is_tombstone && tombstones_until_us.is_some_and(|until| best.event_time_us <= until))
        {
            take(KeyHash(hash), &best.row)?;
        }
        for source in sources.iter_mut().filter(|source| source.hash == Some(KeyHash(hash))) {
            source.advance()?;
        }
    }
    Ok(())
}
