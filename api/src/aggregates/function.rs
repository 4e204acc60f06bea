//! What is computed of a column: which functions there are, of what, with what result, and how they are spelt.

use gannet_store::ColumnType;
use serde::{Deserialize, Serialize};

use super::limits::{
    DISTINCT_PRECISION_DEFAULT, DISTINCT_PRECISION_MAX, DISTINCT_PRECISION_MIN, LIST_LENGTH_MAX,
    PERCENTILE_PRECISION_DEFAULT, PERCENTILE_PRECISION_MAX, PERCENTILE_PRECISION_MIN,
};

/// An aggregation function. Null values of the column are left out by all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    Count,
    Sum,
    Mean,
    Min,
    Max,
    VarSamp,
    VarPop,
    StddevSamp,
    StddevPop,
    /// The value of the newest event; of equal times, what was written last.
    Last,
    /// The value of the oldest event; of equal times, what was written last.
    First,
    /// The newest so many values, oldest of them first.
    LastN(u16),
    FirstN(u16),
    /// The newest so many different values, each at its newest event.
    LastDistinct(u16),
    /// The oldest so many different values, each at its oldest event.
    FirstDistinct(u16),
    ApproxCountDistinct {
        precision: u8,
    },
    ApproxPercentile {
        percentile: Percentile,
        precision: u16,
    },
}

/// Which share of the values lies below: 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Percentile(f64);

impl Eq for Percentile {} // never NaN

