//! Rows of tiles: all that is kept for one key of a view, as one string of bytes.
//!
//! ```text
//! 0        1       2        4             8       12       16
//! | version | flags | arrays | fingerprint | tiles | groups | newest event |
//! | u8      | u8    | u16    | u32         | u32   | u32    | i64 µs       |
//! 24
//! | group ends | key ends | keys | tile numbers | array ends  | arrays, one after the other |
//! | u32 each   | u32 each |      | i64 each     | u32 each    |                             |
//!   only with secondary keys
//!
//! array    | one item of 1, 4, 8 or 16 bytes per tile |    or    | end of each item, u32 | items |
//! list     | count u16 | times i64 each | values of one size, or ends u32 each and values |
//! ```
//! Little-endian, at any alignment. docs/format.md is the full account; `fixtures/` holds golden rows.

mod builder;
mod cell;
mod encode;
mod list;
mod view;

pub use builder::{Input, RowBuilder, RowTooLong};
pub use view::{Damaged, Row, UncheckedRow};

pub(super) use cell::is_better;
pub(super) use encode::encode;
pub(super) use list::ListRef;
pub(super) use view::Counts;

pub(super) const VERSION: u8 = 1;
/// The row holds single events instead of tiles.
pub(super) const FLAG_EVENTS: u8 = 1;
/// Tiles are grouped by secondary key.
pub(super) const FLAG_GROUPED: u8 = 2;
/// What was written before, in rows below, does not count: the key was deleted in between.
pub(super) const FLAG_ANEW: u8 = 4;
pub(super) const HEAD_BYTES: usize = 24;
