//! Writes to a running server, from outside: what is answered, what is readable then, and what is left after the server was
//! stopped, killed, or met a disk that fails.
#![expect(clippy::tests_outside_test_module, clippy::unwrap_used, reason = "everything here is a test")]

mod client;
mod data;
mod deletes;
mod disks;
#[path = "../cli/gannet.rs"]
#[expect(dead_code, reason = "other tests of the binary use the rest")]
mod gannet;
mod kills;
mod ledger;
mod reading;
mod requests;
mod restarts;
mod roles;
mod server;
mod times;
mod tokens;
