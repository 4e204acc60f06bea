//! What is kept of each tile: the partial results that the aggregations of a view share.
//!
//! ```text
//! column   count | sum | squares | min | max | lists … | sketches …      tiles
//!          count | value                                                 single events
//! ```
//! The count, of values that are not null, is always there: it says whether a tile has any.

use gannet_store::ColumnType;

use super::{function::Function, window::Grid};

/// One partial result of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Partial {
    Count,
    Sum,
    /// Sum of the squared distances from the tile's mean.
    Squares,
    Min,
    Max,
    List(ListKind),
    /// Of this precision.
    Distinct(u8),
    Digest(u16),
    /// The value of a single event.
    Value,
}

/// Which values a list keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ListKind {
    pub(super) end: End,
    pub(super) distinct: bool,
    pub(super) length: u16,
}

/// From which end of time a list is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    First,
    Last,
}

/// What values are, as far as folding them goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Int64,
    Float32,
    Float64,
    /// Texts, and what is encoded by others.
    Bytes,
}

/// A column and what is kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ColumnShape {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// In order; their arrays stand one after the other in a row.
    pub(super) partials: Vec<Partial>,
    pub(super) first_array: usize,
}

/// What the rows of a view hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) grid: Grid,
    pub(super) grouped: bool,
    pub(super) columns: Vec<ColumnShape>,
    pub(super) arrays: u16,
    /// Rows name the shape they have by this.
    pub(super) fingerprint: u32,
}

impl Kind {
    pub(super) fn of(column_type: &ColumnType) -> Self {
        match column_type {
            ColumnType::Boolean => Self::Boolean,
            ColumnType::Int64 | ColumnType::Timestamp => Self::Int64,
            ColumnType::Float32 => Self::Float32,
            ColumnType::Float64 => Self::Float64,
            ColumnType::String
            | ColumnType::Binary
            | ColumnType::Array(_)
            | ColumnType::Struct(_)
            | ColumnType::Map(_) => Self::Bytes,
        }
    }

    /// The size of every value, if they have one size.
    pub(super) fn fixed_bytes(self) -> Option<usize> {
        match self {
            Self::Boolean => Some(1),
            Self::Float32 => Some(4),
            Self::Int64 | Self::Float64 => Some(8),
            Self::Bytes => None,
        }
    }
}

impl Partial {
    /// Sizes that an item of the partial's array may have; empty if each has its own.
    pub(super) fn widths(self, kind: Kind) -> &'static [usize] {
        match (self, kind) {
            (Self::Count, _) => &[1, 4, 8],
            (Self::Sum, Kind::Int64) => &[8, 16],
            (Self::Sum | Self::Squares, _) => &[8],
            (Self::List(_) | Self::Distinct(_) | Self::Digest(_), _)
            | (Self::Min | Self::Max | Self::Value, Kind::Bytes) => &[],
            (Self::Min | Self::Max, _) | (Self::Value, Kind::Int64 | Kind::Float64) => &[8],
            (Self::Value, Kind::Float32) => &[4],
            (Self::Value, Kind::Boolean) => &[1],
        }
    }
}

impl Function {
    /// What a tile has to hold for it, beside the count.
    fn needs(self) -> &'static [Partial] {
        match self {
            Self::Count => &[],
            Self::Sum | Self::Mean => &[Partial::Sum],
            Self::VarSamp | Self::VarPop | Self::StddevSamp | Self::StddevPop => &[Partial::Sum, Partial::Squares],
            Self::Min => &[Partial::Min],
            Self::Max => &[Partial::Max],
            Self::Last
            | Self::First
            | Self::LastN(_)
            | Self::FirstN(_)
            | Self::LastDistinct(_)
            | Self::FirstDistinct(_) => &[],
            Self::ApproxCountDistinct { .. } | Self::ApproxPercentile { .. } => &[],
        }
    }

    /// The list it is taken from.
    pub(super) fn list(self) -> Option<ListKind> {
        let (end, distinct, length) = match self {
            Self::Last => (End::Last, false, 1),
            Self::First => (End::First, false, 1),
            Self::LastN(n) => (End::Last, false, n),
            Self::FirstN(n) => (End::First, false, n),
            Self::LastDistinct(n) => (End::Last, true, n),
            Self::FirstDistinct(n) => (End::First, true, n),
            _ => return None,
        };
        Some(ListKind { end, distinct, length })
    }
}

