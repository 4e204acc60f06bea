//! Every bound of this crate, with its reason.

/// Longest encoded key. Longer keys are refused when building, and are simply absent when asked for.
pub const KEY_BYTES_MAX: usize = 1024;
