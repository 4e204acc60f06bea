//! A request as the service sees it.

use super::grammar::trimmed;
use crate::admission::Criticality;

/// Request methods that a route may have. Others are refused before a service sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Patch,
    Options,
    Trace,
}

impl Method {
    /// Methods are case-sensitive: `get` is not GET.
    pub(super) fn from_token(token: &[u8]) -> Option<Self> {
        Some(match token {
            b"POST" => Self::Post,
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"PATCH" => Self::Patch,
            b"OPTIONS" => Self::Options,
            b"TRACE" => Self::Trace,
            _ => return None,
        })
    }
}

/// A request's head: borrows the connection's bytes.
#[derive(Debug, Clone, Copy)]
pub struct Head<'b> {
    pub method: Method,
    /// The target's path, raw (nothing decoded, nothing normalised); `*` for `OPTIONS *`.
    pub path: &'b [u8],
    /// What follows the `?`, without it; empty when there is none.
    pub query: &'b [u8],
    /// The value of `Authorization`, trimmed.
    pub authorization: Option<&'b [u8]>,
    /// The value of `Content-Encoding`, trimmed. Of several, the first that is not `identity`.
    pub content_encoding: Option<&'b [u8]>,
    /// `Gannet-Server-Timing: 1`: the client wants to be told where the time went.
    pub server_timing: bool,
    /// `Gannet-Criticality`, the least of several; `None` without one that is known.
    pub criticality: Option<Criticality>,
    /// The value of the first `Gannet-Latency-Budget-Ms`, trimmed; the service's to understand.
    pub latency_budget_ms: Option<&'b [u8]>,
    /// What cannot be meant by the two above, the first of it; the service's to refuse.
    pub unclear: Option<Unclear<'b>>,
    /// The client waits for `100 Continue` before it sends a body (HTTP/1.1, and there is a body).
    pub expect_continue: bool,
    /// The fields, for the few readers that need another one.
    pub fields: Fields<'b>,
}

impl<'b> Head<'b> {
    /// A head without fields, as tests and internal callers need it.
    pub fn new(method: Method, path: &'b [u8]) -> Self {
        Self {
            method,
            path,
            query: b"",
            authorization: None,
            content_encoding: None,
            server_timing: false,
            criticality: None,
            latency_budget_ms: None,
            unclear: None,
            expect_continue: false,
            fields: Fields::default(),
        }
    }
}

/// A field that admission goes by and that cannot be understood, with its trimmed value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unclear<'b> {
    /// `Gannet-Criticality` is none that is known.
    Criticality(&'b [u8]),
    /// More than one `Gannet-Latency-Budget-Ms`, be they equal or not.
    LatencyBudgetTwice { first: &'b [u8], second: &'b [u8] },
}

/// A checked field section: lines of `name: value CRLF`, ended by an empty line. Looked through on demand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fields<'b> {
    section: &'b [u8],
}

impl<'b> Fields<'b> {
    /// `section` has passed the tokeniser.
    pub(super) fn new(section: &'b [u8]) -> Self {
        Self { section }
    }

    /// The trimmed value of the first field of this name, in any case.
    pub fn first(&self, name: &str) -> Option<&'b [u8]> {
        self.iter().find(|(candidate, _)| candidate.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// Names as sent, and trimmed values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'b [u8], &'b [u8])> + use<'b> {
        self.section.split(|byte| *byte == b'\n').filter_map(|line| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
            Some((name, trimmed(value.get(1..).unwrap_or_default())))
        })
    }
}

/// A whole request. The body is complete and decoded (no chunk framing), and is the reader's to overwrite.
#[derive(Debug)]
pub struct Request<'b> {
    pub head: Head<'b>,
    pub body: &'b mut [u8],
    /// When the turn that saw the first byte of this request began, on the monotonic clock, in nanoseconds.
    pub seen_ns: u64,
    /// [`crate::Service::asks`] was called for this very request right before, and nothing in between.
    pub asked: bool,
}
