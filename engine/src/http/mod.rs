//! HTTP/1.1 without I/O.

pub mod request;
pub mod status;

pub use request::{Head, Method, Request};
pub use status::Status;
