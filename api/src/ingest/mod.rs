//! Records and deletes become rows of every view that they are for. No dialect: what a body says is decided in `tecton/`.
//!
//! ```text
//! body ── tecton/ ──► Cell per field ── SourceIntake ──► RowMaker per view ──► rows in one write
//! ```
//! 1. What views take of which source is compiled with the catalog; nothing is looked up by name for a record but its own fields.
//! 2. A request is one write: all of it counts, or nothing.
//! 3. Nothing here waits: who hands the write over, and waits for it, is `execute/`.

mod cell;
mod intake;
mod rejected;
mod rows;
mod time;

pub(crate) use cell::Cell;
pub(crate) use intake::{Intakes, SourceIntake, ViewIntake, WorkspaceIntake};
pub(crate) use rejected::{Reason, Rejected};
pub(crate) use rows::{RowMaker, encode_key};
pub(crate) use time::timestamp_us;
