//! The write log: what was acknowledged and is in no segment of the store yet.
//!
//! ```text
//! DATA/log/0000000007.log    one of several files of a fixed size: a header block, then batches
//! DATA/log/0000000003.spare  one that is no longer needed, kept to become a later one
//! DATA/log/LOCK              locked by the process that appends
//!
//! | header | batch      | batch        | batch | stale or zero …
//!          |rec|rec|pad |rec|rec|rec|pad|rec|pd |
//!          '-- a multiple of 4096 ------'-- one write and one sync each
//! ```
//! 1. A record counts once the write *and* the sync of its batch came back. There is one of each per batch, however many records.
//! 2. A block that holds what was acknowledged is not written again while its segment counts, so no later write can tear what was acknowledged.
//! 3. Every opening begins a new epoch with a record of its own, durable before anything is appended. So what was cut stays cut.
//! 4. A write or sync that failed poisons the log: nothing is acknowledged any more, until it is opened again and so recovered.
//! 5. Nothing here knows what a payload means, reads a clock or starts a thread. One caller drives it and waits where it waits.
//!
//! `docs/format.md` draws the bytes, and says what is a tear and what is rot.

mod batch;
mod files;
mod reader;
mod record;
mod recovery;
mod segment;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

pub use files::{Preparation, Prepared};
pub use recovery::{Cut, Recovered};

use self::{
    batch::Batch,
    files::{Active, Files},
    reader::SegmentReader,
    record::{Kind, Place},
};
use crate::{
    directory::disk::random,
    disk::{Disk, HeldLock},
    error::Error,
    limits::{BLOCK_BYTES, LOG_BATCH_BYTES, LOG_PAYLOAD_BYTES_MAX, LOG_SEGMENT_BYTES, LOG_SEGMENT_BYTES_MAX},
};

/// The number of a record. They go up by one, over all segments and epochs; the first is 1. 0 is before everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sequence(pub u64);

impl fmt::Display for Sequence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// What is delivered when the log is read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'r> {
    pub sequence: Sequence,
    pub payload: &'r [u8],
}

/// How a log is laid out. May differ from opening to opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    /// Of a new segment. A multiple of a block.
    pub segment_bytes: u64,
    /// The most that is committed at once. A multiple of a block.
    pub batch_bytes: usize,
    /// The identity of a log that is made now; one that exists keeps its own.
    pub id: u64,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { segment_bytes: LOG_SEGMENT_BYTES, batch_bytes: LOG_BATCH_BYTES, id: random() }
    }
}

/// A log, open for appending.
#[derive(Debug)]
pub struct Log {
    files: Files,
    active: Active,
    batch: Batch,
    epoch: u32,
    /// The epoch of this opening, if it is still to be begun: there was no room for its record.
    to_begin: Option<u32>,
    /// The last record that is durable, and the checksum of its head.
    committed: Sequence,
    previous: u64,
    /// Whether the last batch held data, for which nothing vouches yet but that it was acknowledged.
    is_unvouched: bool,
    poisoned: Option<Poison>,
    _lock: Box<dyn HeldLock>,
}

#[derive(Debug, Clone)]
struct Poison {
    file: PathBuf,
    reason: String,
}

