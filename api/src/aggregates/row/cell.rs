//! What is known of one column in one tile, while a row is built.

use super::{
    builder::Input,
    list::{List, Scalar},
    view::{Damaged, Row},
};
use crate::aggregates::{
    partial::{ColumnShape, Kind, Partial},
    sketch::{Digest, Distinct},
};

/// One column of one tile.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) count: u64,
    pub(super) sum: Sum,
    pub(super) squares: f64,
    /// Of the other partials, in the order of the shape.
    pub(super) states: Vec<State>,
}

/// A sum: exact for integers, whatever the order and however large on the way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Sum {
    Int(i128),
    Float(f64),
}

#[derive(Debug, Clone)]
pub(super) enum State {
    Min(Option<Scalar>),
    Max(Option<Scalar>),
    List(List),
    Distinct(Distinct),
    Digest(Box<Digest>),
    Value(Option<Scalar>),
}

impl Cell {
    pub(super) fn new(column: &ColumnShape) -> Self {
        let state = |partial: &Partial| {
            Some(match *partial {
                Partial::Count | Partial::Sum | Partial::Squares => return None,
                Partial::Min => State::Min(None),
                Partial::Max => State::Max(None),
                Partial::List(kind) => State::List(List::new(kind)),
                Partial::Distinct(precision) => State::Distinct(Distinct::new(precision)),
                Partial::Digest(precision) => State::Digest(Box::new(Digest::new(precision))),
                Partial::Value => State::Value(None),
            })
        };
        let sum = if column.kind == Kind::Int64 { Sum::Int(0) } else { Sum::Float(0.0) };
        Self { count: 0, sum, squares: 0.0, states: column.partials.iter().filter_map(state).collect() }
    }

    /// Takes in a value that was written after all others.
    pub(super) fn add(&mut self, kind: Kind, time_us: i64, value: Input<'_>) {
        let Some(scalar) = scalar(kind, value) else { return };
        let number = number(value);
        let mean_before = self.mean();
        self.count = self.count.saturating_add(1);
        match (&mut self.sum, value) {
            (Sum::Int(sum), Input::Int64(value)) => *sum = sum.saturating_add(i128::from(value)),
            (Sum::Float(sum), _) => *sum += number,
            (Sum::Int(_), _) => {}
        }
        // Welford: the first value is its own mean.
        self.squares += if self.count == 1 { 0.0 } else { (number - mean_before) * (number - self.mean()) };
        for state in &mut self.states {
            match state {
                State::Min(best) => replace(best, kind, &scalar, false),
                State::Max(best) => replace(best, kind, &scalar, true),
                State::List(list) => list.add(time_us, scalar.clone()),
                State::Distinct(distinct) => match value {
                    Input::Int64(value) => distinct.add_integer(value),
                    Input::Bytes(bytes) => distinct.add_bytes(bytes),
                    _ => {}
                },
                State::Digest(digest) => digest.add(number),
                State::Value(kept) => *kept = Some(scalar.clone()),
            }
        }
    }

    /// Takes in a cell of which everything was written after everything here.
    pub(super) fn absorb(&mut self, kind: Kind, later: Self) {
        self.squares = match (self.count, later.count) {
            (0, _) => later.squares,
            (_, 0) => self.squares,
            (one, other) => {
                // Chan's rule for two sets with means of their own.
                let (one, other, apart) = (one as f64, other as f64, later.mean() - self.mean());
                self.squares + later.squares + apart * apart * (one * other / (one + other))
            }
        };
        self.count = self.count.saturating_add(later.count);
        match (&mut self.sum, later.sum) {
            (Sum::Int(sum), Sum::Int(later)) => *sum = sum.saturating_add(later),
            (Sum::Float(sum), Sum::Float(later)) => *sum += later,
            _ => {}
        }
        for (state, later) in self.states.iter_mut().zip(later.states) {
            match (state, later) {
                (State::Min(best), State::Min(Some(later))) => replace(best, kind, &later, false),
                (State::Max(best), State::Max(Some(later))) => replace(best, kind, &later, true),
                (State::List(list), State::List(later)) => list.absorb(later),
                (State::Distinct(distinct), State::Distinct(later)) => distinct.absorb(&later),
                (State::Digest(digest), State::Digest(later)) => digest.merge(&later),
                (State::Value(kept), State::Value(later)) => *kept = later,
                _ => {}
            }
        }
    }

