//! The `keys` file of a data directory: read by servers, changed under a lock of its own.
//!
//! Not the writer's lock: a key must be revocable while a long materialization holds that one.

use std::fs::File;

use anyhow::{Context as _, Result};
use gannet_api::auth::KeyTable;
use gannet_store::directory::DataDirectory;

/// The table as it is now; empty when there is no file.
pub(crate) fn read(data: &DataDirectory) -> Result<KeyTable> {
    match data.read_file(FILE)? {
        None => Ok(KeyTable::default()),
        Some(bytes) => KeyTable::parse(&bytes).with_context(|| format!("cannot use {}", path(data).display())),
    }
}

/// Applies `change` to the table and publishes the result, atomically and one process at a time.
pub(crate) fn change<T>(data: &DataDirectory, change: impl FnOnce(KeyTable) -> Result<(KeyTable, T)>) -> Result<T> {
    let lock_file = data.root().join(LOCK);
    let in_lock = || format!("cannot lock {}", lock_file.display());
    let lock = File::options().create(true).append(true).open(&lock_file).with_context(in_lock)?;
    lock.lock().with_context(in_lock)?;
    let (table, outcome) = change(read(data)?)?;
    data.replace_file(FILE, &table.serialise()?)?;
    drop(lock);
    Ok(outcome)
}

/// Where the file is.
pub(crate) fn path(data: &DataDirectory) -> std::path::PathBuf {
    data.root().join(FILE)
}

const FILE: &str = "keys";

const LOCK: &str = "keys.lock";
