//! The write log's place in the data directory: `DATA/log/`.

use std::{path::PathBuf, sync::Arc};

use crate::{
    error::Error,
    log::{self, Log, LogSettings, Record, Recovered, Sequence},
};

use super::{create::DataDirectory, disk::failed};

impl DataDirectory {
    /// Opens the log for appending: [`Log::open`] says how. It has a lock of its own, held for as long as it is open, so that a
    /// server may append while another process publishes under [`WriterLock`](super::WriterLock).
    pub fn open_log(
        &self,
        settings: LogSettings,
        from: Sequence,
        each: &mut dyn FnMut(Record<'_>) -> Result<(), Error>,
    ) -> Result<(Log, Recovered), Error> {
        Log::open(Arc::clone(&self.disk), &self.log_folder(), settings, from, each)
    }

    /// Reads the log and writes nothing; `None` when there never was one.
    pub fn read_log(
        &self,
        from: Sequence,
        each: &mut dyn FnMut(Record<'_>) -> Result<(), Error>,
    ) -> Result<Option<Recovered>, Error> {
        let folder = self.log_folder();
        match folder.try_exists() {
            Ok(true) => log::read(self.disk.as_ref(), &folder, from, each).map(Some),
            Ok(false) => Ok(None),
            Err(source) => Err(failed("examine", &folder, source)),
        }
    }

    fn log_folder(&self) -> PathBuf {
        self.root.join(LOG)
    }
}

/// Made when the log is first opened: a directory that is never written to by a server has none.
const LOG: &str = "log";