    fn mean(&self) -> f64 {
        let sum = match self.sum {
            Sum::Int(sum) => sum as f64,
            Sum::Float(sum) => sum,
        };
        sum / self.count as f64
    }

    /// The cell of a tile in a row.
    pub(super) fn decode(column: &ColumnShape, row: &Row<'_>, tile: usize) -> Result<Self, Damaged> {
        let mut cell = Self::new(column);
        let mut states = cell.states.iter_mut();
        for (position, partial) in column.partials.iter().enumerate() {
            let array = column.first_array + position;
            let word = |bytes: usize| Scalar::decode(Kind::Int64, row.fixed(array, tile, bytes));
            match partial {
                Partial::Count => cell.count = row.counts(array, tile..tile + 1).at(0),
                Partial::Sum => match &mut cell.sum {
                    Sum::Int(sum) => *sum = row.wide_integer(array, tile),
                    Sum::Float(sum) => *sum = row.float(array, tile),
                },
                Partial::Squares => cell.squares = row.float(array, tile),
                _ => {
                    let Some(state) = states.next() else { break };
                    let single = || match (cell.count, column.kind.fixed_bytes()) {
                        (0, _) => Ok(None),
                        (_, Some(_)) => Ok(Some(word(row.width(array)))),
                        (_, None) => Ok(Some(Scalar::decode(column.kind, row.bytes(row.item(array, tile)?)))),
                    };
                    match state {
                        State::Min(value) | State::Max(value) | State::Value(value) => *value = single()?,
                        State::List(list) => {
                            let Partial::List(kind) = *partial else { continue };
                            *list = List::decode(kind, column.kind, row, row.item(array, tile)?)?;
                        }
                        State::Distinct(distinct) => {
                            distinct.merge(Distinct::read(row, row.item(array, tile)?, distinct.precision())?);
                        }
                        State::Digest(digest) => {
                            **digest = Digest::read(row, row.item(array, tile)?, digest.precision())?;
                        }
                    }
                }
            }
        }
        Ok(cell)
    }
}

/// The value, if it is one: `None` for null.
fn scalar(kind: Kind, value: Input<'_>) -> Option<Scalar> {
    let scalar = match (kind, value) {
        (_, Input::Null) => return None,
        (Kind::Boolean, Input::Boolean(value)) => Scalar::Word(u64::from(value)),
        (Kind::Int64, Input::Int64(value)) => Scalar::Word(value.cast_unsigned()),
        (Kind::Float32, Input::Float32(value)) => Scalar::Word(u64::from(value.to_bits())),
        (Kind::Float64, Input::Float64(value)) => Scalar::Word(value.to_bits()),
        (Kind::Bytes, Input::Bytes(value)) => Scalar::Bytes(value.into()),
        (kind, value) => panic!("a column of {kind:?} was given {value:?}"),
    };
    Some(scalar)
}

fn number(value: Input<'_>) -> f64 {
    match value {
        Input::Int64(value) => value as f64,
        Input::Float32(value) => f64::from(value),
        Input::Float64(value) => value,
        Input::Null | Input::Boolean(_) | Input::Bytes(_) => 0.0,
    }
}

fn replace(best: &mut Option<Scalar>, kind: Kind, value: &Scalar, larger: bool) {
    let better = match (&*best, value) {
        (None, _) => true,
        (Some(Scalar::Word(best)), Scalar::Word(value)) => {
            is_better(kind, &value.to_le_bytes(), &best.to_le_bytes(), larger)
        }
        (Some(Scalar::Bytes(best)), Scalar::Bytes(value)) => is_better(kind, value, best, larger),
        _ => false,
    };
    if better {
        *best = Some(value.clone());
    }
}

/// Whether a value takes the place of what was the smallest, or largest, so far. NaN is neither, beside a number.
pub(in crate::aggregates) fn is_better(kind: Kind, value: &[u8], best: &[u8], larger: bool) -> bool {
    let word = |bytes: &[u8]| bytes.first_chunk::<8>().copied().unwrap_or_default();
    match kind {
        Kind::Int64 => {
            let (value, best) = (i64::from_le_bytes(word(value)), i64::from_le_bytes(word(best)));
            if larger { value > best } else { value < best }
        }
        Kind::Float64 => {
            let (value, best) = (f64::from_le_bytes(word(value)), f64::from_le_bytes(word(best)));
            best.is_nan() || if larger { value > best } else { value < best }
        }
        Kind::Bytes => {
            if larger {
                value > best
            } else {
                value < best
            }
        }
        Kind::Boolean | Kind::Float32 => false,
    }
}
