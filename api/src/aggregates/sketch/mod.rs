//! Sketches: approximate distinct counts and percentiles. Only this folder names the crate they come from.

mod digest;
mod distinct;

#[cfg(test)]
mod tests;

pub(super) use digest::Digest;
pub(super) use distinct::Distinct;
