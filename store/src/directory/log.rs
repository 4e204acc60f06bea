//! The write log's place in the data directory: `DATA/log/`, and `DATA/LOG`, which remembers that there is one.
//!
//! What was acknowledged and is in no generation yet is in the log alone. If its files go, nothing in them can say so any more; so
//! beside them stands which log there was, and how far its files went when it was last opened.

use std::{path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    create::DataDirectory,
    disk::{self, failed},
    envelope,
    manifest::FORMAT_VERSION,
};
use crate::{
    disk::is_full,
    error::{Corrupt, Error},
    log::{self, LastFile, Log, LogSettings, Record, Recovered, Sequence},
};

/// What `LOG` holds. Written once the log is open, so before anything in it is acknowledged; where a full disk has no room for it, what an
/// earlier opening wrote stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    format_version: u32,
    /// The log's identity, as 16 hex digits.
    log: String,
    /// The number of its last file at that time. It is never freed before there is a later one.
    last_file: u64,
}

/// A log that was given up: see [`DataDirectory::give_up_log`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// Why it could not be read back.
    pub cause: String,
    /// Where its files are now, if there were any.
    pub folder: Option<PathBuf>,
}

impl DataDirectory {
    /// Opens the log for appending: [`Log::open`] says how. It has a lock of its own, held for as long as it is open, so that a
    /// server may append while another process publishes under [`WriterLock`](super::WriterLock). Refuses with [`Error::Corrupt`] also
    /// when files of it are gone.
    pub fn open_log(
        &self,
        settings: LogSettings,
        from: Sequence,
        each: &mut dyn FnMut(Record<'_>) -> Result<(), Error>,
    ) -> Result<(Log, Recovered), Error> {
        self.refuse_lost_files()?;
        let (log, recovered) = Log::open(Arc::clone(&self.disk), &self.log_folder(), settings, from, each)?;
        let LastFile { log: id, number } = log.last_file();
        let mark = Mark { format_version: FORMAT_VERSION, log: format!("{id:016x}"), last_file: number };
        let before = self.mark()?;
        if before.as_ref() != Some(&mark) {
            let (bytes, _) = envelope::seal(&self.root.join(MARK), &mark)?;
            match disk::replace(self.disk.as_ref(), &self.root, MARK, &bytes) {
                // The one before says less, and nothing wrong.
                Err(Error::Io { source, .. }) if is_full(&source) && before.is_some() => {}
                done => done?,
            }
        }
        Ok((log, recovered))
    }

    /// Reads the log and writes nothing; `None` when there never was one.
    pub fn read_log(
        &self,
        from: Sequence,
        each: &mut dyn FnMut(Record<'_>) -> Result<(), Error>,
    ) -> Result<Option<Recovered>, Error> {
        let last = self.refuse_lost_files()?;
        let read = log::read(self.disk.as_ref(), &self.log_folder(), from, each)?;
        Ok(last.map(|_| read))
    }

    /// If the log cannot be read back from behind `from` on, puts what there is of it aside and begins another one behind `from`: what
    /// was acknowledged since is lost. `None`, and nothing done, where it can be read.
    pub fn give_up_log(&self, settings: LogSettings, from: Sequence) -> Result<Option<GivenUp>, Error> {
        let (disk, folder) = (self.disk.as_ref(), self.log_folder());
        disk::create_folders(disk, &self.root, LOG.as_ref())?;
        let lock = disk.lock(&folder.join("LOCK"))?; // or it would be taken from a process that appends to it
        let cause = match self.read_log(from, &mut |_| Ok(())) {
            Ok(_) => return Ok(None),
            Err(Error::Corrupt(corrupt)) => corrupt.to_string(),
            Err(other) => return Err(other),
        };
        let aside = match log::last_file(disk, &folder) {
            Ok(None) => None,
            // One that is damaged is one.
            Ok(Some(_)) | Err(_) => {
                let taken: Vec<String> = disk::list(disk, &self.root)?.into_iter().map(|entry| entry.name).collect();
                let name = (1..).map(|number| format!("{LOG}.given-up-{number}")).find(|name| !taken.contains(name));
                let aside = self.root.join(name.unwrap_or_default());
                disk.rename(&folder, &aside).map_err(|source| failed("rename to", &aside, source))?;
                disk::sync_folder(disk, &self.root)?;
                Some(aside)
            }
        };
        drop(lock);
        // Only now: until then the files that are missing, or that cannot be read, are missed.
        disk::remove_file(disk, &self.root.join(MARK))?;
        disk::sync_folder(disk, &self.root)?;
        Log::begin_behind(Arc::clone(&self.disk), &folder, settings, from)?.close()?;
        Ok(Some(GivenUp { cause, folder: aside }))
    }

    /// The last file that there is. An error if there was another log, or a later file, when the log was last opened: what is gone with
    /// it may have been acknowledged.
    fn refuse_lost_files(&self) -> Result<Option<LastFile>, Error> {
        let folder = self.log_folder();
        let last = log::last_file(self.disk.as_ref(), &folder)?;
        let Some(mark) = self.mark()? else { return Ok(last) };
        let file = log::file_name(mark.last_file);
        let (expected, found) = match last {
            None => (format!("the write log's files up to {file}"), "none of them".to_owned()),
            Some(last) if format!("{:016x}", last.log) != mark.log => {
                (format!("the files of write log {}", mark.log), format!("those of write log {:016x}", last.log))
            }
            Some(last) if last.number < mark.last_file => {
                let found = format!("{} as the last", log::file_name(last.number));
                (format!("the write log's files up to {file}"), found)
            }
            Some(_) => return Ok(last),
        };
        Err(Corrupt { file: folder.display().to_string(), offset: 0, expected, found }.into())
    }

    fn mark(&self) -> Result<Option<Mark>, Error> {
        let file = self.root.join(MARK);
        let Some(bytes) = disk::read(self.disk.as_ref(), &file)? else { return Ok(None) };
        let mark: Mark = envelope::open(&file, &bytes)?.parse(&file, "which write log there is")?;
        match mark.format_version {
            FORMAT_VERSION => Ok(Some(mark)),
            found => {
                let file = file.display().to_string();
                Err(Error::Unsupported { file, what: "format version", found, supported: FORMAT_VERSION })
            }
        }
    }

    fn log_folder(&self) -> PathBuf {
        self.root.join(LOG)
    }
}

/// Made when the log is first opened: a directory that is never written to by a server has none.
const LOG: &str = "log";
const MARK: &str = "LOG";
