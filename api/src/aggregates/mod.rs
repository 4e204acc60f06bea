//! Time-window aggregates: what a view's aggregations mean, how they are kept per key, and how they are folded when asked for.
//!
//! 1. An event goes into the tile of its time, in whatever order events come; what a tile keeps is what the view's functions share.
//! 2. Rows of batch and stream have one layout. They are merged when they are written together, and folded together when read.
//! 3. Edges, names, types and nulls follow the reference: docs/aggregates.md says which rule comes from where.
//! 4. Bytes become a [`Row`] once they were checked; a panic on any bytes is a bug.
//!
//! ```text
//! Specification ── Aggregates::new ──► Aggregates ── builder ──► RowBuilder ── encode ──► bytes
//!                                          │
//!                       bytes ── row ──► Row ── fold ──► Folded: a value per feature
//! ```

mod combine;
mod compiled;
pub(crate) mod duration;
mod event;
mod fold;
mod function;
pub mod limits;
mod partial;
mod row;
mod sketch;
mod specification;
mod window;

#[cfg(test)]
mod tests;

pub use combine::CombineTiles;
pub use compiled::{Aggregates, Feature};
pub use event::add_event;
pub use fold::{FoldOptions, Folded, Item};
pub use function::{EXPECTED as FUNCTION_EXPECTED, Function, Percentile};
pub use row::{Damaged, Input, Row, RowBuilder, RowTooLong, UncheckedRow};
pub use specification::{Aggregation, Column, Fault, Specification};
pub use window::{LeadingEdge, Window};
