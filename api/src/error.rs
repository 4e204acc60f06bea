//! One table: what can be wrong with a request, and what its sender is told.
//!
//! A [`Fault`] borrows what it quotes. It is told at once, into the turn's text arena; what waits for the answer is a
//! [`Refusal`], which is small and borrows nothing.

use std::fmt;

use gannet_engine::http::Unclear;

use crate::limits::{QUOTED_BYTES_MAX, RETRY_AFTER_S};

/// What is wrong. The message is what the caller reads, to the letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault<'q> {
    #[error(
        "invalid 'Tecton-key' authorization header. \
         Note that newly created credentials may take up to 60 seconds to be usable."
    )]
    Unauthenticated,
    #[error("Not Authorized. Note that access control changes may take up to 60 seconds to apply.")]
    Forbidden,
    #[error("Not Found")]
    NotFound,
    #[error("Method Not Allowed")]
    MethodNotAllowed { allow: &'static str },
    #[error("Unsupported Content-Encoding. Expected identity.")]
    ContentEncoding,
    #[error("503 Service Temporarily Unavailable")]
    Unavailable,
    #[error("{reason}")]
    NotReady { reason: &'q str },
    #[error("Invalid JSON in request body: {reason} at byte {at}")]
    InvalidJson { reason: &'static str, at: usize },
    #[error("Missing field: {0}")]
    MissingField(&'static str),
    #[error("Duplicate field: {0}")]
    DuplicateField(Quoted<'q>),
    #[error("Unexpected JSON type for {field}. Expected {expected}.")]
    FieldKind { field: &'static str, expected: &'static str },
    #[error("Exactly one of featureServiceName and featureServiceId must be set.")]
    Locator,
    #[error("FeaturePackage locators are not supported.")]
    PackageLocator,
    #[error(
        "Unable to query FeatureService `{service}` for workspace `{workspace}`. \
         Newly created feature services may take up to 60 seconds to query. \
         Also, ensure that the workspace is a live workspace."
    )]
    UnknownService { service: Quoted<'q>, workspace: Quoted<'q> },
    #[error("Cannot retrieve features. FeatureView: {view} has no materialized data in the online store.")]
    NotMaterialized { view: &'q str },
    #[error("Missing required join key: {0}")]
    MissingJoinKey(&'q str),
    #[error("Unknown join key: {name}, expected one of: [{expected}]")]
    UnknownJoinKey { name: Quoted<'q>, expected: &'q str },
    #[error("Unexpected JSON type for {name} in joinKeyMap. Expected {expected} or null.")]
    JoinKeyType { name: &'q str, expected: &'static str },
    #[error("latencyBudgetMs must be a number of milliseconds from 0.1 to 60000.")]
    LatencyBudget,
    #[error("Gannet-Latency-Budget-Ms must be a number of milliseconds from 0.1 to 60000, and is `{0}`.")]
    LatencyBudgetField(Quoted<'q>),
    #[error(
        "Gannet-Latency-Budget-Ms must be set once, to a number of milliseconds from 0.1 to 60000, \
         and is `{first}` and `{second}`."
    )]
    LatencyBudgetTwice { first: Quoted<'q>, second: Quoted<'q> },
    #[error("Gannet-Criticality must be critical, default or sheddable, and is `{0}`.")]
    CriticalityField(Quoted<'q>),
    #[error(
        "Unexpected value for aggregationLeadingEdge. Expected one of: AGGREGATION_MODE_UNSPECIFIED, \
         AGGREGATION_MODE_WALL_CLOCK_TIME, AGGREGATION_MODE_LATEST_EVENT_TIME."
    )]
    LeadingEdge,
    #[error("GetFeatures exceeded the concurrent request limit, please retry later")]
    Overloaded,
    #[error("Timed out")]
    TimedOut,
    #[error("Required field `{0}` is missing in the request")]
    RequiredField(&'static str),
    #[error("{field} is out of range. Expected {expected}.")]
    FieldRange { field: &'static str, expected: &'static str },
    #[error("A request holds from 1 to {max} {what}; this one holds {found}.")]
    Count { what: &'static str, max: usize, found: usize },
    #[error("Workspace `{0}` was not found. Ensure that the workspace is a live workspace.")]
    UnknownWorkspace(Quoted<'q>),
    #[error("Stream source `{source_name}` was not found in workspace `{workspace}`.")]
    UnknownSource { source_name: Quoted<'q>, workspace: &'q str },
    #[error("Workspace `{workspace}` has no feature view that takes records of stream source `{source_name}`.")]
    NoViewOfSource { source_name: &'q str, workspace: &'q str },
    #[error("Feature view `{view}` was not found in workspace `{workspace}`.")]
    UnknownView { view: Quoted<'q>, workspace: &'q str },
    #[error("Workspace `{workspace}` has no feature view with exactly the join keys of join_key_maps[{at}].")]
    NoViewOfKeys { workspace: &'q str, at: usize },
    #[error("Unexpected JSON type for {name} in join_key_maps[{at}]. Expected {expected}.")]
    DeletedKeyType { name: &'q str, at: usize, expected: &'static str },
    #[error("The join keys of join_key_maps[{at}] come to more bytes than any key has.")]
    DeletedKeyTooLong { at: usize },
    #[error("What the request writes comes to more than {max} bytes. Send less at once.")]
    WriteTooLarge { max: usize },
    #[error("Feature view `{view}` cannot be written to yet, please retry later")]
    NotWritable { view: &'q str },
    #[error("This server takes no writes.")]
    TakesNoWrites,
    #[error("Too many writes are under way, please retry later")]
    WritesFull,
    #[error("What was written lately fills the memory for it and is being brought to disk, please retry later")]
    MemoryFull,
    #[error("The request cannot be written as it is.")]
    NotAccepted,
    #[error("The disk is full. Nothing was written; writes are taken again once there is room.")]
    DiskFull,
    #[error("The write log cannot go on for now. Nothing was written; please retry later")]
    LogUnavailable,
    #[error(
        "The write log failed. Nothing is taken before the server is started again; whether this write will be found then is not known."
    )]
    LogFailed,
    #[error("Timed out. Whether the write was applied, or will be, is not known.")]
    WriteTimedOut,
    #[error("Internal server error")]
    Internal,
}

/// How a refusal looks on the wire, but for its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// The gRPC code that the body carries.
    pub(crate) code: u8,
    pub(crate) allow: Option<&'static str>,
    pub(crate) retry_after_s: Option<u32>,
    pub(crate) authenticate: Option<&'static str>,
    pub(crate) accept_encoding: Option<&'static str>,
}

impl<'q> Fault<'q> {
    /// What is told of a field that cannot be understood.
    pub(crate) fn of_unclear(unclear: Unclear<'q>) -> Self {
        match unclear {
            Unclear::Criticality(said) => Self::CriticalityField(Quoted(said)),
            Unclear::LatencyBudgetTwice { first, second } => {
                Self::LatencyBudgetTwice { first: Quoted(first), second: Quoted(second) }
            }
        }
    }

    /// The table.
    pub(crate) fn refusal(&self) -> Refusal {
        const fn plain(status: u16, code: u8) -> Refusal {
            Refusal { status, code, allow: None, retry_after_s: None, authenticate: None, accept_encoding: None }
        }
        match *self {
            Self::InvalidJson { .. }
            | Self::MissingField(_)
            | Self::DuplicateField(_)
            | Self::FieldKind { .. }
            | Self::Locator
            | Self::PackageLocator
            | Self::MissingJoinKey(_)
            | Self::UnknownJoinKey { .. }
            | Self::JoinKeyType { .. }
            | Self::LatencyBudget
            | Self::LatencyBudgetField(_)
            | Self::LatencyBudgetTwice { .. }
            | Self::CriticalityField(_)
            | Self::LeadingEdge
            | Self::RequiredField(_)
            | Self::FieldRange { .. }
            | Self::Count { .. }
            | Self::DeletedKeyType { .. }
            | Self::DeletedKeyTooLong { .. }
            | Self::WriteTooLarge { .. }
            | Self::NotAccepted => plain(400, 3),
            Self::Unauthenticated => Refusal { authenticate: Some("Tecton-key"), ..plain(401, 16) },
            Self::Forbidden => plain(403, 7),
            Self::NotFound
            | Self::UnknownService { .. }
            | Self::NotMaterialized { .. }
            | Self::UnknownWorkspace(_)
            | Self::UnknownSource { .. }
            | Self::NoViewOfSource { .. }
            | Self::UnknownView { .. }
            | Self::NoViewOfKeys { .. } => plain(404, 5),
            Self::MethodNotAllowed { allow } => Refusal { allow: Some(allow), ..plain(405, 12) },
            Self::ContentEncoding => Refusal { accept_encoding: Some("identity"), ..plain(415, 3) },
            Self::Overloaded | Self::WritesFull | Self::MemoryFull => {
                Refusal { retry_after_s: Some(RETRY_AFTER_S), ..plain(429, 8) }
            }
            Self::Internal => plain(500, 13),
            Self::TimedOut | Self::WriteTimedOut => plain(504, 4),
            Self::Unavailable
            | Self::NotReady { .. }
            | Self::NotWritable { .. }
            | Self::TakesNoWrites
            | Self::DiskFull
            | Self::LogUnavailable
            | Self::LogFailed => Refusal { retry_after_s: Some(RETRY_AFTER_S), ..plain(503, 14) },
        }
    }
}

/// The caller's bytes as a message quotes them: cut, and valid UTF-8 whatever they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quoted<'q>(pub(crate) &'q [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = self.0.len().min(QUOTED_BYTES_MAX);
        for chunk in self.0[..cut].utf8_chunks() {
            f.write_str(chunk.valid())?;
            // A character that the cut went through is left out; one that was never valid is marked.
            let split_by_cut = cut < self.0.len() && chunk.invalid().len() < 4 && {
                let end = chunk.invalid().as_ptr_range().end;
                std::ptr::eq(end, self.0[..cut].as_ptr_range().end)
            };
            if !chunk.invalid().is_empty() && !split_by_cut {
                f.write_str("\u{fffd}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_quote_is_cut_at_a_character() {
        let long = "ä".repeat(QUOTED_BYTES_MAX);
        let odd = format!("x{long}");
        assert_eq!(Quoted(long.as_bytes()).to_string(), "ä".repeat(QUOTED_BYTES_MAX / 2));
        assert_eq!(Quoted(odd.as_bytes()).to_string(), format!("x{}", "ä".repeat(QUOTED_BYTES_MAX / 2 - 1)));
    }

    #[test]
    fn bytes_that_are_no_text_are_marked() {
        assert_eq!(Quoted(b"a\xffb").to_string(), "a\u{fffd}b");
        assert_eq!(Quoted(b"\xc3").to_string(), "\u{fffd}");
    }
}
