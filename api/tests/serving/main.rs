//! A core, driven the way a shard drives it: tables on disk, bytes in, bytes out.
#![expect(clippy::unwrap_used, clippy::tests_outside_test_module, reason = "this whole crate is tests")]

mod aggregates;
mod allocation;
mod concurrency;
mod deletes;
mod errors;
mod exposition;
mod fixture;
mod golden;
mod ingest;
mod lifecycle;
mod store;
mod timing;
mod users;
mod waits;
mod writing;
mod written;