impl ColumnShape {
    /// What is kept for these functions together: what several need is there once, and a list is as long as the longest.
    pub(super) fn new(name: &str, kind: Kind, functions: &[Function], grid: Grid, first_array: usize) -> Self {
        let mut partials = vec![Partial::Count];
        match grid {
            Grid::Events if functions.iter().any(|function| *function != Function::Count) => {
                partials.push(Partial::Value)
            }
            Grid::Events => {}
            Grid::Tiles { .. } => {
                for function in functions {
                    partials.extend_from_slice(function.needs());
                    match *function {
                        Function::ApproxCountDistinct { precision } => partials.push(Partial::Distinct(precision)),
                        Function::ApproxPercentile { precision, .. } => partials.push(Partial::Digest(precision)),
                        _ => partials.extend(function.list().map(Partial::List)),
                    }
                }
            }
        }
        partials.sort_unstable();
        partials.dedup();
        let lists = partials.clone();
        let longer = |one: ListKind, other: &Partial| {
            matches!(other, Partial::List(list)
                if list.end == one.end && list.distinct == one.distinct && list.length > one.length)
        };
        partials.retain(|partial| match partial {
            Partial::List(one) => !lists.iter().any(|other| longer(*one, other)),
            _ => true,
        });
        Self { name: name.to_owned(), kind, partials, first_array }
    }

    /// The position of a partial's array in the row.
    pub(super) fn array(&self, partial: Partial) -> Option<usize> {
        Some(self.first_array + self.partials.iter().position(|other| *other == partial)?)
    }

    /// The list that holds what this one would, and its array.
    pub(super) fn list(&self, kind: ListKind) -> Option<(ListKind, usize)> {
        let holds = |partial: &Partial| match partial {
            Partial::List(list) => (list.end == kind.end && list.distinct == kind.distinct).then_some(*list),
            _ => None,
        };
        let (position, list) =
            self.partials.iter().enumerate().find_map(|(at, partial)| Some((at, holds(partial)?)))?;
        Some((list, self.first_array + position))
    }
}

impl Shape {
    pub(super) fn new(grid: Grid, grouped: bool, columns: Vec<ColumnShape>) -> Self {
        let arrays = columns.iter().map(|column| column.partials.len()).sum::<usize>();
        let mut shape =
            Self { grid, grouped, columns, arrays: u16::try_from(arrays).unwrap_or(u16::MAX), fingerprint: 0 };
        shape.fingerprint = shape.fingerprint();
        shape
    }

    /// FNV-1a of the shape written out: see docs/format.md.
    fn fingerprint(&self) -> u32 {
        let mut text = match self.grid {
            Grid::Tiles { interval_us } => format!("tiles {interval_us}"),
            Grid::Events => "events".to_owned(),
        };
        if self.grouped {
            text += " grouped";
        }
        for column in &self.columns {
            let kind = match column.kind {
                Kind::Boolean => "boolean",
                Kind::Int64 => "int64",
                Kind::Float32 => "float32",
                Kind::Float64 => "float64",
                Kind::Bytes => "bytes",
            };
            text += &format!(";{} {kind}", column.name);
            for partial in &column.partials {
                text += &match partial {
                    Partial::Count => " count".to_owned(),
                    Partial::Sum => " sum".to_owned(),
                    Partial::Squares => " squares".to_owned(),
                    Partial::Min => " min".to_owned(),
                    Partial::Max => " max".to_owned(),
                    Partial::List(list) => {
                        let end = if list.end == End::First { "first" } else { "last" };
                        format!(" {end}{} {}", if list.distinct { " distinct" } else { "" }, list.length)
                    }
                    Partial::Distinct(precision) => format!(" distinct {precision}"),
                    Partial::Digest(precision) => format!(" digest {precision}"),
                    Partial::Value => " value".to_owned(),
                };
            }
        }
        text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    }
}
