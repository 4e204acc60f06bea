//! Tecton's HTTP dialect. Nothing outside this folder knows how its requests and answers are spelt.

mod options;

pub use options::MetadataOptions;
