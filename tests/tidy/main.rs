//! The repository's own rules, as tests: the absences of docs/ARCHITECTURE.md, the places where `unsafe` may live, and what
//! is known to be wrong with dependencies.
#![expect(clippy::tests_outside_test_module, clippy::unwrap_used, reason = "an integration test is all test")]

mod dependencies;
mod documents;
mod source;
mod tree;
