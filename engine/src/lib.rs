//! The machine: cores, rings, time and HTTP/1.1 bytes.
//!
//! 1. A shard is one thread, one ring, one listener. It shares nothing with other shards but counters it alone writes.
//! 2. A turn takes all completions at hand, frames every request, lets the service fetch for all of them together, then
//!    finishes them in order and submits once.
//! 3. HTTP is parsed without I/O: bytes in, a typed request or a typed fault out, whatever way the bytes were split.
//! 4. Nothing here knows what a feature is or what a file means.
//! 5. `unsafe` lives in `reactor/` only.

pub mod admission;
pub mod clock;
pub mod deadlines;
pub mod http;
pub mod limits;
pub mod metrics;
mod reactor;
pub mod server;
pub mod service;
mod shard;

pub use clock::Now;
pub use service::{Answer, Asked, Content, Finished, Form, Limited, Read, ServerTiming, Service, Ticket, Waiting};
