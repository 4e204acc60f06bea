//! A serving process: what it serves, how it starts, what it watches while it runs, and how it ends.
//!
//! ```text
//! main thread   start → adopt the live generation → watch: signals, CURRENT, keys ──────────→ drain → exit
//! shard 0…n     answer requests; take up what was published at a turn's boundary ───────────→ last connection
//! verifier      read every block of new tables once, at a fifth of one core
//! ```
//! Old tables are unmapped by the main thread, never by a core that serves.

pub(crate) mod cores;
mod live;
mod process;
mod signals;
mod verifier;

pub(crate) use process::{Process, Settings};
pub(crate) use signals::Signals;
