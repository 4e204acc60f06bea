//! One connection's incoming side: bytes become requests, whatever way they were split.
//!
//! It reads no socket and no clock, holds no bytes and never allocates. What it remembers between calls is how far it
//! has come in the current message; the bytes stay with the caller.

use super::{
    chunked::{Chunks, Decoded},
    fault::Fault,
    framing::Framing,
    head::{self, Reading, Unfit},
    request::Head,
    scan::{HeadScan, HeadSpan, Scanned},
};
use crate::limits::Limits;

/// The incoming side of one connection.
#[derive(Debug, Clone, Copy, Default)]
pub struct Inbound {
    stage: Stage,
}

/// What the bytes at hand came to.
#[derive(Debug)]
#[must_use]
pub enum Step<'b> {
    /// Nothing whole yet.
    NeedMore,
    /// The head is complete, its client waits for `100 Continue`, and no body byte has come. Told on each call until
    /// [`Inbound::continued`] is called, a body byte comes, or the connection is closed.
    Expect(Head<'b>),
    /// A whole request.
    Request {
        head: Head<'b>,
        /// Decoded, complete, and the reader's to overwrite.
        body: &'b mut [u8],
        /// Bytes of this message, empty lines before it included. The next call starts behind them.
        consumed: usize,
        persistence: Persistence,
    },
    /// Answer this instead of serving the message.
    Fault {
        fault: Fault,
        /// Bytes to skip, if the connection goes on. If it does not, it is closed behind the answer and every later
        /// byte is discarded unparsed.
        consumed: Option<usize>,
        /// `keep_alive` if and only if `consumed` is there.
        persistence: Persistence,
        /// The answer to a HEAD has no body.
        head_only: bool,
        /// Of a message whose head could be read. Nothing of it may be served, and a method that nobody knows stands as GET.
        head: Option<Head<'b>>,
    },
}

/// Whether the client lets the connection go on behind the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Persistence {
    /// False: answer, then close.
    pub keep_alive: bool,
    /// An HTTP/1.0 client that asked for it must be told that it got it.
    pub say_keep_alive: bool,
}

impl Persistence {
    /// Answer, then close.
    pub const CLOSE: Self = Self { keep_alive: false, say_keep_alive: false };
}

/// Which timer runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Between two messages: no byte of the next one is here.
    Idle,
    /// Inside a head.
    Head,
    /// Inside a body.
    Body {
        /// Body bytes on the wire so far.
        received: usize,
        /// How many they will be, if that was declared.
        declared: Option<usize>,
        /// The client waits for `100 Continue`, which it has not been sent.
        waits_for_continue: bool,
    },
    /// Nothing is parsed any more.
    Closed,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Head(HeadScan),
    Body(Body),
    Closed,
}

impl Default for Stage {
    fn default() -> Self {
        Self::Head(HeadScan::default())
    }
}

/// A message whose head is read and whose body is not whole.
#[derive(Debug, Clone, Copy)]
struct Body {
    /// Where the head's parts are, so that it can be read again when the body is whole.
    start: u8,
    fields: u16,
    section: u32,
    end: u32,
    waits_for_continue: bool,
    /// The message is refused already; only its end is looked for.
    refused: bool,
    rest: Rest,
}

#[derive(Debug, Clone, Copy)]
enum Rest {
    Length(u32),
    Chunked(Chunks),
    /// All of it is there and decoded.
    Whole {
        body: u32,
        wire: u32,
    },
}

impl Inbound {
    pub const fn new() -> Self {
        Self { stage: Stage::Head(HeadScan::NEW) }
    }

