//! One thread's way in: rows are collected until the sink's share of memory is full, then sorted and spilled.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use crate::{error::Error, row::Row};

use super::{
    Build,
    arena::{Arena, Entry, Rank},
    merge::Newest,
    run::{Run, RunWriter},
};

/// One thread's way in.
#[derive(Debug)]
pub struct RowSink {
    build: Arc<Build>,
    seed: u64,
    resident: Resident,
    runs: Vec<Run>,
    rows_in: u64,
    event_time_max_us: Option<i64>,
    has_failed: bool,
}

impl RowSink {
    /// Takes one encoded row (see [`crate::row::RowWriter`]). `ordinal` is its position in the input.
    ///
    /// After an error rows are missing, so the build can only be dropped.
    pub fn push(&mut self, row: &[u8], ordinal: u64) -> Result<(), Error> {
        let pushed = self.push_row(row, ordinal);
        self.has_failed |= pushed.is_err();
        pushed
    }

    pub(super) fn new(build: Arc<Build>, seed: u64) -> Self {
        build.sinks.fetch_add(1, Relaxed);
        let resident = Resident::new(&build);
        Self { build, seed, resident, runs: Vec::new(), rows_in: 0, event_time_max_us: None, has_failed: false }
    }

    pub(super) fn is_of(&self, build: &Arc<Build>) -> bool {
        Arc::ptr_eq(&self.build, build)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.has_failed
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.build.options.root.join(&self.build.options.table)
    }

    pub(super) fn rows_in(&self) -> u64 {
        self.rows_in
    }

    pub(super) fn event_time_max_us(&self) -> Option<i64> {
        self.event_time_max_us
    }

    /// What it still holds, in no order yet, and what it spilled.
    pub(super) fn into_parts(mut self) -> (Resident, Vec<Run>) {
        let emptied = Resident::new(&self.build);
        (std::mem::replace(&mut self.resident, emptied), std::mem::take(&mut self.runs))
    }

    fn push_row(&mut self, row: &[u8], ordinal: u64) -> Result<(), Error> {
        let parsed = Row::parse(&self.build.layout, row).ok().filter(|parsed| parsed.bytes() == row.len());
        let parsed = parsed.ok_or(Error::NotARow)?;
        let hash = (self.build.hash)(self.seed, parsed.key()).0;
        let event_time_us = parsed.event_time_us();
        let rank = self.build.rank(hash, event_time_us, ordinal);
        if self.resident.growth_bytes(row.len()) > 0 {
            self.make_room(row.len())?;
        }
        self.resident.push(rank, row);
        self.rows_in += 1;
        self.event_time_max_us = self.event_time_max_us.max(Some(event_time_us));
        Ok(())
    }

    /// Spills if the memory for one more row would pass this sink's share.
    #[cold]
    fn make_room(&mut self, row_bytes: usize) -> Result<(), Error> {
        let share = self.build.sinks_bytes() / self.build.sinks.load(Relaxed).max(1);
        let is_over = |resident: &Resident| resident.bytes() + resident.growth_bytes(row_bytes) > share;
        if !is_over(&self.resident) || self.resident.entries.is_empty() {
            return Ok(());
        }
        self.resident.sort();
        self.runs.push(self.resident.spill(&self.build)?);
        self.resident.clear();
        if is_over(&self.resident) {
            // More sinks have come, or chunks made for long rows do not suit this one: the memory goes back.
            self.resident = Resident::new(&self.build);
        }
        Ok(())
    }
}

impl Drop for RowSink {
    fn drop(&mut self) {
        self.build.sinks.fetch_sub(1, Relaxed); // its memory is for the others now
    }
}

/// Rows in memory.
#[derive(Debug)]
pub(super) struct Resident {
    pub(super) arena: Arena,
    pub(super) entries: Vec<Entry>,
}

impl Resident {
    fn new(build: &Build) -> Self {
        let chunk_bytes = (build.sinks_bytes() / CHUNKS_PER_MEMORY).clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX);
        Self { arena: Arena::new(chunk_bytes), entries: Vec::new() }
    }

    pub(super) fn sort(&mut self) {
        self.entries.sort_unstable_by_key(|entry| entry.rank);
    }

    /// Gives every row the hash that its key has under another seed, and sorts.
    pub(super) fn reseed(&mut self, build: &Build, seed: u64) -> Result<(), Error> {
        for entry in &mut self.entries {
            let row = Row::parse(&build.layout, self.arena.row(entry.position))?;
            entry.rank.hash = (build.hash)(seed, row.key()).0;
        }
        self.sort();
        Ok(())
    }

    /// Writes what is sorted to a run, of each key only what is needed.
    pub(super) fn spill(&self, build: &Build) -> Result<Run, Error> {
        let mut run = RunWriter::create(&build.scratch, build.block_bytes())?;
        let mut newest = Newest::new(&build.layout);
        for entries in self.entries.chunks(TOUCHED_AHEAD) {
            self.arena.touch(entries);
            for entry in entries {
                let row = self.arena.row(entry.position);
                if build.keeps(newest.see(entry.rank.hash, row)?) {
                    run.push(entry.rank, row)?;
                }
            }
        }
        run.finish()
    }

    fn push(&mut self, rank: Rank, row: &[u8]) {
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact(self.entries_growth());
        }
        let position = self.arena.append(row);
        self.entries.push(Entry { rank, position });
    }

    fn bytes(&self) -> usize {
        self.arena.reserved_bytes() + self.entries.capacity() * size_of::<Entry>()
    }

    /// How much more memory one more row takes.
    #[inline]
    fn growth_bytes(&self, row_bytes: usize) -> usize {
        let entries = if self.entries.len() < self.entries.capacity() { 0 } else { self.entries_growth() };
        self.arena.growth_bytes(row_bytes) + entries * size_of::<Entry>()
    }

    /// By half: doubling would leave up to half of the share unused.
    fn entries_growth(&self) -> usize {
        (self.entries.capacity() / 2).max(ENTRIES_MIN)
    }

    /// Forgets the rows and keeps the memory.
    fn clear(&mut self) {
        self.arena.clear();
        self.entries.clear();
    }
}

/// Of one sink's arena; with many sinks each still has several.
const CHUNKS_PER_MEMORY: usize = 256;
const CHUNK_BYTES_MIN: usize = 4 << 10;
const CHUNK_BYTES_MAX: usize = 1 << 20;
const ENTRIES_MIN: usize = 64;

/// Rows whose memory is waited for together: about as many loads as a core has in flight.
pub(super) const TOUCHED_AHEAD: usize = 16;
