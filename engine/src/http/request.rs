//! A request as the service sees it.

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
    /// The value of `Content-Encoding`, trimmed.
    pub content_encoding: Option<&'b [u8]>,
}

/// A whole request. The body is complete and decoded (no chunk framing), and is the reader's to overwrite.
#[derive(Debug)]
pub struct Request<'b> {
    pub head: Head<'b>,
    pub body: &'b mut [u8],
    /// When the turn that saw the last byte of this request began, on the monotonic clock, in nanoseconds.
    pub seen_ns: u64,
}
