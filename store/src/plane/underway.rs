//! The compaction under way, as flushes see it.
//!
//! ```text
//! compaction   base + delta ──────────────────────────────► new base
//! flush               delta ── and what was written ──► new delta     in the delta's place, at once
//!                     └─────── without the delta ─────► since         in the new delta's place, with the new base
//! ```
//! 1. A flush waits for no compaction and ends none: it writes, beside the new delta, what is new of it.
//! 2. A new delta takes the place of the one that it was built upon, and of no other. What is below it does not matter.
//! 3. A new base takes the place of the one that it was built upon, and the delta goes with it that is in it: the live one, if it is still
//!    that; or one of flushes that kept, beside it, all that is not.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{build::Unpublished, directory::TableEntry, levels::Stop};

/// What flushes and the one compaction have in common. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Underway {
    merging: Arc<Mutex<Option<Merging>>>,
    publishing: Arc<Mutex<()>>,
}

/// A compaction that puts a delta into a base.
#[derive(Debug)]
struct Merging {
    table: String,
    /// The delta that is live as far as is known: what goes into the new base and `since` together.
    delta: Option<TableEntry>,
    since: Option<Since>,
    stop: Stop,
}

/// What was written since a compaction began.
#[derive(Debug)]
pub(super) struct Since {
    pub(super) entry: TableEntry,
    /// `None`: the live delta is just that.
    pub(super) files: Option<Unpublished>,
}

/// Dropped when the compaction is over, however it went.
#[derive(Debug)]
pub(super) struct Begun(Underway);

impl Underway {
    /// The delta of this table goes into its base. Whoever flushes it and does not know yet makes the compaction give up.
    pub(super) fn begin(&self, table: &str, delta: Option<&TableEntry>, stop: &Stop) -> Begun {
        let (table, delta, stop) = (table.to_owned(), delta.cloned(), stop.clone());
        *self.lock() = Some(Merging { table, delta, since: None, stop });
        Begun(self.clone())
    }

    /// What a flush is to build upon, too, if this is the live delta of the table: what was written since. `None`: nothing beside the
    /// live delta.
    pub(super) fn beside(&self, table: &str, delta: Option<&TableEntry>) -> Option<Option<TableEntry>> {
        let merging = self.lock();
        let merging = merging.as_ref().filter(|merging| merging.table == table && merging.delta.as_ref() == delta)?;
        Some(merging.since.as_ref().map(|since| since.entry.clone()))
    }

    /// A flush has published `delta` in the place of `over`. To be called before anybody else may publish.
    pub(super) fn flushed(&self, table: &str, over: Option<&TableEntry>, delta: &TableEntry, since: Option<Since>) {
        let mut merging = self.lock();
        let Some(merging) = merging.as_mut().filter(|merging| merging.table == table) else { return };
        match since {
            Some(since) if merging.delta.as_ref() == over => {
                merging.delta = Some(delta.clone());
                merging.since = Some(since);
            }
            _ => merging.stop.stop(), // what is new is not known any more
        }
    }
}

impl Begun {
    /// What is to be beside the new base, if `live` is the delta that is live.
    pub(super) fn since(&self, live: Option<&TableEntry>) -> Option<Option<Since>> {
        let mut merging = self.0.lock();
        let merging = merging.as_mut().filter(|merging| merging.delta.as_ref() == live)?;
        Some(merging.since.take())
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

impl Underway {
    /// Held while something is published: the two wait for each other, where the directory's lock would have one of them fail and come back later.
    pub(super) fn publishing(&self) -> MutexGuard<'_, ()> {
        self.publishing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Merging>> {
        self.merging.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
