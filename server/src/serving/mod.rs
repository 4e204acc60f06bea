//! A serving process: what it serves, how it starts, what it watches while it runs, and how it ends.
//!
//! ```text
//! main thread   start → adopt the live generation → watch: signals, CURRENT, keys ──────────→ drain → exit
//! shard 0…n     answer requests; take up what was published at a turn's boundary ───────────→ last connection
//! keeper        bring tables into memory within the budget; look every second whether they are still there
//! verifier      read every block of new tables once, at a fifth of one core
//! ```
//! Old tables are unmapped by the main thread, never by a core that serves.

pub(crate) mod cores;
mod ingest;
mod keeper;
mod live;
mod memory;
mod process;
mod replaced;
mod signals;
mod starved;
mod verifier;

pub(crate) use ingest::IngestSettings;
pub(crate) use memory::MemorySettings;
pub(crate) use process::{Process, Settings};
pub(crate) use signals::Signals;
