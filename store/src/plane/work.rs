//! What takes long, as values: done on threads beside the plane's, or in place by tests.
//!
//! A flush and a compaction may go on at the same time. Each builds without the directory's lock, which is taken to publish what was built,
//! if what it was built upon is still live.

use std::{io, path::Path};

use super::{PlaneClock, compacting::Compact, flushing::Flush, underway::Underway};
use crate::{
    directory::{DataDirectory, Manifest, WriterLock},
    error::{Corrupt, Error},
    levels::{FlushOptions, Stop},
    log::{Preparation, Prepared},
};

#[derive(Debug)]
pub(super) enum Job {
    Flush {
        flush: Box<Flush>,
        options: WorkOptions,
    },
    Compact {
        compact: Box<Compact>,
        options: WorkOptions,
    },
    /// A file for the log, ahead of its time.
    Prepare(Preparation),
}

#[derive(Debug)]
pub(super) enum JobDone {
    Flushed {
        flush: Box<Flush>,
        attempts: u32,
        outcome: Result<u64, Error>,
        damaged: Option<String>,
        took_us: u64,
    },
    Compacted {
        compact: Box<Compact>,
        outcome: Result<Option<Compaction>, Error>,
        /// The table whose files could not be read, if that is why.
        damaged: Option<String>,
        took_us: u64,
    },
    Prepared(Prepared),
}

#[derive(Debug, Clone)]
pub(super) struct WorkOptions {
    pub(super) memory_bytes: usize,
    pub(super) now_us: i64,
    pub(super) generations_kept: usize,
    pub(super) stop: Stop,
    pub(super) underway: Underway,
}

/// A compaction that was published, or found nothing to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Compaction {
    pub(super) table: String,
    pub(super) generation: Option<u64>,
}

/// Which thread does a job: none of one kind waits for one of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Flush,
    Compact,
    Files,
}

impl Job {
    pub(super) fn lane(&self) -> Lane {
        match self {
            Self::Flush { .. } => Lane::Flush,
            Self::Compact { .. } => Lane::Compact,
            Self::Prepare(_) => Lane::Files,
        }
    }

    /// The first part of [`Self::run`], which does it if it was not done: all that may be done before anything is published.
    pub(super) fn build(&mut self, data: &DataDirectory) -> Result<(), Error> {
        match self {
            Self::Flush { flush, options } => flush.build(data, options),
            Self::Compact { compact, options } => compact.build(data, options),
            Self::Prepare(_) => Ok(()),
        }
    }

    pub(super) fn run(mut self, data: &DataDirectory, clock: &PlaneClock) -> JobDone {
        let started = clock.now();
        let took_us = || clock.now().monotonic_us.saturating_sub(started.monotonic_us);
        let built = self.build(data);
        match self {
            Self::Prepare(preparation) => JobDone::Prepared(preparation.run()),
            Self::Flush { mut flush, options } => {
                let outcome = built.and_then(|()| flush.publish(data, &options));
                let damaged = outcome.as_ref().err().and_then(|error| damaged_table(data, error));
                JobDone::Flushed { attempts: flush.attempts, flush, outcome, damaged, took_us: took_us() }
            }
            Self::Compact { mut compact, options } => {
                let outcome = built.and_then(|()| compact.publish(data, &options));
                let damaged = outcome.as_ref().err().and_then(|error| damaged_table(data, error));
                JobDone::Compacted { compact, outcome, damaged, took_us: took_us() }
            }
        }
    }
}

impl WorkOptions {
    pub(super) fn for_levels(&self, data: &DataDirectory) -> FlushOptions {
        let (root, stop) = (data.root().to_owned(), self.stop.clone());
        FlushOptions { root, memory_bytes: self.memory_bytes, now_us: self.now_us, stop }
    }
}

/// The table whose file this error is of, if it is one of a file that cannot be read.
fn damaged_table(data: &DataDirectory, error: &Error) -> Option<String> {
    let file = match error {
        Error::Corrupt(Corrupt { file, .. }) => Path::new(file),
        Error::Io { file, source, .. } if source.kind() == io::ErrorKind::NotFound => file,
        _ => return None,
    };
    let live = data.current().ok()??;
    let mut tables = live.tables.into_iter().chain(live.deltas);
    tables.find_map(|(name, entry)| entry.segments.iter().any(|segment| file.ends_with(&segment.file)).then_some(name))
}

/// The live generation; the first one is made if there is none.
pub(super) fn live(data: &DataDirectory, lock: &WriterLock) -> Result<Manifest, Error> {
    match data.current()? {
        Some(live) => Ok(live),
        None => data.publish(lock, |_| ()),
    }
}

/// What is published is published; what could not be removed is removed the next time.
pub(super) fn collect(data: &DataDirectory, lock: &WriterLock, generations_kept: usize) {
    let _ = data.collect_garbage(lock, generations_kept);
}

/// Builds upon the live generation; once more if it failed and another one is live by now: what it was built upon may have been removed.
pub(super) fn build_upon_live<T>(
    data: &DataDirectory,
    mut live: Manifest,
    mut build: impl FnMut(&Manifest) -> Result<T, Error>,
) -> Result<T, Error> {
    loop {
        let error = match build(&live) {
            Err(error) if !matches!(error, Error::GivenUp) => error,
            built => return built,
        };
        match data.current()? {
            Some(now) if now.generation != live.generation => live = now,
            _ => return Err(error),
        }
    }
}
