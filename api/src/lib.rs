//! Meaning: dialects, definitions, plans, keys.
//!
//! 1. No sockets, no files, no clock: bytes, tables and `now` are handed in.
//! 2. A feature service is compiled when definitions or data change; a request fills holes.
//! 3. Wire types are not domain types: only `tecton/` knows the dialect, everything after `Query` does not.
//! 4. Nothing on the common path allocates.
#![forbid(unsafe_code)]

pub mod definitions;
