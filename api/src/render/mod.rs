//! Numbers, times and texts as JSON. No dialect: who quotes what is decided elsewhere.

mod number;
mod text;
mod time;

pub(crate) use number::{float32, float64, int64, seconds, unsigned};
pub(crate) use text::string;
pub(crate) use time::{Stamp, timestamp, unix_days};
