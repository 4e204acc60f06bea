//! HTTP/1.1 without I/O: bytes in, a request or a fault out; an answer in, bytes out.
//!
//! ```text
//!   bytes --> scan --> request_line, fields --> framing --> target --> Request | Fault     inbound.rs drives this
//!             lines    tokens (httparse)        length      route      (chunked.rs: the body, in place)
//!
//!   Answer --> response --> head and body in the connection's output
//! ```
//! Nothing here allocates on the way in, reads a clock, or looks beyond the end of the current message. `docs/http.md`
//! lists what is accepted and refused, row by row; [`Fault`] is the same table in code.
#![deny(clippy::indexing_slicing)]

mod chunked;
mod date;
mod fault;
mod fields;
mod framing;
mod grammar;
mod head;
mod inbound;
pub mod request;
mod request_line;
mod response;
mod scan;
pub mod status;
mod target;
#[cfg(test)]
mod tests;

pub use date::{DATE_BYTES, DateCache};
pub use fault::Fault;
pub use inbound::{Inbound, Persistence, Phase, Step};
pub use request::{Fields, Head, Method, Request, Unclear};
pub use response::{CONTINUE, HeadMark, Responses};
pub use status::Status;
