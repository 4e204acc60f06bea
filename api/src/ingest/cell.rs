//! A record's value, of its field's type.

use gannet_store::Value;

/// One field's value; texts are the body's.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell<'b> {
    Null,
    Boolean(bool),
    Int64(i64),
    Float32(f32),
    Float64(f64),
    /// Microseconds since the Unix epoch.
    Timestamp(i64),
    Text(&'b str),
    /// An array, a struct or a map.
    Nested(Value),
}
