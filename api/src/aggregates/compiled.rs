//! A view's aggregations, checked and compiled: what its rows hold, what is served of them, how long they are kept.

use gannet_store::ColumnType;

use super::{
    duration::DAY_US,
    function::Function,
    limits::RETENTION_MARGIN_DAYS,
    partial::{ColumnShape, Kind, Shape},
    row::{Damaged, Row, RowBuilder, RowTooLong, UncheckedRow},
    specification::{Column, Fault, Specification},
    window::{Grid, Window},
};

/// The aggregations of one view. Everything else of this module is reached through it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregates {
    pub(super) shape: Shape,
    /// Each once, in the order in which they first occur.
    pub(super) windows: Vec<Window>,
    pub(super) lifetime_start_us: i64,
    columns: Vec<Column>,
    secondary_key: Option<Column>,
    features: Vec<Feature>,
    /// By feature: what is computed.
    pub(super) sources: Vec<Source>,
    longest_us: Option<i64>,
}

/// One feature that a view with aggregations serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    pub name: String,
    /// With secondary keys an array: an element for each.
    pub data_type: ColumnType,
}

/// What a feature is computed of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) window: usize,
    /// `None`: the secondary keys themselves.
    pub(super) folded: Option<(usize, Function)>,
}

impl Aggregates {
    /// Compiles a specification, or tells all that is wrong with it.
    pub fn new(specification: &Specification) -> Result<Self, Vec<Fault>> {
        let mut faults = specification.faults();
        let grid = match specification.interval_us {
            Some(interval_us) => Grid::Tiles { interval_us },
            None => Grid::Events,
        };
        let columns = aggregated(specification);
        let (mut windows, mut features) = (Vec::new(), Vec::new());
        for (at, aggregation) in specification.aggregations.iter().enumerate() {
            let column = columns.iter().position(|column| column.name == aggregation.column);
            let output = column.and_then(|column| aggregation.function.output(&columns[column].column_type));
            let (Some(column), Some(output)) = (column, output) else { continue };
            let window = windows.iter().position(|window| *window == aggregation.window).unwrap_or_else(|| {
                windows.push(aggregation.window);
                windows.len() - 1
            });
            let name = specification.feature_name(aggregation);
            let data_type = match &specification.secondary_key {
                Some(_) => ColumnType::Array(Box::new(output)),
                None => output,
            };
            features.push((
                at,
                Feature { name, data_type },
                Source { window, folded: Some((column, aggregation.function)) },
            ));
        }
        if let Some(secondary_key) = &specification.secondary_key {
            for (window, length) in windows.iter().enumerate() {
                let name = specification.keys_name(secondary_key, *length);
                let at = features.iter().find(|(_, _, source)| source.window == window).map_or(0, |(at, _, _)| *at);
                let data_type = ColumnType::Array(Box::new(ColumnType::String));
                features.push((at, Feature { name, data_type }, Source { window, folded: None }));
            }
        }
        features.sort_by(|(_, one, _), (_, other, _)| one.name.cmp(&other.name));
        for pair in features.windows(2) {
            if pair[0].1.name == pair[1].1.name {
                faults.push(Fault::DuplicateName { at: pair[0].0.max(pair[1].0), name: pair[0].1.name.clone() });
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let shape = shape(specification, grid, &columns);
        let longest_us = windows.iter().map(|window| window.reach_us()).try_fold(0, |one, other| Some(one.max(other?)));
        let lifetime_start_us = specification.lifetime_start_us.unwrap_or(0);
        let sources = features.iter().map(|(_, _, source)| *source).collect();
        let features = features.into_iter().map(|(_, feature, _)| feature).collect();
        let secondary_key = specification.secondary_key.as_deref().and_then(|name| specification.column(name)).cloned();
        Ok(Self { shape, windows, lifetime_start_us, columns, secondary_key, features, sources, longest_us })
    }

    /// The columns that events bring values of, sorted by name.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column by whose values results are grouped.
    pub fn secondary_key(&self) -> Option<&Column> {
        self.secondary_key.as_ref()
    }

    /// What is served, sorted by name.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// Names what rows hold: those of two views, or of two versions of one, mean the same if it is the same.
    pub fn fingerprint(&self) -> u32 {
        self.shape.fingerprint
    }

    /// How far back of the leading edge events are kept for windows; `None` for ever.
    pub fn reach_us(&self) -> Option<i64> {
        self.longest_us
    }

    /// Whether results are grouped by a secondary key.
    pub fn is_grouped(&self) -> bool {
        self.shape.grouped
    }

    /// Builds rows.
    pub fn builder(&self) -> RowBuilder<'_> {
        RowBuilder::new(&self.shape)
    }

    /// The row that these bytes are, if they are one of this view.
    pub fn row<'r>(&self, bytes: UncheckedRow<'r>) -> Result<Row<'r>, Damaged> {
        bytes.check(&self.shape)
    }

    /// What `effectiveTime` says: the end of the last complete tile; the key's newest event where there are no tiles.
    pub fn effective_time_us(&self, moment_us: i64, rows: &[Row<'_>]) -> i64 {
        match self.shape.grid {
            Grid::Tiles { .. } => self.shape.grid.edge_us(moment_us),
            Grid::Events => {
                rows.iter().filter(|row| row.tiles() > 0).map(Row::newest_event_us).max().unwrap_or(moment_us)
            }
        }
    }

    /// Whether a row holds anything that has not expired: whether the key's features are present.
    pub fn is_live(&self, row: &Row<'_>, now_us: i64) -> bool {
        let oldest = self.oldest_kept(now_us);
        (0..row.groups()).any(|group| {
            let tiles = row.group(group);
            let newest = tiles.end.checked_sub(1).filter(|tile| tiles.contains(tile));
            newest.is_some_and(|tile| oldest.is_none_or(|oldest| row.number(tile) >= oldest))
        })
    }

    /// Lets go of what has expired: what ended so long ago that no window reaches it, with a margin. Where there is a lifetime window it goes
    /// into one tile of all that is past, unless it is older than the lifetime.
    pub fn expire(&self, builder: &mut RowBuilder<'_>, now_us: i64) {
        let longest_us = self.windows.iter().filter_map(|window| window.reach_us()).max().unwrap_or(0);
        builder.expire(self.first_kept(longest_us, now_us), self.past_from());
    }

    /// Appends the row, of at most `bytes_max` bytes, and says whether its oldest tiles had to go for that: what is newest counts. With a
    /// lifetime window they are added to what is past. It fails when the newest ones alone do not fit.
    pub fn encode_newest(
        &self,
        builder: &mut RowBuilder<'_>,
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<bool, RowTooLong> {
        builder.encode_newest(bytes_max, self.past_from(), out)
    }

    /// With a lifetime window: from which tile on what expires is kept as the past.
    fn past_from(&self) -> Option<i64> {
        self.longest_us.is_none().then(|| self.shape.grid.number(self.lifetime_start_us))
    }

    /// Of one key's rows, those written earlier first, the ones that count: from the last one on that begins anew.
    pub fn rows_that_count<'s, 'r>(rows: &'s [Row<'r>]) -> &'s [Row<'r>] {
        let from = rows.iter().rposition(Row::begins_anew).unwrap_or(0);
        &rows[from..]
    }

    /// The moment that windows over a job's data are taken at, when its newest event is this one: the interval that it falls into counts as
    /// over.
    pub fn end_of_data_us(&self, event_time_max_us: i64) -> i64 {
        match self.shape.grid {
            Grid::Tiles { interval_us } => {
                event_time_max_us.div_euclid(interval_us).saturating_add(1).saturating_mul(interval_us)
            }
            Grid::Events => event_time_max_us,
        }
    }

    /// Whether an event of this time is refused where events come one by one: by its own time, so that what is refused does not depend on where
    /// tiles begin. Of those that are taken, some have tiles that have expired.
    pub fn is_refused(&self, event_time_us: i64, now_us: i64) -> bool {
        self.longest_us.is_some_and(|longest_us| event_time_us <= now_us.saturating_sub(self.kept_us(longest_us)))
    }

    /// Whether the tile of an event of this time has expired.
    pub fn is_expired(&self, event_time_us: i64, now_us: i64) -> bool {
        self.oldest_kept(now_us).is_some_and(|oldest| self.shape.grid.number(event_time_us) < oldest)
    }

    /// The oldest tile that has not expired; `None` where nothing expires.
    fn oldest_kept(&self, now_us: i64) -> Option<i64> {
        Some(self.first_kept(self.longest_us?, now_us))
    }

    fn first_kept(&self, longest_us: i64, now_us: i64) -> i64 {
        self.shape.grid.number(now_us.saturating_sub(self.kept_us(longest_us))).saturating_add(1)
    }

    /// How long tiles are kept from their start on.
    fn kept_us(&self, longest_us: i64) -> i64 {
        let interval_us = match self.shape.grid {
            Grid::Tiles { interval_us } => interval_us,
            Grid::Events => 0,
        };
        interval_us + longest_us + RETENTION_MARGIN_DAYS * DAY_US
    }
}

/// The columns that aggregations name, sorted by name.
fn aggregated(specification: &Specification) -> Vec<Column> {
    let named =
        |column: &&Column| specification.aggregations.iter().any(|aggregation| aggregation.column == column.name);
    let mut columns: Vec<Column> = specification.columns.iter().filter(named).cloned().collect();
    columns.sort_by(|one, other| one.name.cmp(&other.name));
    columns
}

fn shape(specification: &Specification, grid: Grid, columns: &[Column]) -> Shape {
    let mut first_array = 0;
    let shapes = columns.iter().map(|column| {
        let of_column = specification.aggregations.iter().filter(|aggregation| aggregation.column == column.name);
        let functions: Vec<Function> = of_column.map(|aggregation| aggregation.function).collect();
        let shape = ColumnShape::new(&column.name, Kind::of(&column.column_type), &functions, grid, first_array);
        first_array += shape.partials.len();
        shape
    });
    Shape::new(grid, specification.secondary_key.is_some(), shapes.collect())
}
