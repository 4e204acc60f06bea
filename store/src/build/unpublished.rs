//! Segments that are whole and that no manifest names yet.

use std::path::{Path, PathBuf};

use crate::directory::TableEntry;

/// Removes the segments of a table that was built, unless they are to be published.
#[derive(Debug)]
pub(crate) struct Unpublished {
    files: Vec<PathBuf>,
}

impl Unpublished {
    pub(crate) fn new(root: &Path, entry: &TableEntry) -> Self {
        Self { files: entry.segments.iter().map(|segment| root.join(&segment.file)).collect() }
    }

    /// From now on they stay. To be called before a manifest names them: a publication that failed may be seen all the same.
    pub(crate) fn keep(mut self) {
        self.files.clear();
    }
}

impl Drop for Unpublished {
    fn drop(&mut self) {
        for file in &self.files {
            let _ = std::fs::remove_file(file); // garbage collection takes what stays
        }
    }
}
