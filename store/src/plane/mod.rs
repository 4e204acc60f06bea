//! The storage plane: takes writes from serving cores, makes them durable together, makes them readable, and answers.
//!
//! ```text
//! core 0 ─┐ Submitter            one thread               Submitter ┌─► core 0, woken
//! core 1 ─┴──► bounded queue ──► log: append, one sync ──► overlay ──┴─► core 1, woken
//! ```
//! 1. A write is done when it is durable *and* readable by every core, or was refused as a whole.
//! 2. The queue between is bounded: when it is full a core knows at once, and says 429.
//! 3. Cores wait for nothing here, and never see an executor.

mod compacting;
mod executor;
mod flushing;
mod group;
mod pair;
mod positions;
mod queue;
mod recorder;
mod recovery;
mod rows;
mod settings;
mod shared;
mod status;
mod stream;
#[cfg(test)]
mod tests;
mod underway;
mod work;
mod write;

use std::sync::Arc;

use self::{executor::Running, queue::Queue, shared::Shared};
use crate::{
    directory::{DataDirectory, disk::random},
    error::Error,
    overlay::{Overlay, OverlaySettings},
};
pub use pair::{FarEnd, pair};
pub use queue::{Done, Failure, Refused, Submitter, Wake, Write};
pub use recovery::PlaneRecovered;
pub use settings::{Durability, Moment, PlaneClock, PlaneSettings};
pub use status::{COMMIT_BUCKETS_US, PlaneState, PlaneStatus};
pub use stream::{Combine, StreamTable, StreamTables};
pub use write::{MalformedWrite, SourceToken, WriteBuilder, WriteRow, WriteRows, fingerprint};

/// The storage plane of a data directory. There is one at a time: it holds the lock of the directory's log.
///
/// Dropped without [`Self::stop`] it stops, too, and tells nobody how that went.
#[derive(Debug)]
pub struct Plane {
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    overlay: Overlay,
    overlay_budget_bytes: usize,
    running: Option<Running>,
}

impl Plane {
    /// Opens the log, reads what is behind the live manifest's position into the overlay, starts the thread; returns when writes are
    /// taken, with one way to hand them over for each core.
    ///
    /// `tables` are those of the live definitions. If much is read back, generations are published: the live one is to be read after
    /// this. Refuses with [`Error::Locked`] if another process has the log, and with [`Error::Corrupt`] where rot is.
    pub fn start(
        data: DataDirectory,
        settings: PlaneSettings,
        tables: Arc<StreamTables>,
    ) -> Result<(Self, Vec<Submitter>, PlaneRecovered), Error> {
        let shared = Arc::new(Shared::new(tables));
        let waking = Arc::clone(&shared);
        let (queue, submitters) =
            queue::queue(settings.cores, settings.writes_per_core, Box::new(move || waking.wake()));
        let budget_bytes = settings.overlay_budget_bytes;
        let overlay_settings = OverlaySettings { budget_bytes, seed: random() };
        let (running, overlay, recovered) =
            executor::start(data, settings, Arc::clone(&queue), Arc::clone(&shared), overlay_settings)?;
        let overlay_budget_bytes = recovered.overlay_budget_bytes.unwrap_or(budget_bytes);
        let plane = Self { queue, shared, overlay, overlay_budget_bytes, running: Some(running) };
        Ok((plane, submitters, recovered))
    }

    /// What was written lately: to be cloned for each core, which makes its reader on its own thread.
    pub fn overlay(&self) -> Overlay {
        self.overlay.clone()
    }

    /// From now on writes may be for these tables, and for no others. To be called before any core knows them.
    pub fn set_tables(&self, tables: Arc<StreamTables>) {
        self.shared.set_tables(tables);
        self.shared.wake();
    }

    /// Every core reads this generation, or a later one, from its next turn on.
    pub fn adopted(&self, generation: u64) {
        self.shared.set_adopted(generation);
    }

    pub fn status(&self) -> PlaneStatus {
        self.shared.counters.status(self.queue.len(), self.overlay_budget_bytes)
    }

    /// Does what was handed over, ends what is under way, and closes the log.
    pub fn stop(mut self) -> Result<(), Error> {
        self.end()
    }

    fn end(&mut self) -> Result<(), Error> {
        let Some(running) = self.running.take() else { return Ok(()) };
        self.shared.stop();
        running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = self.end(); // what was answered is durable, closed or not
        }
    }
}
