//! Windows: which tiles, or which events, count at a moment.
//!
//! ```text
//! tiled         [E - length, E)    E: end of the last complete tile, on the grid of the interval since the Unix epoch
//! continuous    (t - length, t]    to the microsecond
//! lifetime      [start, E)         start: the view's
//! ```
//! An offset moves both edges back.

use serde::{Deserialize, Serialize};

use super::duration;

/// Over which time an aggregation goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// So long before the leading edge. `offset_us` is zero, or negative: it moves the window into the past.
    Time { length_us: i64, offset_us: i64 },
    /// Everything since the view's start.
    Lifetime,
}

impl Window {
    /// A window that ends at the leading edge.
    pub const fn of(length_us: i64) -> Self {
        Self::Time { length_us, offset_us: 0 }
    }

    /// As definitions write it: `1d`, `1d offset -1d`, `lifetime`.
    pub fn text(self) -> String {
        match self {
            Self::Time { length_us, offset_us: 0 } => duration::text(length_us),
            Self::Time { length_us, offset_us } => {
                format!("{} offset -{}", duration::text(length_us), duration::text(offset_us.saturating_neg()))
            }
            Self::Lifetime => "lifetime".to_owned(),
        }
    }

    /// How far back of the leading edge it looks; `None` for ever.
    pub(super) fn reach_us(self) -> Option<i64> {
        match self {
            Self::Time { length_us, offset_us } => Some(length_us.saturating_sub(offset_us)),
            Self::Lifetime => None,
        }
    }
}

/// What the leading edge follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeadingEdge {
    /// The time of the request.
    #[default]
    WallClock,
    /// The newest event that was processed for the view, of whatever key. One of the future moves it no further than the request's time.
    LatestEventTime,
}

impl LeadingEdge {
    /// The moment that windows are taken at. `None` before the view's first event, when every window is empty.
    ///
    pub fn moment_us(self, now_us: i64, watermark_us: Option<i64>) -> Option<i64> {
        match self {
            Self::WallClock => Some(now_us),
            // One sender's clock that runs ahead would empty the windows of every key until then.
            Self::LatestEventTime => watermark_us.map(|watermark_us| watermark_us.min(now_us)),
        }
    }
}

/// How time is cut into what is stored: tiles of one length, or single events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grid {
    Tiles { interval_us: i64 },
    Events,
}

/// Tiles by their numbers, or events by their times, from one to before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: i64,
    pub(super) to: i64,
    /// Whether what was folded together before `from` counts as well.
    pub(super) with_past: bool,
}

/// The number of the tile that holds what is older than any window: that of no event.
pub(super) const PAST: i64 = i64::MIN;

impl Grid {
    /// The tile that an event falls into: its start belongs to it, its end to the next.
    pub(super) fn number(self, event_time_us: i64) -> i64 {
        let number = match self {
            Self::Tiles { interval_us } => event_time_us.div_euclid(interval_us),
            Self::Events => event_time_us,
        };
        number.max(PAST + 1)
    }

    /// The end of the last complete tile at `t_us`; `t_us` itself where there are no tiles.
    pub(super) fn edge_us(self, t_us: i64) -> i64 {
        match self {
            Self::Tiles { interval_us } => t_us.div_euclid(interval_us).saturating_mul(interval_us),
            Self::Events => t_us,
        }
    }

    /// What counts for a window at `t_us`. `lifetime_start_us` is asked for lifetime windows only.
    pub(super) fn span(self, window: Window, t_us: i64, lifetime_start_us: i64) -> Span {
        let edge_us = self.edge_us(t_us);
        let (from_us, to_us, with_past) = match window {
            Window::Time { length_us, offset_us } => {
                let to_us = edge_us.saturating_add(offset_us);
                (to_us.saturating_sub(length_us), to_us, false)
            }
            Window::Lifetime => (lifetime_start_us, edge_us, true),
        };
        let bound = |time_us: i64| match self {
            Self::Tiles { .. } => self.number(time_us),
            Self::Events => time_us.saturating_add(1), // the older edge is outside, the newer one inside
        };
        Span { from: bound(from_us).max(PAST + 1), to: bound(to_us), with_past }
    }
}
