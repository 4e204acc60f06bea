//! The files of the log: one becomes the next segment, old ones become spares.
//!
//! A file gets a segment's name after its header is durable, and holds records after the name is. A segment becomes a spare by a
//! rename that is durable before anything is written to it. So whatever a crash leaves under a segment's name is that segment.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    LogSettings, Sequence,
    recovery::{End, Held},
    segment::{Named, SegmentHeader, UNFINISHED, UNFINISHED_AHEAD, segment_file, spare_file},
};
use crate::{
    disk::{Access, AlignedBuffer, Disk, DiskFile, Listed, is_full},
    error::Error,
    limits::{BLOCK_BYTES, LOG_SPARES_MAX},
};

/// The segment that is written to.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) file: Box<dyn DiskFile>,
    pub(super) path: PathBuf,
    pub(super) number: u64,
    /// Where the next batch goes.
    pub(super) end: u64,
    pub(super) bytes: u64,
}

/// What an error means for the log.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing of the log was touched.
    Harmless(Error),
    /// It is not known what is on disk.
    Poisons(Error),
}

#[derive(Debug)]
pub(super) struct Files {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    pub(super) id: u64,
    segment_bytes: u64,
    /// Oldest first; the last one is active.
    segments: VecDeque<Held>,
    spares: Vec<PathBuf>,
    /// Spares are numbered by themselves, so that no two meet under one name.
    next_spare: u64,
    /// Whether another thread makes a file.
    is_preparing: bool,
    /// Segments that begin before this record are removed when they are freed, and not kept for use.
    erased_before: Sequence,
}

/// A file to be made that a later segment will be. Takes as long as writing a whole segment, and may be done on any thread.
#[derive(Debug)]
pub struct Preparation {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    segment_bytes: u64,
}

/// What came of it, for the log.
#[derive(Debug)]
#[must_use = "the log waits for it"]
pub struct Prepared {
    path: PathBuf,
    made: Result<(), Error>,
}

impl Preparation {
    pub fn run(self) -> Prepared {
        let Self { disk, path, segment_bytes } = self;
        let made = make_file(disk.as_ref(), &path, segment_bytes);
        let made = made.map_err(|(Failure::Harmless(error) | Failure::Poisons(error))| error);
        // A file that could not be synced is not used, so nothing is lost with it.
        let made = made.and_then(|mut file| file.sync().map_err(|source| Error::io("sync", &path, source)));
        if made.is_err() {
            let _ = disk.remove_file(&path); // the first error is the one to tell; the next opening removes it
        }
        Prepared { path, made }
    }
}

