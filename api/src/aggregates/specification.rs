//! What a view says about its aggregations, and what can be wrong with it.

use gannet_store::ColumnType;
use serde::{Deserialize, Serialize};

use super::{
    duration::{self, DAY_US},
    function::Function,
    limits::{AGGREGATIONS_MAX, WINDOW_DAYS_MAX},
    window::Window,
};

/// The aggregations of one view, as they are written down.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Specification {
    /// Length of the tiles. `None`: continuous, events are kept one by one.
    pub interval_us: Option<i64>,
    /// Where lifetime windows begin.
    pub lifetime_start_us: Option<i64>,
    /// The column by whose values results are grouped.
    pub secondary_key: Option<String>,
    /// The view's join keys: a secondary key is none of them.
    pub join_keys: Vec<String>,
    /// Columns of the source that aggregations and the secondary key may name, each once.
    pub columns: Vec<Column>,
    pub aggregations: Vec<Aggregation>,
}

/// A column of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub column_type: ColumnType,
}

/// One feature: a function of a column over a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aggregation {
    pub column: String,
    pub function: Function,
    pub window: Window,
    /// Instead of the name that follows from the rest.
    pub name: Option<String>,
}

/// What is wrong with a specification. `at` is the aggregation's position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    #[error("there are {found} aggregations; expected 1 to {AGGREGATIONS_MAX} (AGGREGATIONS_MAX)")]
    Aggregations { found: usize },
    #[error("the aggregation interval is {}; expected more than 0s and at most {WINDOW_DAYS_MAX}d", signed(*.interval_us))]
    Interval { interval_us: i64 },
    #[error("there is no column `{column}`")]
    UnknownColumn { at: usize, column: String },
    #[error("column `{column}` has a type that `{function}` cannot aggregate")]
    ColumnType { at: usize, column: String, function: String },
    #[error("`{function}` has {found}; expected {expected}")]
    Parameter { at: usize, function: String, found: String, expected: String },
    #[error("the window is {}; expected more than 0s and at most {WINDOW_DAYS_MAX}d", signed(*.length_us))]
    WindowLength { at: usize, length_us: i64 },
    #[error("the window {} is no multiple of the aggregation interval {}", signed(*.length_us), signed(*.interval_us))]
    WindowOffGrid { at: usize, length_us: i64, interval_us: i64 },
    #[error("the offset is {}; expected 0s or less, and at least -{WINDOW_DAYS_MAX}d", signed(*.offset_us))]
    Offset { at: usize, offset_us: i64 },
    #[error("the offset {} is no multiple of the aggregation interval {}", signed(*.offset_us), signed(*.interval_us))]
    OffsetOffGrid { at: usize, offset_us: i64, interval_us: i64 },
    #[error("a lifetime window needs the view's lifetime start")]
    LifetimeWithoutStart { at: usize },
    #[error("a lifetime window needs an aggregation interval")]
    LifetimeWithoutTiles { at: usize },
    #[error("the lifetime start is no multiple of the aggregation interval {} since 1970-01-01", signed(*.interval_us))]
    LifetimeStartOffGrid { interval_us: i64 },
    #[error("two features are named `{name}`")]
    DuplicateName { at: usize, name: String },
    #[error("the secondary key `{column}` is no string column of the source")]
    SecondaryKeyType { column: String },
    #[error("the secondary key `{column}` is aggregated, too")]
    SecondaryKeyAggregated { at: usize, column: String },
    #[error("the secondary key `{column}` is a join key")]
    SecondaryKeyIsJoinKey { column: String },
}

