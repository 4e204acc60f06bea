//! Single events, for continuous windows: every value by itself.
//!
//! An event in two rows is one event, and the later row has it: events are told apart by their times.

use std::ops::Range;

use super::{Fold, Item, integer, spread, value};
use crate::aggregates::{
    function::Function,
    partial::{Kind, Partial},
    row::{Damaged, Row, is_better},
    sketch::{Digest, Distinct},
};

impl Fold<'_, '_> {
    /// Calls `take` with row, event and the place of the value for each event that has one, in no particular order.
    pub(super) fn each_event(&self, mut take: impl FnMut(usize, &Row<'_>, usize, Range<usize>)) -> Result<(), Damaged> {
        let Some(array) = self.column.array(Partial::Value) else { return Ok(()) };
        for (at, row, events) in self.each() {
            let counts = row.counts(self.column.first_array, events.clone());
            for (position, event) in events.enumerate() {
                if counts.at(position) > 0 && !self.is_replaced(at, row.number(event)) {
                    take(at, row, event, row.value(array, event, self.column.kind.fixed_bytes())?);
                }
            }
        }
        Ok(())
    }

    /// Whether a later row has an event of this time.
    fn is_replaced(&self, row: usize, time: i64) -> bool {
        let later = self.parts.iter().filter(|part| part.row > row);
        later.into_iter().any(|part| self.rows[part.row].has(part.tiles.clone(), time))
    }

    /// How many events have a value.
    pub(super) fn count_events(&self) -> u64 {
        let mut count = 0;
        for (at, row, events) in self.each() {
            let counts = row.counts(self.column.first_array, events.clone());
            let alone = self.parts.iter().all(|part| part.row <= at);
            let live = |(position, event): &(usize, usize)| {
                counts.at(*position) > 0 && (alone || !self.is_replaced(at, row.number(*event)))
            };
            count += events.enumerate().filter(live).count() as u64;
        }
        count
    }

    /// Folds events; `None` if an integer's sum does not fit.
    pub(super) fn events(&self, function: Function, count: u64) -> Result<Option<Item>, Damaged> {
        if let Some(values) = self.plain(count)
            && let Some(folded) = self.plain_events(function, count, values)?
        {
            return Ok(folded);
        }
        self.any_events(function, count)
    }

    /// The array of values, if it holds nothing else: one row's numbers of 8 bytes, none of them null.
    fn plain(&self, count: u64) -> Option<usize> {
        let [part] = self.parts else { return None };
        let plain = matches!(self.column.kind, Kind::Int64 | Kind::Float64) && part.tiles.len() as u64 == count;
        self.column.array(Partial::Value).filter(|_| plain)
    }

    /// Folds them as if they were partials of tiles; `None` for functions that need more.
    fn plain_events(&self, function: Function, count: u64, values: usize) -> Result<Option<Option<Item>>, Damaged> {
        let mean = || self.sum(values) / count as f64;
        Ok(Some(match function {
            Function::Sum => self.total(values),
            Function::Mean => Some(Item::Float64(mean())),
            Function::Min => Some(self.extreme(values, false)?),
            Function::Max => Some(self.extreme(values, true)?),
            Function::VarSamp | Function::VarPop | Function::StddevSamp | Function::StddevPop => {
                Some(spread(function, self.squares_of(values, mean()), count))
            }
            _ => return Ok(None),
        }))
    }

    fn any_events(&self, function: Function, count: u64) -> Result<Option<Item>, Damaged> {
        let kind = self.column.kind;
        let (mut integers, mut floats) = (0i128, 0.0);
        let number = |item: Item| match item {
            Item::Int64(value) => value as f64,
            Item::Float32(value) => f64::from(value),
            Item::Float64(value) => value,
            _ => 0.0,
        };
        let mean = |integers: i128, floats: f64| match kind {
            Kind::Int64 => integers as f64 / count as f64,
            _ => floats / count as f64,
        };
        let mut add = |item: Item| match item {
            Item::Int64(value) => integers += i128::from(value),
            other => floats += number(other),
        };
        Ok(Some(match function {
            Function::Count => integer(count),
            Function::Sum => {
                self.each_event(|at, row, _, range| add(value(row, at, &range, kind)))?;
                if kind == Kind::Int64 {
                    return Ok(i64::try_from(integers).ok().map(Item::Int64));
                }
                Item::Float64(floats)
            }
            Function::Mean => {
                self.each_event(|at, row, _, range| add(value(row, at, &range, kind)))?;
                Item::Float64(mean(integers, floats))
            }
            Function::VarSamp | Function::VarPop | Function::StddevSamp | Function::StddevPop => {
                self.each_event(|at, row, _, range| add(value(row, at, &range, kind)))?;
                let (mean, mut squares) = (mean(integers, floats), 0.0);
                self.each_event(|at, row, _, range| {
                    let apart = number(value(row, at, &range, kind)) - mean;
                    squares += apart * apart;
                })?;
                spread(function, squares, count)
            }
            Function::Min => self.extreme_event(false)?,
            Function::Max => self.extreme_event(true)?,
            Function::ApproxCountDistinct { precision } => {
                let mut distinct = Distinct::new(precision);
                self.each_event(|at, row, _, range| match value(row, at, &range, kind) {
                    Item::Int64(value) => distinct.add_integer(value),
                    _ => distinct.add_bytes(row.bytes(range)),
                })?;
                Item::Int64(distinct.estimate())
            }
            Function::ApproxPercentile { percentile, precision } => {
                let mut digest = Digest::new(precision);
                self.each_event(|at, row, _, range| digest.add(number(value(row, at, &range, kind))))?;
                digest.quantile(percentile.share()).map_or(Item::Null, Item::Float64)
            }
            _ => Item::Null, // lists are folded by themselves
        }))
    }

    fn extreme_event(&self, larger: bool) -> Result<Item, Damaged> {
        let mut best: Option<(usize, Range<usize>)> = None;
        self.each_event(|at, row, _, range| {
            let better = best.as_ref().is_none_or(|(best_row, best)| {
                let best = self.rows[*best_row].bytes(best.clone());
                is_better(self.column.kind, row.bytes(range.clone()), best, larger)
            });
            if better {
                best = Some((at, range));
            }
        })?;
        Ok(best.map_or(Item::Null, |(at, range)| value(&self.rows[at], at, &range, self.column.kind)))
    }
}