impl Files {
    /// Takes stock of spares, and removes what is of no use.
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        folder: &Path,
        settings: LogSettings,
        listed: &[Listed],
    ) -> Result<Self, Error> {
        let (mut spares, mut next_spare) = (Vec::new(), 0);
        for entry in listed {
            let path = folder.join(&entry.name);
            match Named::of(&entry.name) {
                Named::Spare(number) => {
                    next_spare = next_spare.max(number + 1);
                    if entry.bytes == settings.segment_bytes && spares.len() < LOG_SPARES_MAX {
                        spares.push(path);
                    } else {
                        disk.remove_file(&path).map_err(|source| Error::io("remove", &path, source))?;
                    }
                }
                Named::Unfinished => disk.remove_file(&path).map_err(|source| Error::io("remove", &path, source))?,
                Named::Segment(_) | Named::Other => {}
            }
        }
        let (folder, segment_bytes) = (folder.to_owned(), settings.segment_bytes);
        Ok(Self {
            disk,
            folder,
            id: settings.id,
            segment_bytes,
            segments: VecDeque::new(),
            spares,
            next_spare,
            is_preparing: false,
            erased_before: Sequence::default(),
        })
    }

    /// The first segment of a new log, in which `first` is the first record.
    pub(super) fn begin(&mut self, id: u64, first: Sequence) -> Result<Active, Error> {
        self.id = id;
        self.turn(0, first, 0).map_err(|(Failure::Harmless(error) | Failure::Poisons(error))| error)
    }

    /// Goes on where the log ends. At the next block: the one in which the last record ends is not written again.
    pub(super) fn resume(&mut self, end: End) -> Active {
        self.id = end.reader.header.log;
        // Whether what they hold was to be erased died with the process before.
        self.erased_before = end.start;
        self.segments = end.segments.into();
        let SegmentHeader { number, bytes, .. } = end.reader.header;
        let offset = end.offset.next_multiple_of(BLOCK_BYTES as u64);
        Active { file: end.reader.file, path: end.reader.path, number, end: offset, bytes }
    }

    /// Makes the next segment, which will begin with the record `first` behind the one whose head has the checksum `previous`.
    pub(super) fn turn(&mut self, epoch: u32, first: Sequence, previous: u64) -> Result<Active, Failure> {
        let number = self.segments.back().map_or(1, |last| last.number + 1);
        let path = segment_file(&self.folder, number);
        let (from, mut file) = match self.open_spare() {
            Some(spare) => spare,
            None => self.make_unfinished()?,
        };
        let header = SegmentHeader { log: self.id, number, epoch, first, previous, bytes: self.segment_bytes };
        let mut block = AlignedBuffer::new(BLOCK_BYTES);
        header.write(block.bytes_mut());
        let poisons = |op, file: &Path, source| Failure::Poisons(Error::io(op, file, source));
        file.write_at(block.bytes(), 0).map_err(|source| poisons("write to", &from, source))?;
        file.sync().map_err(|source| poisons("sync", &from, source))?;
        self.disk.rename(&from, &path).map_err(|source| poisons("rename to", &path, source))?;
        self.sync_folder()?;
        self.segments.push_back(Held { number, first, bytes: self.segment_bytes });
        Ok(Active { file, path, number, end: BLOCK_BYTES as u64, bytes: self.segment_bytes })
    }

    pub(super) fn free_before(&mut self, sequence: Sequence) -> Result<(), Failure> {
        let mut new_spares = Vec::new();
        let mut is_changed = false;
        // A segment holds records before the first of the next one.
        while let Some(oldest) = self.segments.front()
            && self.segments.get(1).is_some_and(|next| next.first <= sequence)
        {
            let path = segment_file(&self.folder, oldest.number);
            let is_kept = self.spares.len() + new_spares.len() < LOG_SPARES_MAX
                && oldest.bytes == self.segment_bytes
                && oldest.first >= self.erased_before;
            let done = if is_kept {
                let spare = self.spare_name();
                self.disk.rename(&path, &spare).map(|()| new_spares.push(spare))
            } else {
                self.disk.remove_file(&path)
            };
            match done {
                // Somebody was before us, and this is what we wanted.
                Err(source) if source.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(Failure::Poisons(Error::io("free", &path, source))),
                Ok(()) => {}
            }
            self.segments.pop_front();
            is_changed = true;
        }
        if is_changed {
            self.sync_folder()?;
        }
        // Not before: under a name that comes back after a crash there must be what was there.
        self.spares.extend(new_spares);
        Ok(())
    }

    /// Removes all spares, and from now on each segment that begins before `next` when it is freed: of what was written before, nothing
    /// stays on the disk then.
    pub(super) fn erase_before(&mut self, next: Sequence) -> Result<(), Failure> {
        self.erased_before = next;
        for spare in std::mem::take(&mut self.spares) {
            match self.disk.remove_file(&spare) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(Failure::Harmless(Error::io("remove", &spare, source)));
                }
                _ => {}
            }
        }
        self.sync_folder()
    }

    /// Makes a spare, unless there is one.
    pub(super) fn prepare(&mut self) -> Result<(), Failure> {
        if self.spares.is_empty() {
            let (unfinished, mut file) = self.make_unfinished()?;
            // Only so that the sync of its header, when it becomes a segment, has little to do.
            file.sync().map_err(|source| Failure::Poisons(Error::io("sync", &unfinished, source)))?;
            let spare = self.spare_name();
            let renamed = self.disk.rename(&unfinished, &spare);
            renamed.map_err(|source| Failure::Harmless(Error::io("rename to", &spare, source)))?;
            self.spares.push(spare);
        }
        Ok(())
    }

    /// A file to be made elsewhere, unless there is a spare, or one is being made.
    pub(super) fn begin_preparing(&mut self) -> Option<Preparation> {
        if !self.spares.is_empty() || self.is_preparing {
            return None;
        }
        self.is_preparing = true;
        let (disk, path) = (Arc::clone(&self.disk), self.folder.join(UNFINISHED_AHEAD));
        Some(Preparation { disk, path, segment_bytes: self.segment_bytes })
    }

    /// Makes a spare of it.
    pub(super) fn end_preparing(&mut self, prepared: Prepared) -> Result<(), Error> {
        self.is_preparing = false;
        prepared.made?;
        let spare = self.spare_name();
        self.disk.rename(&prepared.path, &spare).map_err(|source| Error::io("rename to", &spare, source))?;
        self.spares.push(spare);
        Ok(())
    }

    /// How much the segments take that records are read from, spares not counted.
    pub(super) fn segments_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    pub(super) fn disk_bytes(&self) -> u64 {
        let segments: u64 = self.segments.iter().map(|segment| segment.bytes).sum();
        segments + self.spares.len() as u64 * self.segment_bytes
    }

    /// A spare that can still be opened.
    fn open_spare(&mut self) -> Option<(PathBuf, Box<dyn DiskFile>)> {
        while let Some(spare) = self.spares.pop() {
            if let Ok(file) = self.disk.open(&spare, Access::Direct) {
                return Some((spare, file));
            }
        }
        None
    }

    fn make_unfinished(&self) -> Result<(PathBuf, Box<dyn DiskFile>), Failure> {
        let path = self.folder.join(UNFINISHED);
        let file = make_file(self.disk.as_ref(), &path, self.segment_bytes)?;
        Ok((path, file))
    }

    fn spare_name(&mut self) -> PathBuf {
        self.next_spare += 1;
        spare_file(&self.folder, self.next_spare - 1)
    }

    fn sync_folder(&self) -> Result<(), Failure> {
        let synced = self.disk.sync_folder(&self.folder);
        synced.map_err(|source| Failure::Poisons(Error::io("sync the folder", &self.folder, source)))
    }
}

