//! Tables that take writes.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use super::write::fingerprint;
use crate::{error::Corrupt, overlay::TableId, row::RowLayout, schema::Schema};

/// How two rows of one key become one, where neither takes the other's place: what they hold counts together.
///
/// Rows are encoded, of one schema. Either may be a tombstone; the result never shows what a tombstone in `lower` hides, and never
/// lets anything below `upper` or `lower` count that one of them hides.
pub trait Combine: Debug + Send + Sync {
    /// Appends the row that says what `upper`, written later, and `lower` say together. `now_us`: microseconds since the Unix epoch;
    /// what has expired by then may be left out.
    ///
    /// Of three rows it does not matter which two are combined first. The result is no longer than
    /// [`ROW_BYTES_MAX`](crate::limits::ROW_BYTES_MAX): where it would be, the oldest of what it holds is left out.
    fn combine(&self, upper: &[u8], lower: &[u8], now_us: i64, out: &mut Vec<u8>) -> Result<(), Corrupt>;
}

/// A table that takes writes. Lives for as long as anybody may write to it or read from it; one of another schema is another one.
#[derive(Debug)]
pub struct StreamTable {
    pub id: TableId,
    /// As in manifests: `prod/plane_delays`.
    pub name: String,
    pub schema: Arc<Schema>,
    /// Of the schema, as writes name it.
    pub fingerprint: u64,
    /// Of rows of this schema that lie in no file.
    pub layout: RowLayout,
    /// `None`: the newest row counts, and nothing of the others.
    pub combine: Option<Arc<dyn Combine>>,
    /// [`NEVER`] before the first. Shared by those of one name and schema, whatever else of them changes.
    watermark_us: Arc<AtomicI64>,
}

/// All tables that take writes, by name. Immutable: new definitions make new ones, which share the tables that stayed the same.
#[derive(Debug, Clone, Default)]
pub struct StreamTables {
    by_name: BTreeMap<String, Arc<StreamTable>>,
    /// The next id. Ids are not used again within a process.
    next: u32,
}

impl StreamTable {
    /// The newest event time that was written, microseconds since the Unix epoch; `None` before the first.
    #[inline]
    pub fn watermark_us(&self) -> Option<i64> {
        match self.watermark_us.load(Ordering::Relaxed) {
            NEVER => None,
            watermark_us => Some(watermark_us),
        }
    }

    /// An event of this time was written, or found written. To be called before whoever wrote it is told.
    pub fn advance_watermark(&self, event_time_us: i64) {
        self.watermark_us.fetch_max(event_time_us, Ordering::Relaxed);
    }
}

impl StreamTables {
    /// These tables and no others. One whose schema stayed keeps its id and its watermark.
    #[must_use]
    pub fn with(&self, tables: impl IntoIterator<Item = (String, Schema, Option<Arc<dyn Combine>>)>) -> Self {
        let mut next = self.next;
        let table = |(name, schema, combine): (String, Schema, Option<Arc<dyn Combine>>)| {
            let known = self.by_name.get(&name).filter(|known| *known.schema == schema);
            let id = known.map_or_else(
                || {
                    next += 1;
                    TableId(next)
                },
                |known| known.id,
            );
            let fresh = || Arc::new(AtomicI64::new(NEVER));
            let watermark_us = known.map_or_else(fresh, |known| Arc::clone(&known.watermark_us));
            let layout = RowLayout::new(&schema, &name);
            let schema = Arc::new(schema);
            let fingerprint = fingerprint(&schema);
            let table = StreamTable { id, name: name.clone(), schema, fingerprint, layout, combine, watermark_us };
            (name, Arc::new(table))
        };
        let by_name = tables.into_iter().map(table).collect();
        Self { by_name, next }
    }

    pub fn get(&self, name: &str) -> Option<&Arc<StreamTable>> {
        self.by_name.get(name)
    }

    /// The table that rows of the overlay are of.
    pub fn of_id(&self, id: TableId) -> Option<&Arc<StreamTable>> {
        self.by_name.values().find(|table| table.id == id)
    }

    /// In the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<StreamTable>> {
        self.by_name.values()
    }
}

/// No time that an event can have.
const NEVER: i64 = i64::MIN;
