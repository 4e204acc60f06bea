//! The storage plane: takes writes from serving cores, makes them durable together, makes them readable, and answers.
//!
//! ```text
//! core 0 ─┐ Submitter            one thread               Submitter ┌─► core 0, woken
//! core 1 ─┴──► bounded queue ──► log: append, one sync ──► overlay ──┴─► core 1, woken
//! ```
//! 1. A write is done when it is durable *and* readable by every core, or was refused as a whole.
//! 2. The queue between is bounded: when it is full a core knows at once, and says 429.
//! 3. Cores wait for nothing here, and never see an executor.

mod pair;
mod queue;
mod stream;
mod write;

pub use pair::{FarEnd, pair};
pub use queue::{Done, Failure, Refused, Submitter, Wake, Write};
pub use stream::{Combine, StreamTable, StreamTables};
pub use write::{MalformedWrite, SourceToken, WriteBuilder, WriteRow, WriteRows, fingerprint};
