//! A head found whole becomes a [`Head`], a framing and a verdict: the order of checks of `docs/http.md`, straight down.

use httparse::{EMPTY_HEADER, Header, Status::Complete};

use super::{
    fault::Fault,
    fields::{self, Expects, Said},
    framing::Framing,
    inbound::Persistence,
    request::{Fields, Head, Method},
    request_line::{RequestLine, Version},
    scan::HeadSpan,
    target::Target,
};
use crate::limits::{FIELDS_CEILING, Limits, METHOD_BYTES_MAX};

/// A head whose framing is sound.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'b> {
    /// Never served when `refused`; the method may then be a stand-in.
    pub(super) head: Head<'b>,
    pub(super) framing: Framing,
    pub(super) persistence: Persistence,
    /// Refused, but the message's end is known: the connection may go on behind it.
    pub(super) refused: Option<Fault>,
    /// The request is a HEAD; its answer has no body.
    pub(super) head_only: bool,
}

/// A head that ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unfit {
    pub(super) fault: Fault,
    /// The request was a HEAD, as far as one can tell; its answer has no body.
    pub(super) head_only: bool,
}

/// Field lines of nearly every client, and of nearly every client behind proxies. Clearing a table costs as much as
/// reading some fields, so the smallest that fits is taken; how many there are is known from the search for the end.
const FIELDS_COMMON: usize = 16;
const FIELDS_PROXIED: usize = 64;

/// `head` runs from the first byte of the message to the end of `span`.
#[inline]
pub(super) fn read<'b>(limits: &Limits, head: &'b [u8], span: HeadSpan) -> Result<Reading<'b>, Unfit> {
    match usize::from(span.fields) {
        n if n <= FIELDS_COMMON => tokenise::<FIELDS_COMMON>(limits, head, span),
        n if n <= FIELDS_PROXIED => tokenise_many::<FIELDS_PROXIED>(limits, head, span),
        _ => tokenise_many::<FIELDS_CEILING>(limits, head, span),
    }
}

/// A frame of its own for a large table, so that the common path's stays small.
#[cold]
#[inline(never)]
fn tokenise_many<'b, const N: usize>(limits: &Limits, head: &'b [u8], span: HeadSpan) -> Result<Reading<'b>, Unfit> {
    tokenise::<N>(limits, head, span)
}

/// 1. Syntax.
#[inline(always)]
fn tokenise<'b, const N: usize>(limits: &Limits, head: &'b [u8], span: HeadSpan) -> Result<Reading<'b>, Unfit> {
    let request_line = head.get(span.start..span.section.saturating_sub(2)).unwrap_or_default();
    let section = head.get(span.section..span.end).unwrap_or_default();
    let line = RequestLine::parse(request_line).map_err(|fault| Unfit { fault, head_only: false })?;
    let mut table = [EMPTY_HEADER; N];
    match httparse::parse_headers(section, &mut table) {
        Ok(Complete((end, lines))) if end == section.len() => judge(limits, &line, section, lines),
        _ => Err(Unfit { fault: fields::culprit(section), head_only: line.method == b"HEAD" }),
    }
}

/// What the tokens mean, in the order in which they are checked.
fn judge<'b>(
    limits: &Limits,
    line: &RequestLine<'b>,
    section: &'b [u8],
    lines: &[Header<'b>],
) -> Result<Reading<'b>, Unfit> {
    let head_only = line.method == b"HEAD";
    let unfit = |fault| Unfit { fault, head_only };
    let said = Said::collect(lines).map_err(unfit)?;

    // 2. Version.
    if line.version == Version::Other {
        return Err(unfit(Fault::VersionUnsupported));
    }

    // 3. Framing.
    let framing = Framing::decide(line.version, lines).map_err(unfit)?;

    // 4. Host and target.
    let method = Method::from_token(line.method);
    let target = Target::parse(line, method);
    let is_options_asterisk = target.is_ok_and(|target| target.path == b"*");
    said.check_host(line.version, is_options_asterisk).map_err(unfit)?;
    let target = target.map_err(unfit)?;
    if method.is_none() && line.method.len() > METHOD_BYTES_MAX {
        return Err(unfit(Fault::MethodTooLong));
    }

    // From here on the end of the message is known, and the first fault is kept until it is there.
    let modern = line.version == Version::Http11;
    let expects = if modern { said.expects } else { Expects::Nothing };
    let refused = if said.repeated {
        Some(Fault::FieldRepeated)
    } else if line.escaped && !Target::has_sound_escapes(line.target) {
        Some(Fault::PercentEscape)
    // 5. Declared size, expectation.
    } else if matches!(framing, Framing::Length(length) if length > limits.body_bytes_max as u64) {
        Some(Fault::BodyTooLarge)
    } else if expects == Expects::Else {
        Some(Fault::Expectation)
    // 6. Method.
    } else if method.is_none() {
        Some(Fault::MethodUnknown)
    } else {
        None
    };

    let keep_alive = !said.close && (modern || said.keep_alive);
    Ok(Reading {
        head: Head {
            method: method.unwrap_or(Method::Get),
            path: target.path,
            query: target.query,
            authorization: said.authorization,
            content_encoding: said.content_encoding,
            server_timing: said.server_timing,
            criticality: said.criticality,
            latency_budget_ms: said.latency_budget_ms,
            unclear: said.unclear,
            expect_continue: expects == Expects::Continue && !matches!(framing, Framing::None | Framing::Length(0)),
            fields: Fields::new(section),
        },
        framing,
        persistence: Persistence { keep_alive, say_keep_alive: keep_alive && !modern },
        refused,
        head_only,
    })
}
