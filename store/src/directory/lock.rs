//! One writer at a time: an exclusive lock on `DATA/LOCK`, held by whoever applies, materializes or collects garbage.

use std::path::{Path, PathBuf};

use crate::{
    disk::{Disk, HeldLock},
    error::Error,
};

/// The right to write to one data directory. Released when dropped.
#[derive(Debug)]
pub struct WriterLock {
    _held: Box<dyn HeldLock>,
    root: PathBuf,
}

impl WriterLock {
    pub(super) fn take(disk: &dyn Disk, root: &Path) -> Result<Self, Error> {
        Ok(Self { _held: disk.lock(&root.join("LOCK"))?, root: root.to_owned() })
    }

    /// Panics when the lock is another directory's: that is a bug of the caller, and going on could lose a generation.
    pub(super) fn assert_is_of(&self, root: &Path) {
        assert_eq!(self.root, root, "the lock is another data directory's");
    }
}