    /// Takes the next step. `bytes` are all bytes of this connection that were not consumed, contiguous, starting at the
    /// current message, as the last call left them: a chunked body is decoded in place.
    pub fn next<'b>(&mut self, limits: &Limits, bytes: &'b mut [u8]) -> Step<'b> {
        let span = match &mut self.stage {
            Stage::Head(scan) => match scan.advance(limits, bytes) {
                Scanned::Whole(span) => span,
                stopped => return self.stop_in_head(stopped, bytes),
            },
            Stage::Body(body) => {
                let span = body.span();
                return self.read_body(limits, bytes, span, None);
            }
            Stage::Closed => return Step::NeedMore,
        };
        let (head, rest) = split(bytes, span.end);
        let reading = match head::read(limits, head, span) {
            Ok(reading) => reading,
            Err(unfit) => return self.close_on(unfit, None),
        };
        match reading.framing {
            Framing::None => self.deliver(reading, rest, 0, span.end, 0),
            Framing::Length(length) => match usize::try_from(length) {
                Ok(body) if body <= rest.len() && body <= accepted_bytes_max(limits, &reading) => {
                    self.deliver(reading, rest, body, span.end, body)
                }
                _ => self.start_body(limits, head, rest, span, reading),
            },
            Framing::Chunked => self.start_body(limits, head, rest, span, reading),
        }
    }

    /// One whose next step is a request that [`Self::next`] gave out already. `bytes` are those of that call, as it left them: `consumed` of
    /// them are the request's, of which `body` remain of a body that was chunked.
    pub fn again(limits: &Limits, bytes: &[u8], consumed: usize, body: usize) -> Self {
        let Scanned::Whole(span) = HeadScan::default().advance(limits, bytes) else {
            debug_assert!(false, "its head was whole");
            return Self::new();
        };
        let rest = Rest::Whole { body: offset(body), wire: offset(consumed.saturating_sub(span.end)) };
        Self { stage: Stage::Body(Body::new(span, false, false, rest)) }
    }

    /// `100 Continue` is on its way to the client.
    pub fn continued(&mut self) {
        if let Stage::Body(body) = &mut self.stage {
            body.waits_for_continue = false;
        }
    }

    /// The head of a message whose body is not whole, from the bytes that [`Self::next`] was last given; `None` between messages,
    /// inside a head, and where the message is refused already.
    pub fn unfinished<'b>(&self, limits: &Limits, bytes: &'b [u8]) -> Option<Head<'b>> {
        let Stage::Body(body) = &self.stage else { return None };
        let span = body.span();
        let head = bytes.get(..span.end)?;
        let reading = head::read(limits, head, span).ok()?;
        (!body.refused).then_some(reading.head)
    }

    /// The connection will be closed: nothing is parsed from here on.
    pub fn close(&mut self) {
        self.stage = Stage::Closed;
    }

    /// The peer has ended its side, `unconsumed` bytes after the last message. Is something missing?
    pub fn end(&self, unconsumed: usize) -> Option<Fault> {
        match self.phase(unconsumed) {
            Phase::Idle | Phase::Closed => None,
            Phase::Head | Phase::Body { .. } => Some(Fault::Truncated),
        }
    }

    /// What is being waited for, given how many bytes were not consumed when [`Inbound::next`] last said so.
    pub fn phase(&self, unconsumed: usize) -> Phase {
        match &self.stage {
            Stage::Head(scan) if scan.is_idle(unconsumed) => Phase::Idle,
            Stage::Head(_) => Phase::Head,
            Stage::Body(body) => Phase::Body {
                received: unconsumed.saturating_sub(body.end as usize),
                declared: match body.rest {
                    Rest::Length(length) => Some(length as usize),
                    Rest::Whole { wire, .. } => Some(wire as usize),
                    Rest::Chunked(_) => None,
                },
                waits_for_continue: body.waits_for_continue,
            },
            Stage::Closed => Phase::Closed,
        }
    }

    /// The head is not whole, or never will be. Its request line is judged as soon as it is complete, so that a client
    /// that speaks something else is not left waiting.
    #[cold]
    fn stop_in_head<'b>(&mut self, stopped: Scanned, bytes: &[u8]) -> Step<'b> {
        let Stage::Head(scan) = &mut self.stage else { return Step::NeedMore };
        if let Err(fault) = scan.check_request_line(bytes) {
            return self.close_on(Unfit { fault, head_only: false }, None);
        }
        match stopped {
            Scanned::Fault(fault) => self.close_on(Unfit { fault, head_only: false }, None),
            Scanned::More | Scanned::Whole(_) => Step::NeedMore,
        }
    }

    /// The head is read for the first time and the body is not simply there.
    #[cold]
    fn start_body<'b>(
        &mut self,
        limits: &Limits,
        head: &'b [u8],
        rest: &'b mut [u8],
        span: HeadSpan,
        reading: Reading<'b>,
    ) -> Step<'b> {
        let max = accepted_bytes_max(limits, &reading);
        let rest_of_body = match reading.framing {
            Framing::None => Rest::Length(0),
            Framing::Length(length) => match u32::try_from(length) {
                Ok(fits) if fits as usize <= max => Rest::Length(fits),
                // Only a refused body can be too long here: one above the limit is refused.
                _ => return self.close_on(unfit(&reading), Some(reading.head)),
            },
            // A client that waits may send the body of a refused request, or may not: nobody could tell what follows.
            Framing::Chunked if reading.refused.is_some() && max == 0 => {
                return self.close_on(unfit(&reading), Some(reading.head));
            }
            Framing::Chunked => Rest::Chunked(Chunks::new(span)),
        };
        let (waits, refused) = (reading.head.expect_continue, reading.refused.is_some());
        self.stage = Stage::Body(Body::new(span, waits, refused, rest_of_body));
        self.read_body_parts(limits, head, rest, span, Some(reading))
    }

    #[cold]
    fn read_body<'b>(
        &mut self,
        limits: &Limits,
        bytes: &'b mut [u8],
        span: HeadSpan,
        reading: Option<Reading<'b>>,
    ) -> Step<'b> {
        let (head, rest) = split(bytes, span.end);
        self.read_body_parts(limits, head, rest, span, reading)
    }

    fn read_body_parts<'b>(
        &mut self,
        limits: &Limits,
        head: &'b [u8],
        rest: &'b mut [u8],
        span: HeadSpan,
        known: Option<Reading<'b>>,
    ) -> Step<'b> {
        let Stage::Body(body) = &mut self.stage else { return Step::NeedMore };
        body.waits_for_continue &= rest.is_empty();
        let waits = body.waits_for_continue;
        let refused = body.refused;
        let read = || known.map_or_else(|| head::read(limits, head, span), Ok);
        let decoded = match &mut body.rest {
            Rest::Length(length) if *length as usize <= rest.len() => {
                let length = *length as usize;
                Decoded::Whole { body: length, wire: length }
            }
            Rest::Length(_) => Decoded::More,
            Rest::Whole { body, wire } => Decoded::Whole { body: *body as usize, wire: *wire as usize },
            Rest::Chunked(chunks) => chunks.advance(limits, refused, rest),
        };
        let (unfit, head) = match decoded {
            Decoded::More if waits => match read() {
                Ok(reading) => return Step::Expect(reading.head),
                Err(unfit) => (unfit, None),
            },
            Decoded::More => return Step::NeedMore,
            Decoded::Whole { body, wire } => match read() {
                Ok(reading) => return self.deliver(reading, rest, body, span.end, wire),
                Err(unfit) => (unfit, None),
            },
            Decoded::Fault(fault) => match read() {
                // What was refused first is what is answered.
                Ok(reading) => {
                    let fault = reading.refused.unwrap_or(fault);
                    (Unfit { fault, ..unfit(&reading) }, Some(reading.head))
                }
                Err(unfit) => (unfit, None),
            },
        };
        self.close_on(unfit, head)
    }

    /// The message is whole: `body` bytes of `rest`, which took `wire` bytes behind a head of `head` bytes.
    #[inline]
    fn deliver<'b>(
        &mut self,
        reading: Reading<'b>,
        rest: &'b mut [u8],
        body: usize,
        head: usize,
        wire: usize,
    ) -> Step<'b> {
        let consumed = head + wire;
        let Reading { head, persistence, refused, .. } = reading;
        self.stage = if persistence.keep_alive { Stage::default() } else { Stage::Closed };
        if let Some(fault) = refused {
            let consumed = persistence.keep_alive.then_some(consumed);
            return Step::Fault { fault, consumed, persistence, head_only: reading.head_only, head: Some(head) };
        }
        let (body, _) = split(rest, body);
        Step::Request { head, body, consumed, persistence }
    }

    #[cold]
    fn close_on<'b>(&mut self, unfit: Unfit, head: Option<Head<'b>>) -> Step<'b> {
        self.stage = Stage::Closed;
        let Unfit { fault, head_only } = unfit;
        Step::Fault { fault, consumed: None, persistence: Persistence::CLOSE, head_only, head }
    }
}