/// A new file of zeros whose space is taken. Not synced.
fn make_file(disk: &dyn Disk, path: &Path, bytes: u64) -> Result<Box<dyn DiskFile>, Failure> {
    match disk.remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            return Err(Failure::Harmless(Error::io("remove", path, source)));
        }
        _ => {}
    }
    let refused = |source: io::Error| match is_full(&source) {
        true => Error::Full { file: path.to_owned(), source },
        false => Error::io("create", path, source),
    };
    let mut file = disk.create(path, Access::Direct).map_err(|source| Failure::Harmless(refused(source)))?;
    if let Err(source) = file.reserve(bytes) {
        // What little there was is given back.
        let _ = disk.remove_file(path);
        let is_full = is_full(&source);
        let error = refused(source);
        return Err(if is_full { Failure::Harmless(error) } else { Failure::Poisons(error) });
    }
    Ok(file)
}

/// Makes the log's folder, and its name durable.
pub(super) fn make_folder(disk: &dyn Disk, folder: &Path) -> Result<(), Error> {
    match disk.create_folder(folder) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            return Err(Error::io("create the folder", folder, source));
        }
        _ => {}
    }
    let Some(parent) = folder.parent() else { return Ok(()) };
    disk.sync_folder(parent).map_err(|source| Error::io("sync the folder", parent, source))
}

/// Nothing where there is no folder.
pub(super) fn list(disk: &dyn Disk, folder: &Path) -> Result<Vec<Listed>, Error> {
    match disk.list(folder) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.map_err(|source| Error::io("list", folder, source)),
    }
}
