//! The bytes of a segment, one module per thing: `docs/format.md` draws them.
//!
//! Everything here reads bytes that may be anyone's: no indexing, no panics, `Option` for "these are not such bytes". The
//! callers know the file and the offset and make a [`crate::Corrupt`] of it. Nothing here opens files.
#![deny(clippy::indexing_slicing)]

pub(crate) mod archive;
pub(crate) mod bucket;
pub(crate) mod bytes;
pub(crate) mod checksum;
pub(crate) mod encode;
pub(crate) mod header;
pub mod layout;
pub(crate) mod placement;
