//! Manifests: what a published state is made of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::schema::Schema;

/// One published state of a data directory. Immutable once written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format_version: u32,
    pub generation: u64,
    /// Microseconds since the Unix epoch.
    pub created_at_us: i64,
    /// Which version under `definitions/` is live, if any was applied.
    pub definitions_version: Option<u64>,
    /// By table name, for example `prod/user_profile`.
    pub tables: BTreeMap<String, TableEntry>,
    /// By table name: rows written since the table was built, and tombstones. They count beside those of the table of that name, if
    /// there is one: see `crate::levels`.
    #[serde(default)]
    pub deltas: BTreeMap<String, TableEntry>,
    /// The last record of the write log that this state holds: those behind it are read back at a start.
    #[serde(default)]
    pub log_position: u64,
    /// By table name, the newest event time of the rows that were written up to there, tombstones aside.
    #[serde(default)]
    pub watermarks_us: BTreeMap<String, i64>,
    /// By source and partition, the highest sequence of a token among the records up to there.
    #[serde(default)]
    pub source_positions: SourcePositions,
}

/// How far what comes from outside logs was taken: by source, then by partition, a sequence.
pub type SourcePositions = BTreeMap<String, BTreeMap<u64, u64>>;

/// One table of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableEntry {
    pub schema: Schema,
    /// Seed of the keyed hash that places rows in partitions, groups and buckets.
    pub seed: u64,
    /// In partition order; their number is the number of partitions.
    pub segments: Vec<SegmentEntry>,
    pub rows: u64,
    /// Among the rows.
    #[serde(default)]
    pub tombstones: u64,
    pub raw_bytes: u64,
    pub event_time_min_us: Option<i64>,
    pub event_time_max_us: Option<i64>,
    /// Microseconds since the Unix epoch: when it was built.
    pub built_at_us: i64,
    /// Whether rows that were written are in it, which no build of its source would bring back.
    #[serde(default)]
    pub holds_writes: bool,
    /// Of a delta: whether keys were deleted in it, so that what is below it may hold what nobody is to have any more, also where a row
    /// was written over the tombstone since. Until a compaction.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_deletes: bool,
    /// The newest event time that its rows ever reached, where `event_time_max_us` does not say it: tombstones have times that are no
    /// event's, and rows may have gone because of them. See [`Self::newest_event_us`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_event_us: Option<i64>,
}

/// One segment file of a table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SegmentEntry {
    /// Relative to the data directory.
    pub file: String,
    pub bytes: u64,
    pub rows: u64,
    /// Root of the file's checksums, as 16 hex digits: ties this entry to these bytes.
    pub root: String,
}

impl TableEntry {
    /// The newest event time that its rows ever reached. Deletes move it in neither direction.
    pub fn newest_event_us(&self) -> Option<i64> {
        match self.newest_event_us {
            None if self.tombstones == 0 => self.event_time_max_us,
            newest_event_us => newest_event_us,
        }
    }

    /// The same table, of which it is known that its rows reached this event time.
    #[must_use]
    pub fn with_events_up_to(self, event_time_us: Option<i64>) -> Self {
        let newest_event_us = self.newest_event_us().max(event_time_us);
        let is_said = self.tombstones == 0 && newest_event_us == self.event_time_max_us;
        Self { newest_event_us: newest_event_us.filter(|_| !is_said), ..self }
    }
}

impl Manifest {
    /// What a data directory holds before anything was published.
    pub(super) fn empty() -> Self {
        Self {
            format_version: FORMAT_VERSION,
            generation: 0,
            created_at_us: 0,
            definitions_version: None,
            tables: BTreeMap::new(),
            deltas: BTreeMap::new(),
            log_position: 0,
            watermarks_us: BTreeMap::new(),
            source_positions: SourcePositions::new(),
        }
    }

    /// Puts a table that was built from its source in the place of the one before. What was written since stays beside it, unless it
    /// has another schema. One that holds writes itself has to be brought out of the way first: see
    /// [`set_aside`](crate::levels::set_aside).
    pub fn put_built(&mut self, name: String, entry: TableEntry) {
        if self.deltas.get(&name).is_some_and(|delta| delta.schema != entry.schema) {
            self.deltas.remove(&name);
            self.watermarks_us.remove(&name);
        }
        self.tables.insert(name, entry);
    }

    /// Leaves only those tables, and what was written to them, whose names `is_kept` holds for.
    pub fn retain_tables(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.tables.retain(|name, _| is_kept(name));
        self.deltas.retain(|name, _| is_kept(name));
        self.watermarks_us.retain(|name, _| is_kept(name));
    }

    /// Every segment that this state needs.
    pub fn segments(&self) -> impl Iterator<Item = &SegmentEntry> {
        self.tables.values().chain(self.deltas.values()).flat_map(|table| &table.segments)
    }
}

/// The version that this program writes into manifests, `CURRENT` and definitions.
pub const FORMAT_VERSION: u32 = 2;

/// The oldest version that this program reads: always the one before its own. It has no deltas and no position of a log.
pub const FORMAT_VERSION_OLDEST: u32 = 1;

const _: () = assert!(FORMAT_VERSION_OLDEST + 1 == FORMAT_VERSION);