impl Log {
    /// Opens the log in `folder`, made if it is missing, and hands every record behind `from` to `each`, in order.
    ///
    /// `from` is up to where the caller has everything in a generation: the log must reach at least as far. Among what is
    /// delivered may be records at the end that nobody was told of; from here on they count. Refuses with [`Error::Locked`] when
    /// another process has it open, and with [`Error::Corrupt`] when a record is gone that was acknowledged. An error leaves the
    /// log as it was, or with nothing but the mark of an opening more.
    ///
    /// A log that is there is opened on a full disk, too; then it takes nothing before [`Self::begin`] has found room.
    pub fn open(
        disk: Arc<dyn Disk>,
        folder: &Path,
        settings: LogSettings,
        from: Sequence,
        each: &mut dyn FnMut(Record<'_>) -> Result<(), Error>,
    ) -> Result<(Self, Recovered), Error> {
        settings.check();
        files::make_folder(disk.as_ref(), folder)?;
        let lock = disk.lock(&folder.join("LOCK"))?;
        // A name that a killed process left is seen here without being durable, and would be built upon.
        disk.sync_folder(folder).map_err(|source| Error::io("sync the folder", folder, source))?;
        let listed = files::list(disk.as_ref(), folder)?;
        let (recovered, end) = recovery::read(disk.as_ref(), folder, &listed, from, true, each)?;

        let mut files = Files::new(disk, folder, settings, &listed)?;
        let (epoch, epoch_max, previous) =
            end.as_ref().map_or((0, 0, 0), |end| (end.epoch, end.epoch_max, end.previous));
        let active = match end {
            Some(end) => files.resume(end),
            None => files.begin(settings.id, Sequence(1))?,
        };
        let mut log = Self {
            files,
            active,
            batch: Batch::new(settings.batch_bytes),
            epoch,
            to_begin: Some(epoch_max + 1),
            committed: recovered.last,
            previous,
            is_unvouched: false,
            poisoned: None,
            _lock: lock,
        };
        match log.begin() {
            Ok(()) => Ok((log, recovered)),
            Err(Error::Full { .. }) => {
                // What was delivered counts from here on, and perhaps is not durable: the sync of the opening's record would have made it so.
                let synced = log.active.file.sync();
                synced.map_err(|source| Error::io("sync", &log.active.path, source))?;
                Ok((log, recovered))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether this opening's record is written. Until then nothing is taken.
    pub fn has_begun(&self) -> bool {
        self.to_begin.is_none()
    }

    /// Begins a log in `folder`, in which there is none, as if its records up to `from` had been freed.
    pub(crate) fn begin_behind(
        disk: Arc<dyn Disk>,
        folder: &Path,
        settings: LogSettings,
        from: Sequence,
    ) -> Result<Self, Error> {
        settings.check();
        files::make_folder(disk.as_ref(), folder)?;
        let lock = disk.lock(&folder.join("LOCK"))?;
        let listed = files::list(disk.as_ref(), folder)?;
        let mut files = Files::new(disk, folder, settings, &listed)?;
        let mut log = Self {
            active: files.begin(settings.id, Sequence(from.0 + 1))?,
            files,
            batch: Batch::new(settings.batch_bytes),
            epoch: 0,
            to_begin: Some(1),
            committed: from,
            previous: 0,
            is_unvouched: false,
            poisoned: None,
            _lock: lock,
        };
        log.begin()?;
        Ok(log)
    }

    /// Begins the epoch of this opening, unless that is done: nothing is taken before. With [`Error::Full`] it may be tried again. The
    /// number of the next record changes with it.
    pub fn begin(&mut self) -> Result<(), Error> {
        self.refuse_poisoned()?;
        let Some(epoch) = self.to_begin else { return Ok(()) };
        self.append_kind(Kind::Opening, &[])?;
        // Whose segment still belongs to the epoch before.
        if let Err(error) = self.make_room() {
            self.batch.clear();
            return Err(error);
        }
        (self.epoch, self.to_begin) = (epoch, None);
        self.commit().map(drop)
    }

    /// Adds a record whose payload is `parts` one after the other. Promises nothing: the record counts once a [`Self::commit`]
    /// returned its number or a higher one. Does no I/O but that of [`Self::begin`]. Fails with [`Error::BatchFull`] when it has to wait for a commit.
    pub fn append(&mut self, parts: &[&[u8]]) -> Result<Sequence, Error> {
        self.begin()?;
        self.append_kind(Kind::Data, parts)
    }

    /// Makes durable what was appended, with one write and one sync. Returns the last record that is.
    ///
    /// After [`Error::Poisoned`] it is not known whether the batch will be found when the log is opened again. After any other error,
    /// as [`Error::Full`], nothing of it was written: it is dropped, its numbers are given out again, and the next batch may fare
    /// better.
    pub fn commit(&mut self) -> Result<Sequence, Error> {
        self.refuse_poisoned()?;
        if self.batch.is_empty() {
            return Ok(self.committed);
        }
        if let Err(error) = self.make_room() {
            self.batch.clear();
            return Err(error);
        }
        let place = Place { log: self.files.id, segment: self.active.number, offset: self.active.end };
        let (bytes, previous) = self.batch.seal(place, self.epoch, self.committed, self.previous);
        let written = self.active.file.write_at(bytes, self.active.end).and_then(|()| self.active.file.sync());
        if let Err(source) = written {
            let file = self.active.path.clone();
            return Err(self.poison(Error::io("write to", &file, source)));
        }
        self.active.end += bytes.len() as u64;
        self.previous = previous;
        self.committed = Sequence(self.committed.0 + self.batch.records());
        self.is_unvouched = self.batch.holds(Kind::Data);
        self.batch.clear();
        Ok(self.committed)
    }

    /// To be called now and then while nothing is appended: commits an empty record if the last batch has none behind it that
    /// vouches for it. Returns whether it did. Until then, rot in that batch cannot be told from a tear after a crash.
    pub fn heartbeat(&mut self) -> Result<bool, Error> {
        self.refuse_poisoned()?;
        if !self.batch.is_empty() || !self.is_unvouched {
            return Ok(false);
        }
        self.append_kind(Kind::Heartbeat, &[])?;
        self.commit()?;
        Ok(true)
    }

    /// Lets go of segments that hold only records before `sequence`. To be called once a generation that holds these is durable
    /// *and verified*, not before. They become later segments, or are removed.
    pub fn free_before(&mut self, sequence: Sequence) -> Result<(), Error> {
        self.refuse_poisoned()?;
        let freed = self.files.free_before(sequence);
        freed.map_err(|failure| self.failed(failure))
    }

    /// Makes the file that the next segment will be, unless there is one. Worth doing ahead, as a commit that has to do it
    /// takes as long as writing a whole segment.
    pub fn prepare(&mut self) -> Result<(), Error> {
        self.refuse_poisoned()?;
        let prepared = self.files.prepare();
        prepared.map_err(|failure| self.failed(failure))
    }

    /// What [`Self::prepare`] does, for another thread to do; `None` when there is a file, or one is being made. What comes of it goes to
    /// [`Self::end_preparing`]. A commit that needs the file before that makes one itself.
    pub fn begin_preparing(&mut self) -> Option<Preparation> {
        if self.is_poisoned() { None } else { self.files.begin_preparing() }
    }

    /// An error has touched nothing of the log: it may be tried again.
    pub fn end_preparing(&mut self, prepared: Prepared) -> Result<(), Error> {
        self.files.end_preparing(prepared)
    }

    /// Goes on in a file made anew, so that nothing of the records up to here is on the disk once they are freed: not in files kept for
    /// use either. To be called with nothing appended. Takes as long as writing a whole segment.
    pub fn begin_afresh(&mut self) -> Result<(), Error> {
        self.begin()?;
        assert!(self.batch.is_empty(), "what was appended would be numbered before the segment that it is in");
        let next = self.next();
        let turned = self.files.erase_before(next).and_then(|()| self.files.turn(self.epoch, next, self.previous));
        self.active = turned.map_err(|failure| self.failed(failure))?;
        Ok(())
    }

    /// Makes sure that what was appended fits where it will be written, so that [`Self::commit`] writes it or poisons the log, and
    /// nothing else. Where that fails for want of space, what was appended stays, to be tried again.
    pub fn reserve(&mut self) -> Result<(), Error> {
        self.refuse_poisoned()?;
        self.make_room()
    }

    /// Commits what was appended, and a last record that vouches for everything.
    pub fn close(mut self) -> Result<(), Error> {
        if self.to_begin.is_some() {
            return Ok(()); // nothing was taken, and there may be no room to say so
        }
        self.commit()?;
        self.append_kind(Kind::Closing, &[])?;
        self.commit().map(drop)
    }

    /// The number that the next record will have.
    pub fn next(&self) -> Sequence {
        Sequence(self.committed.0 + self.batch.records() + 1)
    }

    /// The last record that is durable.
    pub fn committed(&self) -> Sequence {
        self.committed
    }

    /// What was appended and not committed, framing included.
    pub fn batch_bytes(&self) -> usize {
        self.batch.bytes()
    }

    /// Whether a record of this many bytes can be appended before the next commit.
    pub fn has_room(&self, payload_bytes: usize) -> bool {
        self.batch.has_room(payload_bytes)
    }

    pub(crate) fn last_file(&self) -> LastFile {
        LastFile { log: self.files.id, number: self.active.number }
    }

    /// How much of the disk those segments take that would be read back.
    pub fn segments_bytes(&self) -> u64 {
        self.files.segments_bytes()
    }

    /// How much of the disk the log's segments and spares take.
    pub fn disk_bytes(&self) -> u64 {
        self.files.disk_bytes()
    }

    /// Whether a write or sync failed, so that nothing will be acknowledged until the log is opened again.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned.is_some()
    }

    fn append_kind(&mut self, kind: Kind, parts: &[&[u8]]) -> Result<Sequence, Error> {
        self.refuse_poisoned()?;
        let payload_bytes: usize = parts.iter().map(|part| part.len()).sum();
        if payload_bytes > LOG_PAYLOAD_BYTES_MAX {
            return Err(Error::TooLarge { what: "a record of the log", max: LOG_PAYLOAD_BYTES_MAX as u64 });
        }
        if !self.batch.has_room(payload_bytes) {
            return Err(match self.batch.is_empty() {
                true => Error::TooLarge { what: "a record beside the log's batches", max: self.batch.bytes_max() },
                false => Error::BatchFull,
            });
        }
        let sequence = self.next();
        self.batch.push(kind, sequence, parts);
        Ok(sequence)
    }

    /// Goes on to another segment when the batch does not fit into what is left of this one.
    fn make_room(&mut self) -> Result<(), Error> {
        if self.active.end + self.batch.padded_bytes() <= self.active.bytes {
            return Ok(());
        }
        let turned = self.files.turn(self.epoch, Sequence(self.committed.0 + 1), self.previous);
        match turned {
            Ok(active) => {
                self.active = active;
                Ok(())
            }
            Err(failure) => Err(self.failed(failure)),
        }
    }

    fn failed(&mut self, failure: files::Failure) -> Error {
        match failure {
            files::Failure::Harmless(error) => error,
            files::Failure::Poisons(error) => self.poison(error),
        }
    }

    fn poison(&mut self, error: Error) -> Error {
        let (file, reason) = match error {
            Error::Io { op, file, source } => (file, format!("{op}: {source}")),
            other => (self.active.path.clone(), other.to_string()),
        };
        self.batch.clear();
        let poison = self.poisoned.insert(Poison { file, reason });
        poison.error()
    }

    fn refuse_poisoned(&self) -> Result<(), Error> {
        self.poisoned.as_ref().map_or(Ok(()), |poison| Err(poison.error()))
    }
}

impl Poison {
    fn error(&self) -> Error {
        Error::Poisoned { file: self.file.clone(), reason: self.reason.clone() }
    }
}

/// The file that a log ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastFile {
    /// The log's identity.
    pub(crate) log: u64,
    pub(crate) number: u64,
}

/// The last file of the log in `folder`; `None` where there is none, or no folder.
pub(crate) fn last_file(disk: &dyn Disk, folder: &Path) -> Result<Option<LastFile>, Error> {
    let Some(number) = recovery::numbers(&files::list(disk, folder)?).pop() else { return Ok(None) };
    let reader = SegmentReader::open(disk, folder, number)?;
    Ok(Some(LastFile { log: reader.header.log, number }))
}

/// What the file with this number is called.
pub(crate) fn file_name(number: u64) -> String {
    segment::segment_name(number)
}

/// Reads the log in `folder` as [`Log::open`] does, and writes nothing. For checking: beside a process that appends, its last batch
/// looks torn.
pub fn read(
    disk: &dyn Disk,
    folder: &Path,
    from: Sequence,
    each: &mut dyn FnMut(Record<'_>) -> Result<(), Error>,
) -> Result<Recovered, Error> {
    let listed = files::list(disk, folder)?;
    recovery::read(disk, folder, &listed, from, false, each).map(|(recovered, _)| recovered)
}

impl LogSettings {
    /// # Panics
    /// If they do not go together, which is a mistake of whoever made them.
    fn check(&self) {
        let block = BLOCK_BYTES as u64;
        assert!(self.segment_bytes.is_multiple_of(block) && self.batch_bytes.is_multiple_of(BLOCK_BYTES));
        assert!(self.batch_bytes > 0 && self.batch_bytes as u64 + block <= self.segment_bytes);
        assert!(self.segment_bytes <= LOG_SEGMENT_BYTES_MAX);
    }
}
