//! Small files with a name of their own in the data directory, for example `keys`: read whole, replaced whole.

use std::path::{Path, PathBuf};

use crate::error::Error;

use super::{
    create::DataDirectory,
    disk::{self, refused},
};

impl DataDirectory {
    /// Puts `bytes` under this name, readable by the owner only. Readers see the old bytes or the new ones, after a crash too.
    /// Needs no lock; of two at once, the last one stays.
    pub fn replace_file(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.small_file(name)?;
        disk::replace(self.disk.as_ref(), &self.root, name, bytes)
    }

    /// The bytes under this name; `None` when there are none.
    pub fn read_file(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        disk::read(self.disk.as_ref(), &self.small_file(name)?)
    }

    /// Upper case is for the directory's own files, so a caller's name cannot be one of them.
    fn small_file(&self, name: &str) -> Result<PathBuf, Error> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        if name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(fits) {
            return Ok(self.root.join(name));
        }
        Err(refused("use the name", Path::new(name), "small files are named in lower case, without folders"))
    }
}
