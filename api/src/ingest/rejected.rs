//! Why a record is not taken.

use std::fmt;

/// Kinds of it, as they are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// A field's value is not of its type, or there is a field too many.
    Schema,
    JoinKey,
    Timestamp,
    /// Older than anything that is served.
    Expired,
    /// A key or a row longer than any may be.
    TooLong,
}

impl Reason {
    pub(crate) const LABELS: [&str; 5] = ["schema", "join_key", "timestamp", "expired", "too_long"];

    /// The place of its label.
    pub(crate) fn place(self) -> usize {
        match self {
            Self::Schema => 0,
            Self::JoinKey => 1,
            Self::Timestamp => 2,
            Self::Expired => 3,
            Self::TooLong => 4,
        }
    }
}

/// What is wrong with a record, in words for its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejected {
    pub(crate) reason: Reason,
    pub(crate) message: String,
}

impl Rejected {
    pub(crate) fn new(reason: Reason, message: impl fmt::Display) -> Self {
        Self { reason, message: message.to_string() }
    }
}