impl Percentile {
    /// `None` unless it is from 0 to 1.
    pub fn new(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Self(share.abs())) // of two zeros the positive
    }

    pub fn share(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Percentile {
    type Error = &'static str;

    fn try_from(share: f64) -> Result<Self, Self::Error> {
        Self::new(share).ok_or("a percentile is a number from 0 to 1")
    }
}

impl From<Percentile> for f64 {
    fn from(percentile: Percentile) -> Self {
        percentile.0
    }
}

/// What is expected where a function is written.
pub const EXPECTED: &str = "one of count, sum, mean, min, max, var_samp, var_pop, stddev_samp, stddev_pop, last, first, last(n), first(n), \
                            last_distinct(n), first_distinct(n), approx_count_distinct(precision), approx_percentile(share, precision)";

impl Function {
    /// Reads `sum`, `last(3)`, `approx_count_distinct(12)`, `approx_percentile(0.99)`, …; what is optional has its default. Whether
    /// numbers are within bounds is not asked here.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, arguments) = match text.split_once('(') {
            Some((name, rest)) => (name.trim_end(), Some(rest.strip_suffix(')')?)),
            None => (text, None),
        };
        let arguments: Vec<&str> = arguments.iter().flat_map(|list| list.split(',')).map(str::trim).collect();
        Some(match (name, arguments.as_slice()) {
            ("count", []) => Self::Count,
            ("sum", []) => Self::Sum,
            ("mean", []) => Self::Mean,
            ("min", []) => Self::Min,
            ("max", []) => Self::Max,
            ("var_samp" | "variance", []) => Self::VarSamp,
            ("var_pop", []) => Self::VarPop,
            ("stddev_samp" | "stddev", []) => Self::StddevSamp,
            ("stddev_pop", []) => Self::StddevPop,
            ("last", []) => Self::Last,
            ("first", []) => Self::First,
            ("last", [n]) => Self::LastN(n.parse().ok()?),
            ("first", [n]) => Self::FirstN(n.parse().ok()?),
            ("last_distinct", [n]) => Self::LastDistinct(n.parse().ok()?),
            ("first_distinct", [n]) => Self::FirstDistinct(n.parse().ok()?),
            ("approx_count_distinct", []) => Self::ApproxCountDistinct { precision: DISTINCT_PRECISION_DEFAULT },
            ("approx_count_distinct", [precision]) => Self::ApproxCountDistinct { precision: precision.parse().ok()? },
            ("approx_percentile", [share, rest @ ..]) if rest.len() < 2 => Self::ApproxPercentile {
                percentile: Percentile::new(share.parse().ok()?)?,
                precision: match rest.first() {
                    Some(precision) => precision.parse().ok()?,
                    None => PERCENTILE_PRECISION_DEFAULT,
                },
            },
            _ => return None,
        })
    }

    /// As it is written: `sum`, `last(3)`, `approx_percentile(0.5, 100)`; [`Self::parse`] reads it back.
    pub fn text(self) -> String {
        match self {
            Self::LastN(n) => format!("last({n})"),
            Self::FirstN(n) => format!("first({n})"),
            Self::LastDistinct(n) => format!("last_distinct({n})"),
            Self::FirstDistinct(n) => format!("first_distinct({n})"),
            Self::ApproxCountDistinct { precision } => format!("approx_count_distinct({precision})"),
            Self::ApproxPercentile { percentile, precision } => {
                format!("approx_percentile({:?}, {precision})", percentile.0)
            }
            plain => plain.in_names(),
        }
    }

    /// As feature names have it: `sum`, `last_3`, `approx_percentile_p0_5`.
    pub fn in_names(self) -> String {
        match self {
            Self::Count => "count".to_owned(),
            Self::Sum => "sum".to_owned(),
            Self::Mean => "mean".to_owned(),
            Self::Min => "min".to_owned(),
            Self::Max => "max".to_owned(),
            Self::VarSamp => "var_samp".to_owned(),
            Self::VarPop => "var_pop".to_owned(),
            Self::StddevSamp => "stddev_samp".to_owned(),
            Self::StddevPop => "stddev_pop".to_owned(),
            Self::Last => "last".to_owned(),
            Self::First => "first".to_owned(),
            Self::LastN(n) => format!("last_{n}"),
            Self::FirstN(n) => format!("first_{n}"),
            Self::LastDistinct(n) => format!("last_distinct_{n}"),
            Self::FirstDistinct(n) => format!("first_distinct_{n}"),
            Self::ApproxCountDistinct { .. } => "approx_count_distinct".to_owned(),
            Self::ApproxPercentile { percentile, .. } => {
                format!("approx_percentile_p{}", format!("{:?}", percentile.0).replace('.', "_"))
            }
        }
    }

    /// The result's type for a column of this type; `None` if there is no such aggregation.
    pub fn output(self, column: &ColumnType) -> Option<ColumnType> {
        use ColumnType::{Array, Boolean, Float32, Float64, Int64, String};
        match (self, column) {
            (Self::Count, _) => Some(Int64),
            (Self::Sum, Int64 | Float64) => Some(column.clone()),
            (Self::Min | Self::Max, Int64 | Float64 | String) => Some(column.clone()),
            (Self::Mean | Self::VarSamp | Self::VarPop | Self::StddevSamp | Self::StddevPop, Int64 | Float64) => {
                Some(Float64)
            }
            (Self::Last | Self::First, Int64 | Float32 | Float64 | Boolean | String | Array(_)) => Some(column.clone()),
            (Self::LastN(_) | Self::FirstN(_), Int64 | Float32 | Float64 | Boolean | String | Array(_))
            | (Self::LastDistinct(_) | Self::FirstDistinct(_), Int64 | String) => Some(Array(Box::new(column.clone()))),
            (Self::ApproxCountDistinct { .. }, Int64 | String) => Some(Int64),
            (Self::ApproxPercentile { .. }, Int64 | Float32 | Float64) => Some(Float64),
            _ => None,
        }
    }

    /// What is wrong with the function's numbers, if anything: what they are and what they may be.
    pub(super) fn out_of_bounds(self) -> Option<(String, String)> {
        let outside = |what: &str, number: u16, from: u16, to: u16| {
            (!(from..=to).contains(&number)).then(|| (format!("{what} {number}"), format!("{from} to {to}")))
        };
        match self {
            Self::LastN(n) | Self::FirstN(n) | Self::LastDistinct(n) | Self::FirstDistinct(n) => {
                outside("n", n, 1, LIST_LENGTH_MAX)
            }
            Self::ApproxCountDistinct { precision } => outside(
                "precision",
                u16::from(precision),
                u16::from(DISTINCT_PRECISION_MIN),
                u16::from(DISTINCT_PRECISION_MAX),
            ),
            Self::ApproxPercentile { precision, .. } => {
                outside("precision", precision, PERCENTILE_PRECISION_MIN, PERCENTILE_PRECISION_MAX)
            }
            _ => None,
        }
    }
}
