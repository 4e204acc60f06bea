//! Values at a moment: tiles, or events, of one key's rows folded for each window.
//!
//! Nothing here allocates once a [`Folded`] has grown, but for sketches.

mod extremes;
mod lists;
mod numbers;
mod single;
mod sketches;

use std::ops::Range;

use super::{
    compiled::{Aggregates, Source},
    function::Function,
    partial::{ColumnShape, Kind, Partial},
    row::{Damaged, Row},
    window::Grid,
};
use lists::Candidate;

/// A value: of a feature, or of an element of a list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Item {
    Null,
    Boolean(bool),
    Int64(i64),
    Float32(f32),
    Float64(f64),
    /// Bytes of a row: see [`Folded::bytes`].
    Bytes {
        row: u32,
        start: u32,
        end: u32,
    },
    /// Elements: see [`Folded::elements`].
    List {
        start: u32,
        end: u32,
    },
}

/// How to fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoldOptions {
    /// When windows are taken: see [`super::LeadingEdge::moment_us`]. `None`: all are empty.
    pub moment_us: Option<i64>,
    /// A count of nothing is 0 instead of null.
    pub coerce_null_counts_to_zero: bool,
}

/// Results, in memory that is used again.
#[derive(Debug, Clone, Default)]
pub struct Folded {
    values: Vec<Item>,
    elements: Vec<Item>,
    /// Sums of integers that do not fit 64 bits and are null therefore.
    overflows: u64,
    scratch: Scratch,
}

#[derive(Debug, Clone, Default)]
struct Scratch {
    /// What counts for the window at hand, for one group after the other.
    parts: Vec<Part>,
    /// Where each group's parts end.
    groups: Vec<usize>,
    candidates: Vec<Candidate>,
}

/// Tiles of one row that count.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    row: usize,
    group: usize,
    tiles: Range<usize>,
}

/// What one value is folded of.
#[derive(Debug, Clone, Copy)]
struct Fold<'f, 'r> {
    rows: &'f [Row<'r>],
    parts: &'f [Part],
    column: &'f ColumnShape,
}

impl Folded {
    /// The value of each feature, in the view's order.
    pub fn values(&self) -> &[Item] {
        &self.values
    }

    /// The elements of a list; of anything else none.
    pub fn elements(&self, list: Item) -> &[Item] {
        match list {
            Item::List { start, end } => self.elements.get(start as usize..end as usize).unwrap_or_default(),
            _ => &[],
        }
    }

    /// The bytes of an item, out of the rows that were folded; of anything else none.
    pub fn bytes<'r>(item: Item, rows: &[Row<'r>]) -> &'r [u8] {
        match item {
            Item::Bytes { row, start, end } => {
                rows.get(row as usize).map_or(&[], |row| row.bytes(start as usize..end as usize))
            }
            _ => &[],
        }
    }

    /// How many sums were null because 64 bits do not hold them.
    pub fn overflows(&self) -> u64 {
        self.overflows
    }
}