impl Body {
    fn new(span: HeadSpan, waits_for_continue: bool, refused: bool, rest: Rest) -> Self {
        Self {
            start: small(span.start),
            fields: span.fields,
            section: offset(span.section),
            end: offset(span.end),
            waits_for_continue,
            refused,
            rest,
        }
    }

    fn span(&self) -> HeadSpan {
        HeadSpan {
            start: usize::from(self.start),
            section: self.section as usize,
            end: self.end as usize,
            fields: self.fields,
        }
    }
}

/// Body bytes that are read: all that the limits allow, or of a refused request as many as the connection is worth.
fn accepted_bytes_max(limits: &Limits, reading: &Reading<'_>) -> usize {
    match reading.refused {
        None => limits.body_bytes_max,
        Some(_) if reading.head.expect_continue => 0,
        Some(_) => limits.unread_body_bytes_max,
    }
}

fn unfit(reading: &Reading<'_>) -> Unfit {
    Unfit { fault: reading.refused.unwrap_or(Fault::BodyTooLarge), head_only: reading.head_only }
}

/// Both parts; the offset lies within, and if it ever did not, nothing is behind it.
fn split(bytes: &mut [u8], at: usize) -> (&mut [u8], &mut [u8]) {
    let at = at.min(bytes.len());
    bytes.split_at_mut(at)
}

/// Offsets within one message fit, as `limits.rs` asserts.
fn offset(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn small(n: usize) -> u8 {
    u8::try_from(n).unwrap_or(u8::MAX)
}
