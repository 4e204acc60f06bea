//! stub
/// Names and counters of the whole process.
#[derive(Debug, Default)]
pub struct Metrics {}
