//! Writes: how the storage plane is started, and what is told of it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use gannet_api::definitions::model::FeatureView;
use gannet_engine::clock::Clock;
use gannet_store::{
    Error,
    directory::{DataDirectory, GivenUp},
    plane::{
        Combine, Durability, Moment, Plane, PlaneClock, PlaneRecovered, PlaneSettings, PlaneState, PlaneStatus,
        StreamTables, Submitter,
    },
};

use crate::log;

/// What an operator sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IngestSettings {
    /// `None`: every write is on the disk before it is answered.
    pub(crate) sync_every: Option<Duration>,
    /// Memory of what is in no file yet.
    pub(crate) overlay_bytes: u64,
    /// A write log that cannot be read back is put aside.
    pub(crate) gives_up_log: bool,
}

impl Default for IngestSettings {
    fn default() -> Self {
        Self { sync_every: None, overlay_bytes: OVERLAY_BYTES, gives_up_log: false }
    }
}

/// The storage plane, and what was last told of it.
#[derive(Debug)]
pub(super) struct Writes {
    plane: Plane,
    told: PlaneState,
    work_failed: Option<String>,
    damaged: BTreeMap<String, String>,
}

impl Writes {
    /// Starts the plane: what the log has and no generation holds is readable afterwards. Refuses a directory that another process
    /// serves, and a log that is damaged.
    pub(super) fn start(
        data: DataDirectory,
        settings: IngestSettings,
        cores: usize,
        clock: Clock,
        tables: Arc<StreamTables>,
    ) -> Result<(Self, Vec<Submitter>)> {
        let now = move || {
            let now = clock.now();
            Moment { monotonic_us: now.monotonic_ns / 1000, unix_us: now.unix_us }
        };
        let settings = PlaneSettings {
            durability: settings.sync_every.map_or(Durability::Always, Durability::Interval),
            overlay_budget_bytes: usize::try_from(settings.overlay_bytes).unwrap_or(usize::MAX),
            gives_up_log: settings.gives_up_log,
            ..PlaneSettings::new(cores, PlaneClock::new(now))
        };
        let (plane, submitters, recovered) = Plane::start(data, settings, tables).map_err(refused)?;
        tell_of(&recovered);
        Ok((Self { plane, told: PlaneState::Ready, work_failed: None, damaged: BTreeMap::new() }, submitters))
    }

    pub(super) fn plane(&self) -> &Plane {
        &self.plane
    }

    /// What is to be shown, and whether writes are taken or not since the last look.
    pub(super) fn look(&mut self) -> (PlaneStatus, bool) {
        let status = self.plane.status();
        let changed = status.state != self.told;
        if changed {
            match &status.state {
                PlaneState::Ready => log::info("writes are taken again", &[]),
                PlaneState::DiskFull { reason } => {
                    log::error("writes are refused until the disk has room; reads go on", &[("cause", reason)]);
                }
                PlaneState::Unavailable { reason } => {
                    log::error("writes are refused until the write log can go on; reads go on", &[("cause", reason)]);
                }
                PlaneState::Poisoned { reason } => {
                    let message =
                        "the write log failed: writes are refused until this process is started again; reads go on";
                    log::error(message, &[("cause", reason)]);
                }
            }
            self.told = status.state.clone();
        }
        if status.work_failed != self.work_failed {
            match &status.work_failed {
                Some(cause) => log::error("a flush or compaction failed and is tried again", &[("cause", cause)]),
                None => log::info("flushes and compactions go through again", &[]),
            }
            self.work_failed.clone_from(&status.work_failed);
        }
        if status.damaged != self.damaged {
            let new = status.damaged.iter().filter(|(table, _)| !self.damaged.contains_key(*table));
            for (table, cause) in new {
                let message = "files of a table are damaged: it is not compacted, and a flush that needs them fails";
                log::error(message, &[("table", table), ("cause", cause)]);
            }
            self.damaged.clone_from(&status.damaged);
        }
        (status, changed)
    }

    /// Why no writes are taken, for whoever asks whether this process is ready.
    pub(super) fn refusal(&self) -> Option<String> {
        match &self.told {
            PlaneState::Ready => None,
            PlaneState::DiskFull { reason } => Some(format!("writes are refused, the disk is full: {reason}")),
            PlaneState::Unavailable { reason } => Some(format!("writes are refused for now: {reason}")),
            PlaneState::Poisoned { reason } => Some(format!("writes are refused, the write log failed: {reason}")),
        }
    }

    /// Ends once what was handed over is on the disk.
    pub(super) fn stop(self) -> Result<()> {
        self.plane.stop().context("the write log could not be closed; what was answered is in it all the same")
    }
}

/// How rows of a view become one.
#[derive(Debug, Default)]
pub(super) struct Combining {
    rows_cut: Arc<AtomicU64>,
}

impl Combining {
    /// `None`: of several rows of a key the newest counts.
    pub(super) fn of(&self, view: &FeatureView) -> Option<Arc<dyn Combine>> {
        view.combine(&self.rows_cut)
    }

    /// Rows that became too long and lost their oldest tiles.
    pub(super) fn rows_cut(&self) -> u64 {
        self.rows_cut.load(Ordering::Relaxed)
    }
}

fn refused(error: Error) -> anyhow::Error {
    match error {
        Error::Locked { .. } => anyhow::anyhow!("{error}; another gannet serves this data directory: stop it first"),
        error @ Error::Corrupt(_) => anyhow::Error::from(error).context(
            "the write log cannot be opened; `--give-up-log` starts without what only it has, see docs/operating/storage.md",
        ),
        error => anyhow::Error::from(error).context("the write log cannot be opened"),
    }
}

fn tell_of(recovered: &PlaneRecovered) {
    let PlaneRecovered { given_up, records, rows, rows_passed_over, cut, was_closed, overlay_budget_bytes, .. } =
        recovered;
    if let Some(GivenUp { cause, folder }) = given_up {
        let message = "the write log is given up: what was in it and in no generation is lost";
        let aside =
            folder.as_ref().map_or_else(|| "nothing was left".to_owned(), |folder| folder.display().to_string());
        log::error(message, &[("aside", &aside), ("cause", cause)]);
    }
    if let Some(cut) = cut {
        let message = "the write log ends in a write that nobody was told of; it is cut";
        log::warn(message, &[("file", &cut.file.display()), ("offset", &cut.offset), ("bytes", &cut.bytes)]);
    }
    if *records > 0 {
        log::info("writes were read back", &[("records", records), ("rows", rows), ("after_a_crash", &!was_closed)]);
    }
    if let Some(bytes) = overlay_budget_bytes {
        let message = "the overlay takes more memory than it was given: what was written could not be brought to disk";
        log::warn(message, &[("bytes", bytes)]);
    }
    if *rows_passed_over > 0 {
        let message = "writes to feature views that are gone or have another shape now were passed over";
        log::warn(message, &[("rows", rows_passed_over)]);
    }
}

/// A million rows of 100 bytes, twice: half of it takes writes while the other half is flushed.
const OVERLAY_BYTES: u64 = 256 << 20;
