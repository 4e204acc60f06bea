//! Which row starts where, in ascending hash order: kept in memory up to a bound, then spilled beside the segment. The index
//! cannot be laid out before the number of rows is known, and may have to be laid out again.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Read, Seek, Write},
    path::{Path, PathBuf},
};

use crate::{error::Error, limits::ENTRIES_BUFFERED_MAX};

/// A row's hash, and where it starts in units of the row alignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) hash: u64,
    pub(super) start: u32,
}

/// The list of all entries. What was spilled is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Entries {
    path: PathBuf,
    /// All that were spilled come before all that are here.
    recent: Vec<Entry>,
    spilled: Option<BufWriter<File>>,
    count: u64,
    buffered_max: usize,
}

impl Entries {
    /// Beside `segment`, when it comes to that.
    pub(super) fn new(segment: &Path) -> Self {
        let mut name = segment.as_os_str().to_owned();
        name.push(".entries");
        Self { path: name.into(), recent: Vec::new(), spilled: None, count: 0, buffered_max: ENTRIES_BUFFERED_MAX }
    }

    #[cfg(test)]
    pub(super) fn set_buffered_max(&mut self, buffered_max: usize) {
        self.buffered_max = buffered_max;
    }

    pub(super) fn len(&self) -> u64 {
        self.count
    }

    pub(super) fn push(&mut self, entry: Entry) -> Result<(), Error> {
        if self.recent.len() >= self.buffered_max {
            self.spill()?;
        }
        self.recent.push(entry);
        self.count += 1;
        Ok(())
    }

    /// Hands all entries to `visit`, in order.
    pub(super) fn for_each(&mut self, mut visit: impl FnMut(Entry) -> Result<(), Error>) -> Result<(), Error> {
        if let Some(spilled) = &mut self.spilled {
            let reading = |source| Error::io("read", &self.path, source);
            spilled.flush().map_err(|source| Error::io("write", &self.path, source))?;
            let file = spilled.get_mut();
            file.rewind().map_err(reading)?;
            let mut reader = BufReader::with_capacity(BUFFER_BYTES, &*file);
            let mut record = [0; RECORD_BYTES];
            for _ in 0..self.count - self.recent.len() as u64 {
                reader.read_exact(&mut record).map_err(reading)?;
                visit(decode(record))?;
            }
        }
        self.recent.iter().try_for_each(|entry| visit(*entry))
    }

    fn spill(&mut self) -> Result<(), Error> {
        if self.spilled.is_none() {
            let file = File::options().read(true).write(true).create(true).truncate(true).open(&self.path);
            let file = file.map_err(|source| Error::io("create", &self.path, source))?;
            self.spilled = Some(BufWriter::with_capacity(BUFFER_BYTES, file));
        }
        if let Some(out) = &mut self.spilled {
            for entry in self.recent.drain(..) {
                let written = out.write_all(&encode(entry));
                written.map_err(|source| Error::io("write", &self.path, source))?;
            }
        }
        Ok(())
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        if self.spilled.is_some() {
            // Left behind it wastes space until the folder is cleaned; nothing reads it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn encode(entry: Entry) -> [u8; RECORD_BYTES] {
    let mut record = [0; RECORD_BYTES];
    record[..8].copy_from_slice(&entry.hash.to_le_bytes());
    record[8..].copy_from_slice(&entry.start.to_le_bytes());
    record
}

fn decode(record: [u8; RECORD_BYTES]) -> Entry {
    let [a, b, c, d, e, f, g, h, start @ ..] = record;
    Entry { hash: u64::from_le_bytes([a, b, c, d, e, f, g, h]), start: u32::from_le_bytes(start) }
}

const RECORD_BYTES: usize = 12;
const BUFFER_BYTES: usize = 1 << 18;
