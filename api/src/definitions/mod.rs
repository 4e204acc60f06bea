//! Definitions: what was written in TOML, checked as a whole, and what it means.

pub mod model;
