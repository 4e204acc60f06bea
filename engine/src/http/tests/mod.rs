//! Tests of the whole parser, as bytes in and steps out. `vectors` is the table, row by row of `docs/http.md`.
#![expect(clippy::indexing_slicing, reason = "a test that runs out of bounds fails, as it should")]

mod advisories;
mod differential;
mod documented;
mod expect;
mod harness;
mod limits;
mod positions;
mod properties;
mod responses;
mod timing;
mod vectors;
