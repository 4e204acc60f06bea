//! How files of the data directory are written and read: a few operations of a [`Disk`] at a time.
//!
//! A file is replaced in one way only: [`replace`] writes a temporary file beside it, syncs it, renames it and syncs the
//! folder. The descriptor that wrote is the one that syncs, and a failed sync is never tried again.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io,
    path::{Component, Path},
};

pub(crate) use crate::disk::{Disk, DiskFile, Listed, SystemDisk};
use crate::{disk::Access, error::Error, limits::SMALL_FILE_BYTES_MAX};

/// Puts `bytes` under `folder/name` so that after a crash there is either what was there before or all of `bytes`.
/// An error leaves one of the two; a failure after the rename may have let the new bytes become visible.
pub(crate) fn replace(disk: &dyn Disk, folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let temporary = folder.join(temporary_name(name));
    let file = folder.join(name);
    let renamed = write_new(disk, &temporary, bytes)
        .and_then(|()| disk.rename(&temporary, &file).map_err(|source| failed("rename to", &file, source)));
    if renamed.is_err() {
        // Best effort: the first error is the one to tell, and garbage collection takes what stays.
        let _ = disk.remove_file(&temporary);
    }
    renamed?;
    sync_folder(disk, folder)
}

/// Writes and syncs a file whose name is new. Its name is durable once its folder is synced.
pub(crate) fn write_new(disk: &dyn Disk, file: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut open = disk.create(file, Access::Buffered).map_err(|source| failed("create", file, source))?;
    open.write_at(bytes, 0).map_err(|source| failed("write", file, source))?;
    open.sync().map_err(|source| failed("sync", file, source))
}

/// Makes `below` and what is missing between it and `root`, each synced into its parent. `root` exists.
pub(crate) fn create_folders(disk: &dyn Disk, root: &Path, below: &Path) -> Result<(), Error> {
    let mut folder = root.to_owned();
    for part in below.components() {
        let parent = folder.clone();
        folder.push(part);
        match disk.create_folder(&folder) {
            Ok(()) => sync_folder(disk, &parent)?,
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(failed("create the folder", &folder, source)),
        }
    }
    Ok(())
}

pub(crate) fn sync_folder(disk: &dyn Disk, folder: &Path) -> Result<(), Error> {
    disk.sync_folder(folder).map_err(|source| failed("sync the folder", folder, source))
}

/// Removes a folder and all below it without following links. What is already gone is no error. Returns the files removed
/// and their bytes.
pub(crate) fn remove_tree(disk: &dyn Disk, folder: &Path) -> Result<(u64, u64), Error> {
    let (mut files, mut bytes) = (0, 0);
    for entry in list(disk, folder)? {
        if entry.is_folder {
            let below = remove_tree(disk, &folder.join(&entry.name))?;
            (files, bytes) = (files + below.0, bytes + below.1);
        } else {
            remove_file(disk, &folder.join(&entry.name))?;
            (files, bytes) = (files + 1, bytes + entry.bytes);
        }
    }
    match disk.remove_folder(folder) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(failed("remove the folder", folder, source)),
        _ => Ok((files, bytes)),
    }
}

/// Removes a file; one that is already gone is no error.
pub(crate) fn remove_file(disk: &dyn Disk, file: &Path) -> Result<(), Error> {
    match disk.remove_file(file) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(failed("remove", file, source)),
        _ => Ok(()),
    }
}

/// The entries of a folder by name; none when the folder does not exist.
pub(crate) fn list(disk: &dyn Disk, folder: &Path) -> Result<Vec<Listed>, Error> {
    match disk.list(folder) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.map_err(|source| failed("list", folder, source)),
    }
}

/// A small file, whole; `None` when there is none.
pub(crate) fn read(disk: &dyn Disk, file: &Path) -> Result<Option<Vec<u8>>, Error> {
    match disk.read(file, SMALL_FILE_BYTES_MAX + 1) {
        Ok(bytes) if bytes.len() as u64 > SMALL_FILE_BYTES_MAX => {
            let reason = format!("it is longer than {SMALL_FILE_BYTES_MAX} bytes");
            Err(failed("read", file, io::Error::new(io::ErrorKind::FileTooLarge, reason)))
        }
        Ok(bytes) => Ok(Some(bytes)),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed("read", file, source)),
    }
}

/// A name for a file that is not yet what `name` will be. It carries the process, so that garbage collection can tell a
/// running one's from a killed one's.
pub(crate) fn temporary_name(name: &str) -> String {
    format!(".{name}.tmp-{}-{:016x}", std::process::id(), random())
}

/// The process that a temporary name belongs to; `None` when the name is not a temporary one.
pub(crate) fn temporary_owner(name: &str) -> Option<u32> {
    let (_, owner) = name.strip_prefix('.')?.rsplit_once(".tmp-")?;
    owner.split_once('-')?.0.parse().ok()
}

/// 64 bits that no other call gets, here or in another process. The standard library seeds each thread from the system's
/// random source.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Whether `path` leads only downwards: relative, not empty, no `.`, `..` or empty part.
pub(crate) fn leads_below(path: &str) -> bool {
    !path.is_empty()
        && !path.contains('\0')
        && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
        && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

pub(crate) fn failed(op: &'static str, file: &Path, source: io::Error) -> Error {
    Error::Io { op, file: file.to_owned(), source }
}

/// Refuses a name that the caller must not use.
pub(crate) fn refused(op: &'static str, file: &Path, reason: &'static str) -> Error {
    failed(op, file, io::Error::new(io::ErrorKind::InvalidInput, reason))
}