impl Aggregates {
    /// Folds all that there is of a key: rows in the order in which they were written, the batch's before the stream's. At most
    /// [`super::limits::ROWS_FOLDED_MAX`].
    pub fn fold(&self, rows: &[Row<'_>], options: FoldOptions, folded: &mut Folded) -> Result<(), Damaged> {
        assert!(rows.len() <= super::limits::ROWS_FOLDED_MAX, "{} rows", rows.len());
        folded.values.clear();
        folded.values.resize(self.sources.len(), Item::Null);
        folded.elements.clear();
        folded.overflows = 0;
        for window in 0..self.windows.len() {
            self.select(rows, window, options.moment_us, &mut folded.scratch);
            for (feature, source) in self.sources.iter().enumerate() {
                if source.window == window {
                    folded.values[feature] = match self.shape.grouped {
                        true => self.fold_groups(rows, *source, options, folded)?,
                        false => self.fold_group(rows, 0, *source, options, folded)?,
                    };
                }
            }
        }
        Ok(())
    }

    /// Finds what counts for a window, by group.
    fn select(&self, rows: &[Row<'_>], window: usize, moment_us: Option<i64>, scratch: &mut Scratch) {
        scratch.parts.clear();
        scratch.groups.clear();
        if let Some(moment_us) = moment_us {
            let span = self.shape.grid.span(self.windows[window], moment_us, self.lifetime_start_us);
            for (at, row) in rows.iter().enumerate() {
                for group in 0..row.groups() {
                    let (past, tiles) = row.within(group, span);
                    let past = past.map(|past| past..past + 1);
                    let parts = past.into_iter().chain([tiles]).filter(|tiles| !tiles.is_empty());
                    scratch.parts.extend(parts.map(|tiles| Part { row: at, group, tiles }));
                }
            }
        }
        if !self.shape.grouped {
            scratch.groups.push(scratch.parts.len());
            return;
        }
        let key = |part: &Part| rows[part.row].key(part.group);
        let order = |part: &Part| (part.row, part.tiles.start);
        scratch.parts.sort_unstable_by(|one, other| key(one).cmp(key(other)).then(order(one).cmp(&order(other))));
        let parts = &scratch.parts;
        scratch
            .groups
            .extend((1..=parts.len()).filter(|end| *end == parts.len() || key(&parts[*end - 1]) != key(&parts[*end])));
    }

    /// A list of a value for each secondary key, or of the keys.
    fn fold_groups(
        &self,
        rows: &[Row<'_>],
        source: Source,
        options: FoldOptions,
        folded: &mut Folded,
    ) -> Result<Item, Damaged> {
        // Elements that are lists themselves put theirs behind the places of these.
        let (start, groups) = (folded.elements.len(), folded.scratch.groups.len());
        folded.elements.resize(start + groups, Item::Null);
        for group in 0..groups {
            folded.elements[start + group] = self.fold_group(rows, group, source, options, folded)?;
        }
        Ok(list(start, start + groups))
    }

    fn fold_group(
        &self,
        rows: &[Row<'_>],
        group: usize,
        source: Source,
        options: FoldOptions,
        folded: &mut Folded,
    ) -> Result<Item, Damaged> {
        let Folded { elements, overflows, scratch, .. } = folded;
        let start = group.checked_sub(1).map_or(0, |before| scratch.groups[before]);
        let parts = &scratch.parts[start..scratch.groups[group]];
        let Some((column, function)) = source.folded else {
            return Ok(parts.first().map_or(Item::Null, |part| bytes(part.row, &rows[part.row].key_range(part.group))));
        };
        let fold = Fold { rows, parts, column: &self.shape.columns[column] };
        let count = match self.shape.grid {
            Grid::Tiles { .. } => fold.count(),
            Grid::Events => fold.count_events(),
        };
        if count == 0 {
            let zero = function == Function::Count && options.coerce_null_counts_to_zero;
            return Ok(if zero { Item::Int64(0) } else { Item::Null });
        }
        if let Some(kind) = function.list() {
            return match self.shape.grid {
                Grid::Tiles { .. } => fold.list(function, kind, &mut scratch.candidates, elements),
                Grid::Events => fold.list_of_events(function, kind, &mut scratch.candidates, elements),
            };
        }
        let value = match self.shape.grid {
            Grid::Tiles { .. } => fold.tiles(function, count)?,
            Grid::Events => fold.events(function, count)?,
        };
        Ok(value.unwrap_or_else(|| {
            *overflows += 1;
            Item::Null
        }))
    }
}

impl<'r> Fold<'_, 'r> {
    /// Folds tiles; `None` if an integer's sum does not fit.
    fn tiles(&self, function: Function, count: u64) -> Result<Option<Item>, Damaged> {
        let array = |partial: Partial| self.column.array(partial).unwrap_or_default(); // the shape has what its functions need
        Ok(Some(match function {
            Function::Count => integer(count),
            Function::Sum => return Ok(self.total(array(Partial::Sum))),
            Function::Mean => Item::Float64(self.sum(array(Partial::Sum)) / count as f64),
            Function::Min => self.extreme(array(Partial::Min), false)?,
            Function::Max => self.extreme(array(Partial::Max), true)?,
            Function::VarSamp | Function::VarPop | Function::StddevSamp | Function::StddevPop => {
                spread(function, self.squares(count), count)
            }
            Function::ApproxCountDistinct { precision } => self.distinct(precision)?,
            Function::ApproxPercentile { percentile, precision } => self.percentile(percentile.share(), precision)?,
            _ => Item::Null, // lists are folded by themselves
        }))
    }

    /// A sum as it is served; `None` if it does not fit.
    fn total(&self, array: usize) -> Option<Item> {
        match self.column.kind {
            Kind::Int64 => i64::try_from(self.sum_integers(array)).ok().map(Item::Int64),
            _ => Some(Item::Float64(self.sum(array))),
        }
    }

    /// The row and the tiles of each part.
    fn each(&self) -> impl Iterator<Item = (usize, &Row<'r>, Range<usize>)> {
        self.parts.iter().map(|part| (part.row, &self.rows[part.row], part.tiles.clone()))
    }
}

/// Variance or standard deviation from the squared distances of so many values.
fn spread(function: Function, squares: f64, count: u64) -> Item {
    let degrees = match function {
        Function::VarSamp | Function::StddevSamp => count - 1,
        _ => count,
    };
    if degrees == 0 {
        return Item::Null;
    }
    let variance = squares / degrees as f64;
    let variance = if variance < 0.0 { 0.0 } else { variance };
    Item::Float64(match function {
        Function::StddevSamp | Function::StddevPop => variance.sqrt(),
        _ => variance,
    })
}

fn integer(count: u64) -> Item {
    Item::Int64(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Rows are at most 2²⁰ bytes, and lists at most 1000 long: places fit 32 bits.
fn place(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

fn list(start: usize, end: usize) -> Item {
    Item::List { start: place(start), end: place(end) }
}

fn bytes(row: usize, range: &Range<usize>) -> Item {
    Item::Bytes { row: place(row), start: place(range.start), end: place(range.end) }
}

/// A value of a row, of a column of this kind.
fn value(row: &Row<'_>, at: usize, range: &Range<usize>, kind: Kind) -> Item {
    let mut word = [0; 8];
    if kind != Kind::Bytes {
        word.iter_mut().zip(row.bytes(range.clone())).for_each(|(to, from)| *to = *from);
    }
    let [b0, b1, b2, b3, ..] = word;
    match kind {
        Kind::Boolean => Item::Boolean(b0 != 0),
        Kind::Int64 => Item::Int64(i64::from_le_bytes(word)),
        Kind::Float32 => Item::Float32(f32::from_le_bytes([b0, b1, b2, b3])),
        Kind::Float64 => Item::Float64(f64::from_le_bytes(word)),
        Kind::Bytes => bytes(at, range),
    }
}
