//! Rows that come in ascending order of their hashes, one of each key, become segments one after the other.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    BuildOptions,
    segments::{ROW_OVERHEAD_BYTES, Unfinished},
};
use crate::{
    directory::{
        SEGMENTS, SegmentEntry, TableEntry,
        disk::{self, Disk, SystemDisk, failed},
    },
    error::Error,
    limits::{PARTITIONS_MAX, SEGMENT_BYTES_MAX},
    schema::Schema,
    segment::{Placement, SegmentSummary, SegmentWriter, partition_of},
    table::{KeyHash, Table},
};

/// A table under construction. Dropped without `finish`, it removes what it wrote.
#[derive(Debug)]
pub(crate) struct AscendingTable {
    schema: Arc<Schema>,
    options: BuildOptions,
    seed: u64,
    partitions: u32,
    /// Of all segments, whose number is known from the start.
    names: Vec<String>,
    disk: Arc<dyn Disk>,
    /// Declared before `unfinished`, so that the file is closed before it is removed.
    writing: Option<SegmentWriter>,
    written: Vec<(SegmentEntry, SegmentSummary)>,
    unfinished: Unfinished,
}

impl AscendingTable {
    /// For about this many rows and bytes of rows, under this hash seed.
    pub(crate) fn new(
        schema: Arc<Schema>,
        options: BuildOptions,
        seed: u64,
        rows: u64,
        row_bytes: u64,
    ) -> Result<Self, Error> {
        let partitions = (row_bytes + rows * ROW_OVERHEAD_BYTES).div_ceil(SEGMENT_BYTES_MAX).max(1);
        let partitions = u32::try_from(partitions).unwrap_or(u32::MAX).min(PARTITIONS_MAX);
        let disk: Arc<dyn Disk> = Arc::new(SystemDisk);
        let table = Path::new(SEGMENTS).join(&options.table);
        let folder = options.root.join(&table);
        let unique = format!("{:016x}-{:016x}", options.now_us, disk::random());
        let names = (0..partitions).map(|partition| format!("{unique}-{partition:05}.seg")).collect();
        disk::create_folders(disk.as_ref(), &options.root, &table)?;
        let unfinished = Unfinished { files: Vec::new(), folder, disk: Arc::clone(&disk) };
        let (writing, written) = (None, Vec::new());
        Ok(Self { schema, options, seed, partitions, names, disk, writing, written, unfinished })
    }

    pub(crate) fn push(&mut self, hash: KeyHash, row: &[u8]) -> Result<(), Error> {
        let partition = partition_of(hash, self.partitions) as usize;
        while self.written.len() < partition {
            self.end_segment()?;
        }
        self.segment()?.push(hash, row)
    }

    /// The entry for a manifest, once everything is written, synced, and read back as a server would.
    pub(crate) fn finish(mut self) -> Result<TableEntry, Error> {
        while self.written.len() < self.names.len() {
            self.end_segment()?;
        }
        disk::sync_folder(self.disk.as_ref(), &self.unfinished.folder)?;
        let summaries = || self.written.iter().map(|(_, summary)| summary);
        let entry = TableEntry {
            schema: Schema::clone(&self.schema),
            seed: self.seed,
            segments: self.written.iter().map(|(entry, _)| entry.clone()).collect(),
            rows: summaries().map(|summary| summary.rows).sum(),
            tombstones: summaries().map(|summary| summary.tombstones).sum(),
            raw_bytes: summaries().map(|summary| summary.raw_bytes).sum(),
            event_time_min_us: summaries().filter_map(|summary| summary.event_time_min_us).min(),
            event_time_max_us: summaries().filter_map(|summary| summary.event_time_max_us).max(),
            built_at_us: self.options.now_us,
            holds_writes: false,
            has_deletes: false,
            newest_event_us: None,
        };
        let entry = entry.with_events_up_to(summaries().filter_map(|summary| summary.newest_event_us).max());
        Table::open(&self.options.root, &entry)?.verify(&mut |_| {})?;
        self.unfinished.files.clear();
        Ok(entry)
    }

    fn segment(&mut self) -> Result<&mut SegmentWriter, Error> {
        if self.writing.is_none() {
            let partition = u32::try_from(self.written.len()).unwrap_or(u32::MAX); // below PARTITIONS_MAX
            let placement = Placement { seed: self.seed, partition, partitions: self.partitions };
            self.writing = Some(SegmentWriter::create(&self.temporary(), &self.schema, placement)?);
        }
        Ok(self.writing.as_mut().expect("made if it was missing"))
    }

    fn end_segment(&mut self) -> Result<(), Error> {
        self.segment()?;
        let Some(segment) = self.writing.take() else { return Ok(()) };
        let (summary, name) = (segment.finish()?, &self.names[self.written.len()]);
        let (temporary, file) = (self.temporary(), self.unfinished.folder.join(name));
        self.unfinished.files.push(temporary.clone());
        self.disk.rename(&temporary, &file).map_err(|source| failed("rename to", &file, source))?;
        self.unfinished.files.pop();
        self.unfinished.files.push(file);
        let entry = SegmentEntry {
            file: format!("{SEGMENTS}/{}/{name}", self.options.table),
            bytes: summary.bytes,
            rows: summary.rows,
            root: format!("{:016x}", summary.root),
        };
        self.written.push((entry, summary));
        Ok(())
    }

    fn temporary(&self) -> PathBuf {
        // Not random: there is one at a time, and what it is made from is.
        self.unfinished.folder.join(format!(
            ".{}.tmp-{}-{:016x}",
            self.names[self.written.len()],
            std::process::id(),
            0
        ))
    }
}
