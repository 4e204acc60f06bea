//! What the log, manifests and everything else that is written need of an operating system, as a trait small enough to be
//! simulated: all writing of this crate goes through [`Disk`], that of segments apart.
//!
//! What an implementation promises, and no more:
//! - Bytes written are there after a crash once [`DiskFile::sync`] of the file returned. Before that any part of them may be, in any
//!   order, cut at any byte.
//! - A name created, renamed or removed is so after a crash once [`Disk::sync_folder`] of its folder returned. Syncing a file says
//!   nothing about its name.
//! - After a sync that failed nobody knows what is there, and the next one that succeeds says nothing about it.
//!
//! [`SystemDisk`] is the real one, [`simulated::SimulatedDisk`] the one that makes use of every freedom above.

mod aligned;
mod lock;
pub mod simulated;
mod system;
#[cfg(test)]
mod tests;

use std::{fmt::Debug, io, path::Path};

pub use aligned::AlignedBuffer;
pub use system::SystemDisk;
pub(crate) use system::change_nice;

use crate::error::Error;

/// An operating system's files.
pub trait Disk: Debug + Send + Sync {
    /// Makes one folder that only its owner may enter.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;
    /// Closes a folder to all but its owner.
    fn restrict_folder(&self, folder: &Path) -> io::Result<()>;
    /// Makes a file that only its owner may read. The name must be new.
    fn create(&self, file: &Path, access: Access) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file that exists, for reading and writing. What it reads is what a later process would: nothing that only this
    /// machine's memory holds.
    fn open(&self, file: &Path, access: Access) -> io::Result<Box<dyn DiskFile>>;
    /// The first `bytes_max` bytes of a file, as this machine's memory has them.
    fn read(&self, file: &Path, bytes_max: u64) -> io::Result<Vec<u8>>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove_file(&self, file: &Path) -> io::Result<()>;
    fn remove_folder(&self, folder: &Path) -> io::Result<()>;
    /// Makes names created, renamed or removed in `folder` durable.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// The entries of a folder by name, links not followed. Names that are not UTF-8 are not ours and are left out.
    fn list(&self, folder: &Path) -> io::Result<Vec<Listed>>;
    /// Takes an exclusive lock on a file, made if it is missing. Fails at once with [`Error::Locked`] when another holds it;
    /// a holder that died holds nothing.
    fn lock(&self, file: &Path) -> Result<Box<dyn HeldLock>, Error>;
    /// The same on a folder, which stays as it is: by one alone, or by any number who share it.
    fn lock_folder(&self, folder: &Path, hold: Hold) -> Result<Box<dyn HeldLock>, Error>;
}

/// An open file.
pub trait DiskFile: Debug + Send {
    /// How long the file is.
    fn length(&self) -> io::Result<u64>;
    /// Fills `bytes` from `at` on; fewer come only where the file ends.
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize>;
    /// Writes all of `bytes`, or fails having written any part of them.
    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()>;
    /// Makes all written so far durable, and the length. Never to be tried again after it failed.
    fn sync(&mut self) -> io::Result<()>;
    /// Makes the file `bytes` long, all of them zero and with their space taken, so that a full disk shows here and not in a
    /// later write. The file is empty before. Not synced.
    fn reserve(&mut self, bytes: u64) -> io::Result<()>;
    /// Cuts the file off. Not synced.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;
}

/// A lock that is held until this is dropped.
pub trait HeldLock: Debug + Send {}

/// Who else may hold a lock meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    Alone,
    /// Others who share it.
    Shared,
}

/// How a file's bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Through the page cache, at any offset and length.
    Buffered,
    /// Past the page cache where the file system allows it. Offsets, lengths and addresses are multiples of
    /// [`BLOCK_BYTES`](crate::limits::BLOCK_BYTES), as those of an [`AlignedBuffer`] are.
    Direct,
}

/// What a folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    pub is_folder: bool,
    pub bytes: u64,
}

/// Whether an operation failed because there is no space, which may come back, and not because something broke.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
