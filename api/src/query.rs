//! What a request asks for, in no dialect. A query borrows nothing: its texts are stretches of the request's body.

use crate::{aggregates::LeadingEdge, tecton::MetadataOptions};

/// A stretch of a request's body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl Span {
    /// The bytes, in the body that this span was made for.
    pub(crate) fn of(self, body: &[u8]) -> &[u8] {
        let start = self.start as usize;
        body.get(start..start + self.len as usize).unwrap_or_default()
    }
}

/// One request for features, but for its join keys, which the decoder keeps beside it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Query {
    /// `None` is the default workspace.
    pub(crate) workspace: Option<Span>,
    pub(crate) locator: Locator,
    /// `None`: the request set none of them.
    pub(crate) metadata: Option<MetadataOptions>,
    /// Microseconds from when the request was seen.
    pub(crate) latency_budget_us: Option<u32>,
    /// What the windows of aggregates end at; `None`: what each view says.
    pub(crate) leading_edge: Option<LeadingEdge>,
    /// Counts of nothing are 0 instead of null.
    pub(crate) coerce_null_counts_to_zero: bool,
    /// The answer is to tell where its time went.
    pub(crate) server_timing: bool,
    /// Top-level keys of the request context; none is expected yet, so all are counted and ignored.
    pub(crate) context_keys: u32,
}

/// How the vector is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Locator {
    Service(Span),
    /// 32 hex digits.
    ServiceId(Span),
    /// The implicit service of one view.
    View(Span),
    ViewId(Span),
}

impl Locator {
    pub(crate) fn span(self) -> Span {
        match self {
            Self::Service(span) | Self::ServiceId(span) | Self::View(span) | Self::ViewId(span) => span,
        }
    }
}

/// One join key as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyEntry {
    pub(crate) name: Span,
    pub(crate) value: KeyValue,
}

/// A join key's value; whether it fits its type is decided by the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyValue {
    Null,
    Text(Span),
    Int64(i64),
    /// A number that is no int64 as it is written, though it may be one: `5.0`, `5e0`.
    Number,
    /// Anything else: a boolean, an object, a list.
    Other,
}
