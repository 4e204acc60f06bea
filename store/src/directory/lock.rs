//! One writer at a time: an exclusive lock on `DATA/LOCK`, held by whoever applies, materializes, publishes or collects garbage.
//!
//! Who builds segments and takes the lock only to publish them shares a lock on `DATA/segments` meanwhile: as long as anybody does, what no
//! manifest names may be about to be published, and is no garbage.

use std::path::{Path, PathBuf};

use super::create::SEGMENTS;
use crate::{
    disk::{Disk, HeldLock, Hold},
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

/// Keeps what is being built, and what was built and is not published yet, from being taken for garbage. Released when dropped.
#[derive(Debug)]
pub struct Building {
    _held: Box<dyn HeldLock>,
}

impl Building {
    /// Beside others who build. Fails at once with [`Error::Locked`] while garbage is collected.
    pub(super) fn share(disk: &dyn Disk, root: &Path) -> Result<Self, Error> {
        Ok(Self { _held: disk.lock_folder(&root.join(SEGMENTS), Hold::Shared)? })
    }

    /// `None`: somebody builds.
    pub(super) fn nobody(disk: &dyn Disk, root: &Path) -> Result<Option<Self>, Error> {
        match disk.lock_folder(&root.join(SEGMENTS), Hold::Alone) {
            Ok(held) => Ok(Some(Self { _held: held })),
            Err(Error::Locked { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
