//! Meaning: dialects, definitions, plans, keys.
//!
//! 1. No sockets, no files, no clock: bytes, tables and `now` are handed in.
//! 2. A feature service is compiled when definitions or data change; a request fills holes.
//! 3. Wire types are not domain types: only `tecton/` knows the dialect, everything after `Query` does not.
//! 4. Nothing on the common path allocates.
//!
//! [`Shared`] is what all cores see; [`Core`] is one core's `engine::Service`.
#![forbid(unsafe_code)]

pub mod aggregates;
pub mod auth;
mod budget;
mod catalog;
pub mod definitions;
mod error;
mod execute;
mod ingest;
mod limits;
mod metrics;
mod plan;
mod query;
mod render;
mod routes;
mod shared;
mod tecton;

pub use budget::LatencyBudget;
pub use catalog::Catalog;
pub use execute::Core;
pub use metrics::Metrics;
pub use shared::{Settings, ShardSamples, Shared, State, StorageFigures};
pub use tecton::MetadataOptions;
