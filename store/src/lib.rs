//! Bytes on disk: the segment format, its index, generations and how they are published, the write log.
//!
//! 1. A segment is immutable. Publishing is write, sync, rename, sync folder, in one function.
//! 2. Bytes from disk are unchecked until their checksum matched; a value whose block was never verified is not returned.
//! 3. A lookup touches at most one bucket line and one row, whatever the size. Opening never scans.
//! 4. A record of the log counts once its write and its sync came back; a sync that failed is never tried again.
//! 5. Nothing here knows HTTP, JSON requests or what a feature is. Columns have types and positions.
//! 6. `unsafe` lives in `segment/map.rs`, `segment/map/` and `format/archive.rs` only.

pub mod build;
pub mod cache;
pub mod directory;
pub mod disk;
pub mod error;
pub mod format;
pub mod key;
pub mod levels;
pub mod limits;
pub mod log;
pub mod overlay;
pub mod plane;
pub mod row;
pub mod schema;
pub mod segment;
pub mod table;
pub mod value;

pub use cache::RowId;
pub use error::{Corrupt, Error};
pub use row::Row;
pub use schema::{ColumnType, Field, KeyType, Schema};
pub use table::{ColdRead, ColdStep, KeyHash, Probe, Probed, Resumed, Table};
pub use value::{Value, ValueRef};
