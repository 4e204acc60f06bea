//! Tecton's HTTP dialect. Nothing outside this folder knows how its requests and answers are spelt.

mod json;
mod number;
mod options;
mod request;
pub(crate) mod response;
mod template;
mod values;

pub use options::MetadataOptions;
pub(crate) use request::{Decoded, Decoder, latency_budget_field};
pub(crate) use template::Template;
