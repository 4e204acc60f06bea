//! `flock` on a file or a folder. The kernel releases it when the holder dies, so a stale lock does not exist. A file that is locked holds
//! the holder's process id, for messages only.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use super::{HeldLock, Hold};
use crate::error::Error;

/// Held until dropped.
#[derive(Debug)]
pub(super) struct FileLock(File);

impl FileLock {
    pub(super) fn take(path: &Path) -> Result<Self, Error> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false) // not before it is ours
            .mode(0o600)
            .open(path)
            .map_err(|source| Error::io("open", path, source))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked { holder: holder(&mut file), file: path.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(Error::io("lock", path, source)),
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
        written.map_err(|source| Error::io("write", path, source))?;
        Ok(Self(file))
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Before the lock goes, so that nobody is told of a holder that has left.
        let _ = self.0.set_len(0);
        // Closing would release it too, but not while a process that was just forked elsewhere still shares the descriptor.
        let _ = self.0.unlock();
    }
}

impl HeldLock for FileLock {}

/// The same on a folder; nothing is written. Held until dropped.
#[derive(Debug)]
pub(super) struct FolderLock(File);

impl FolderLock {
    pub(super) fn take(path: &Path, hold: Hold) -> Result<Self, Error> {
        let folder = File::open(path).map_err(|source| Error::io("open", path, source))?;
        let taken = match hold {
            Hold::Alone => folder.try_lock(),
            Hold::Shared => folder.try_lock_shared(),
        };
        match taken {
            Ok(()) => Ok(Self(folder)),
            Err(TryLockError::WouldBlock) => {
                Err(Error::Locked { holder: "another process, or this one".to_owned(), file: path.to_owned() })
            }
            Err(TryLockError::Error(source)) => Err(Error::io("lock", path, source)),
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        let _ = self.0.unlock(); // as above
    }
}

impl HeldLock for FolderLock {}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(32).read_to_string(&mut text) {
        Ok(_) if text.trim().parse::<u32>().is_ok() => format!("process {}", text.trim()),
        _ => "another process".to_owned(),
    }
}
