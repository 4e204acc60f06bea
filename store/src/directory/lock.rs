//! One writer at a time: an exclusive lock on `DATA/LOCK`, held by whoever applies, materializes or collects garbage.
//! The kernel releases it when the holder dies, so a stale lock does not exist. The file holds the holder's process id,
//! for messages only.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::error::Error;

use super::disk::failed;

/// The right to write to one data directory. Released when dropped.
#[derive(Debug)]
pub struct WriterLock {
    file: File,
    root: PathBuf,
}

impl WriterLock {
    pub(super) fn take(root: &Path) -> Result<Self, Error> {
        let path = root.join("LOCK");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false) // not before it is ours
            .mode(0o600)
            .open(&path)
            .map_err(|source| failed("open", &path, source))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Locked { holder: holder(&mut file), file: path }),
            Err(TryLockError::Error(source)) => return Err(failed("lock", &path, source)),
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
        written.map_err(|source| failed("write", &path, source))?;
        Ok(Self { file, root: root.to_owned() })
    }

    /// Panics when the lock is another directory's: that is a bug of the caller, and going on could lose a generation.
    pub(super) fn assert_is_of(&self, root: &Path) {
        assert_eq!(self.root, root, "the lock is another data directory's");
    }
}

impl Drop for WriterLock {
    fn drop(&mut self) {
        // Before the lock goes, so that nobody is told of a holder that has left.
        let _ = self.file.set_len(0);
        // Closing would release it too, but not while a process that was just forked elsewhere still shares the descriptor.
        let _ = self.file.unlock();
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(32).read_to_string(&mut text) {
        Ok(_) if text.trim().parse::<u32>().is_ok() => format!("process {}", text.trim()),
        _ => "another process".to_owned(),
    }
}
