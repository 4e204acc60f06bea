//! Tecton's HTTP dialect. Nothing outside this folder knows how its requests and answers are spelt.

pub(crate) mod delete;
pub(crate) mod ingest;
mod json;
mod number;
mod options;
mod record;
mod request;
pub(crate) mod response;
mod template;
mod values;
pub(crate) mod written;

pub use options::MetadataOptions;
pub(crate) use request::{Decoded, Decoder, latency_budget_field};
pub(crate) use template::Template;
