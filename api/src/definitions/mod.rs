//! Definitions: what was written in TOML, checked as a whole, and what it means.
//!
//! Files go through three steps, each a plain function: `read` turns the text of one file into declarations with their
//! places, `link` resolves the references between all of them, and what comes out is the [`model`]. Every step reports
//! all it finds and carries on, so that one run shows every error of every file.
//!
//! Nothing here opens a file: callers hand in paths and texts.

mod check;
mod declared;
mod duration;
mod error;
mod faults;
pub mod limits;
mod link;
pub mod model;
mod names;
pub mod plan;
mod read;
mod stored;
mod suggest;
#[cfg(test)]
mod tests;
mod types;

pub use check::check;
pub use error::DefinitionError;
pub use plan::{Plan, diff};
