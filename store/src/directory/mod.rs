//! The data directory: what is live, what was, and how the one becomes the other.
//!
//! ```text
//! DATA/VERSION                  which layout this is; written last when the directory is made
//! DATA/CURRENT                  names the live manifest and its checksum, or none; replaced by rename
//! DATA/LOCK                     locked by the one writer, at times a server: to publish, not to build
//! DATA/manifests/000007.json    one per generation, never rewritten; a number is never used twice
//! DATA/segments/<table>/…       immutable; live only if the live manifest names them. The folder is locked, shared, by who builds
//! DATA/definitions/000003/      one folder per applied version: info.json and files/…
//! DATA/log/…                    what was written and is in no segment yet; see `crate::log`
//! DATA/LOG                      which log that is; replaced by rename
//! DATA/tmp/…                    sorted runs of a build under way
//! DATA/keys                     and other small files, replaced by rename
//! ```
//! Nothing here reads a clock; callers pass the time. Nothing here overwrites a file in place, locks and the log aside.

mod create;
mod definitions;
pub(crate) mod disk;
mod envelope;
mod garbage;
mod lock;
mod log;
mod manifest;
mod publish;
mod small_files;
#[cfg(test)]
pub(crate) mod tests;

pub use create::DataDirectory;
pub(crate) use create::{SEGMENTS, TEMPORARY};
pub use definitions::{Definitions, DefinitionsFile, DefinitionsInfo};
pub use garbage::Collected;
pub use lock::{Building, WriterLock};
pub use log::GivenUp;
pub use manifest::{FORMAT_VERSION, FORMAT_VERSION_OLDEST, Manifest, SegmentEntry, SourcePositions, TableEntry};
pub use publish::Stamp;
