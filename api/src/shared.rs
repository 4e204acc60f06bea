//! What all cores of a process share: the live catalog, the key table and the state. Each is one pointer; a core loads
//! them at a turn's boundary and nowhere else.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::{ArcSwap, ArcSwapOption};
use gannet_engine::{Now, metrics::Sample};
use gannet_store::plane::PlaneStatus;

use crate::{auth::KeyTable, catalog::Catalog, metrics::Metrics, tecton::MetadataOptions};

/// What an operator may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The workspace of requests that name none.
    pub default_workspace: String,
    /// Metadata for requests that set no metadata option themselves. Empty by default.
    pub default_metadata_options: MetadataOptions,
    /// Every answer tells where its time went, whether or not it was asked to.
    pub server_timing: bool,
    /// The region that metrics name in a label `aws_region`, as Tecton's do.
    pub aws_region: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_workspace: "prod".to_owned(),
            default_metadata_options: MetadataOptions::default(),
            server_timing: false,
            aws_region: "local".to_owned(),
        }
    }
}

/// Whether the process should be sent requests; what `/readyz` answers.
///
/// Requests for features are answered whenever a catalog is published, while draining too: the server that drains stops
/// listening, and what still arrives on open connections deserves an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Not yet: 503 with this reason.
    Starting(String),
    /// 200, provided that a catalog is published.
    Ready,
    /// No longer: 503 with this reason.
    Draining(String),
}

/// Where `/metrics` finds what a shard counts. Implemented by whoever holds the shards' counters.
pub trait ShardSamples: Send + Sync {
    /// Shows every sample of one shard, in the same order each time.
    fn samples(&self, visit: &mut dyn FnMut(Sample));
}

/// What the storage plane counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StorageFigures {
    pub plane: PlaneStatus,
    /// Rows of aggregates that lost their oldest tiles because they had become too long.
    pub aggregate_rows_cut: u64,
}

type Log = Box<dyn Fn(&str) + Send + Sync>;

/// One per process, in an `Arc`.
pub struct Shared {
    pub(crate) settings: ArcSwap<Settings>,
    pub(crate) shards: Vec<Arc<dyn ShardSamples>>,
    pub(crate) catalog: ArcSwapOption<Catalog>,
    pub(crate) keys: ArcSwap<KeyTable>,
    pub(crate) state: ArcSwap<State>,
    /// Goes up with every change above, so that a core looks at one number per turn.
    pub(crate) version: AtomicU64,
    pub(crate) metrics: Metrics,
    /// What the storage plane last said of itself.
    pub(crate) storage: ArcSwapOption<StorageFigures>,
    log: OnceLock<Log>,
}

impl Shared {
    /// Nothing to serve, no keys, starting. `shards` in core order: the index becomes the label `core`.
    pub fn new(settings: Settings, shards: Vec<Arc<dyn ShardSamples>>) -> Self {
        Self {
            settings: ArcSwap::from_pointee(settings),
            shards,
            catalog: ArcSwapOption::empty(),
            keys: ArcSwap::from_pointee(KeyTable::default()),
            state: ArcSwap::from_pointee(State::Starting("starting".to_owned())),
            version: AtomicU64::new(0),
            metrics: Metrics::default(),
            storage: ArcSwapOption::empty(),
            log: OnceLock::new(),
        }
    }

    /// Where [`Catalog::compile`] registers names.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What is served from each core's next turn on; `None` is nothing (503). Returns what was served before: whoever
    /// lets go of it last unmaps its tables, which takes milliseconds, so keep it until every core had a turn (a second
    /// is plenty) and drop it on a thread that serves nobody.
    pub fn publish(&self, catalog: Option<Arc<Catalog>>) -> Option<Arc<Catalog>> {
        let before = self.catalog.swap(catalog);
        self.changed();
        before
    }

    /// Who may ask from each core's next turn on.
    pub fn set_keys(&self, keys: KeyTable) {
        self.keys.store(Arc::new(keys));
        self.changed();
    }

    /// What requests that leave something out get from each core's next turn on.
    pub fn set_settings(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
        self.changed();
    }

    /// What `/readyz` answers from each core's next turn on.
    pub fn set_state(&self, state: State) {
        self.state.store(Arc::new(state));
        self.changed();
    }

    /// What `/metrics` tells of the storage plane, from now on and until told anew.
    pub fn set_storage(&self, figures: StorageFigures) {
        self.storage.store(Some(Arc::new(figures)));
    }

    /// Looks at the counters of which rates are shown, if it is time again. To be called every second or so, by a thread that serves
    /// nobody; the first call is where rates begin.
    pub fn look_at_rates(&self, now: Now) {
        self.metrics.look(now.monotonic_ns);
    }

    /// Where one line per kind of trouble goes, rate-limited. The first hook that is set stays.
    pub fn set_log(&self, log: impl Fn(&str) + Send + Sync + 'static) {
        let _kept = self.log.set(Box::new(log));
    }

    pub(crate) fn log(&self, line: &str) {
        if let Some(log) = self.log.get() {
            log(line);
        }
    }

    fn changed(&self) {
        self.version.fetch_add(1, Ordering::Release); // after the store, or a core could miss it
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("settings", &self.settings.load())
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
