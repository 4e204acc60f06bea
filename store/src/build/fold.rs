//! Builds that make one row of all rows of a key, instead of keeping the newest.

use std::fmt::Debug;

use crate::{
    error::{Corrupt, Error},
    row::Row,
    segment::SegmentWriter,
    table::KeyHash,
};

/// What becomes of the rows of a key.
pub trait Fold: Debug + Send + Sync {
    /// One for each thread. `event_time_max_us` is that of all rows of the build.
    fn folder(&self, event_time_max_us: i64) -> Box<dyn Folder + '_>;
}

/// Takes in the rows of one key after the other.
pub trait Folder {
    /// The next row of the key at hand: in the order of event times, and of ordinals where these are equal.
    fn add(&mut self, row: &Row<'_>) -> Result<(), Corrupt>;

    /// Appends the row that they come to, encoded by the table's schema, and starts over with another key. False: they come to nothing.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<bool, Corrupt>;
}

/// Folds what one thread merges into its segment.
pub(super) struct Folding<'f> {
    folder: Box<dyn Folder + 'f>,
    /// Of the key at hand.
    hash: Option<u64>,
    row: Vec<u8>,
}

impl<'f> Folding<'f> {
    pub(super) fn new(fold: &'f dyn Fold, event_time_max_us: i64) -> Self {
        Self { folder: fold.folder(event_time_max_us), hash: None, row: Vec::new() }
    }

    /// Begins a key, once that before it was ended.
    pub(super) fn begin(&mut self, hash: u64, row: &Row<'_>) -> Result<(), Error> {
        self.hash = Some(hash);
        Ok(self.folder.add(row)?)
    }

    pub(super) fn add(&mut self, row: &Row<'_>) -> Result<(), Error> {
        Ok(self.folder.add(row)?)
    }

    /// Writes the row of the key at hand.
    pub(super) fn end(&mut self, segment: &mut SegmentWriter) -> Result<(), Error> {
        let Some(hash) = self.hash.take() else { return Ok(()) };
        self.row.clear();
        if self.folder.finish(&mut self.row)? {
            segment.push(KeyHash(hash), &self.row)?;
        }
        Ok(())
    }
}
