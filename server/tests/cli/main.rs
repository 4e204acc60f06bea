//! The binary from outside: what an operator types, what comes out, what is on disk afterwards.
#![expect(clippy::tests_outside_test_module, clippy::unwrap_used, reason = "everything here is a test")]

mod bad_rows;
mod crash;
mod data;
mod definitions;
mod descriptors;
mod formats;
mod gannet;
mod kernel;
mod keys;
mod memory;
mod overload;
mod quickstart;
mod serve;
mod usage;
