//! A view's aggregates: all rows of a key folded to values.

use gannet_engine::Now;
use gannet_store::{Corrupt, ValueRef};

use super::{
    batch::{Folding, Found, Unreadable},
    levels::{Level, Rows},
};
use crate::{
    aggregates::{Aggregates, Damaged, FoldOptions, Folded, Row, UncheckedRow},
    catalog::NamedTable,
    tecton::response::Outcome,
};

/// Rows of one key that count together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiles<'t> {
    /// `None`: there are none. Those written first are in front, and all from `start` on count.
    rows: Option<[Row<'t>; Level::ALL.len()]>,
    start: usize,
    /// One of them did not come in time, and without it nothing is right.
    is_late: bool,
}

impl<'t> Tiles<'t> {
    /// Finds them, from the upper level down to one that says that nothing below it counts.
    pub(super) fn find(
        rows: &impl Rows<'t>,
        view: usize,
        aggregates: &Aggregates,
        read_bytes: &mut u64,
    ) -> Result<Self, Unreadable> {
        let mut tiles = Self { rows: None, start: Level::ALL.len(), is_late: false };
        for level in Level::ALL {
            let row = match rows.at(view, level)? {
                Found::Row(row) => row,
                Found::Absent => continue,
                Found::Late => return Ok(Self { is_late: true, ..tiles }),
            };
            *read_bytes += row.bytes() as u64;
            if row.is_tombstone() {
                break;
            }
            let ValueRef::Binary(bytes) = row.value(0).map_err(Unreadable::Now)? else { continue };
            let found = aggregates.row(UncheckedRow::new(bytes)).map_err(unreadable)?;
            tiles.start -= 1;
            tiles.rows.get_or_insert([found; Level::ALL.len()])[tiles.start] = found;
            if found.begins_anew() {
                break;
            }
        }
        Ok(tiles)
    }

    pub(super) fn rows(&self) -> &[Row<'t>] {
        self.rows.as_ref().map_or(&[], |rows| &rows[self.start..])
    }
}

/// What became of a view's key, and of its values in `folded`: `false` if there are none.
pub(super) fn fold(
    now: Now,
    named: &NamedTable,
    aggregates: &Aggregates,
    folding: Folding,
    tiles: &Tiles<'_>,
    folded: &mut Folded,
) -> Result<(Outcome, bool), Unreadable> {
    if tiles.is_late {
        return Ok((Outcome::TimedOut, false));
    }
    let Folding { leading_edge, coerce_null_counts_to_zero } = folding;
    let moment_us = named.moment_us(now.unix_us, leading_edge);
    let options = FoldOptions { moment_us, coerce_null_counts_to_zero };
    let rows = tiles.rows();
    let lives_at_us = named.lives_at_us(now.unix_us);
    if rows.iter().any(|row| aggregates.is_live(row, lives_at_us)) {
        aggregates.fold(rows, options, folded).map_err(unreadable)?;
        let newest_us = || rows.iter().map(Row::newest_event_us).max().unwrap_or_default();
        let event_time_us = moment_us.map_or_else(newest_us, |at_us| aggregates.effective_time_us(at_us, rows));
        return Ok((Outcome::Present { event_time_us }, true));
    }
    // Counts of nothing are 0 for who asks for it, but for lists of counts: there is nothing that they could be of.
    let counts_nothing = coerce_null_counts_to_zero && !aggregates.is_grouped();
    if counts_nothing {
        aggregates.fold(&[], options, folded).map_err(unreadable)?;
    }
    Ok((if rows.is_empty() { Outcome::Missing } else { Outcome::Expired }, counts_nothing))
}

fn unreadable(damaged: Damaged) -> Unreadable {
    Unreadable::Now(Corrupt {
        file: "a row of tiles".to_owned(),
        offset: damaged.at as u64,
        expected: damaged.expected.to_owned(),
        found: "bytes that are none".to_owned(),
    })
}