impl Specification {
    /// Everything that is wrong with it, but for names.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if !(1..=AGGREGATIONS_MAX).contains(&self.aggregations.len()) {
            faults.push(Fault::Aggregations { found: self.aggregations.len() });
        }
        if let Some(interval_us) = self.interval_us.filter(|interval_us| !is_length(*interval_us)) {
            faults.push(Fault::Interval { interval_us });
        }
        if let Some(column) = &self.secondary_key {
            if self.column(column).is_none_or(|column| column.column_type != ColumnType::String) {
                faults.push(Fault::SecondaryKeyType { column: column.clone() });
            }
            if self.join_keys.contains(column) {
                faults.push(Fault::SecondaryKeyIsJoinKey { column: column.clone() });
            }
        }
        let lifetime = self.aggregations.iter().any(|aggregation| aggregation.window == Window::Lifetime);
        if let (true, Some(interval_us), Some(start_us)) = (lifetime, self.grid_us(), self.lifetime_start_us)
            && start_us % interval_us != 0
        {
            faults.push(Fault::LifetimeStartOffGrid { interval_us });
        }
        for (at, aggregation) in self.aggregations.iter().enumerate() {
            self.column_faults(at, aggregation, &mut faults);
            self.window_faults(at, aggregation.window, &mut faults);
        }
        faults
    }

    fn column_faults(&self, at: usize, aggregation: &Aggregation, faults: &mut Vec<Fault>) {
        let (column, function) = (aggregation.column.clone(), aggregation.function.in_names());
        if self.secondary_key.as_ref() == Some(&column) {
            faults.push(Fault::SecondaryKeyAggregated { at, column: column.clone() });
        }
        if let Some((found, expected)) = aggregation.function.out_of_bounds() {
            faults.push(Fault::Parameter { at, function: function.clone(), found, expected });
        }
        match self.column(&column) {
            None => faults.push(Fault::UnknownColumn { at, column }),
            Some(found) if aggregation.function.output(&found.column_type).is_none() => {
                faults.push(Fault::ColumnType { at, column, function });
            }
            Some(_) => {}
        }
    }

    fn window_faults(&self, at: usize, window: Window, faults: &mut Vec<Fault>) {
        let Window::Time { length_us, offset_us } = window else {
            if self.interval_us.is_none() {
                faults.push(Fault::LifetimeWithoutTiles { at });
            }
            if self.lifetime_start_us.is_none() {
                faults.push(Fault::LifetimeWithoutStart { at });
            }
            return;
        };
        let off_grid = |time_us: i64| self.grid_us().filter(|interval_us| time_us % interval_us != 0);
        if !is_length(length_us) {
            faults.push(Fault::WindowLength { at, length_us });
        } else if let Some(interval_us) = off_grid(length_us) {
            faults.push(Fault::WindowOffGrid { at, length_us, interval_us });
        }
        if offset_us != 0 && !offset_us.checked_neg().is_some_and(is_length) {
            faults.push(Fault::Offset { at, offset_us });
        } else if let Some(interval_us) = off_grid(offset_us) {
            faults.push(Fault::OffsetOffGrid { at, offset_us, interval_us });
        }
    }

    /// The interval, if it is one.
    fn grid_us(&self) -> Option<i64> {
        self.interval_us.filter(|interval_us| is_length(*interval_us))
    }

    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The name of an aggregation's feature.
    pub fn feature_name(&self, aggregation: &Aggregation) -> String {
        if let Some(name) = &aggregation.name {
            return name.clone();
        }
        let function = aggregation.function.in_names();
        format!("{}_{function}_{}", aggregation.column, self.window_in_names(aggregation.window, true))
    }

    /// The name of the feature that holds a window's secondary keys.
    pub(super) fn keys_name(&self, secondary_key: &str, window: Window) -> String {
        format!("{secondary_key}_keys_{}", self.window_in_names(window, false))
    }

    fn window_in_names(&self, window: Window, with_interval: bool) -> String {
        let Window::Time { length_us, offset_us } = window else { return "lifetime".to_owned() };
        let mut out = duration::text(length_us);
        if with_interval {
            out += &match self.interval_us {
                Some(interval_us) => format!("_{}", duration::text(interval_us)),
                None => "_continuous".to_owned(),
            };
        }
        if offset_us != 0 {
            out += &format!("_offset_{}", duration::text(offset_us.saturating_neg()));
        }
        out
    }
}

fn is_length(time_us: i64) -> bool {
    (1..=WINDOW_DAYS_MAX * DAY_US).contains(&time_us)
}

fn signed(time_us: i64) -> String {
    let sign = if time_us < 0 { "-" } else { "" };
    format!("{sign}{}", duration::text(time_us.saturating_abs()))
}
