//! Answers become bytes: one fixed order of fields, written ahead of the body in the common case.
//!
//! ```text
//!   HTTP/1.1 200 OK                     begin() writes all of this in one copy, with the last answer's length;
//!   Server: gannet                      the service appends the body; finish() patches the length's digits.
//!   Date: Sun, 06 Nov 1994 08:49:37 GMT
//!   Content-Type: application/json      Whatever differs (status, fields, number of digits) is written anew
//!   Cache-Control: no-store             into a reused buffer, and the body is moved once to fit it.
//!   [Allow | WWW-Authenticate | Retry-After | Accept-Encoding | Server-Timing | Connection]
//!   Content-Length: 912
//! ```

use super::{
    date::{DATE_BYTES, DateCache},
    fault::Fault,
    inbound::Persistence,
    status::Status,
};
use crate::{
    clock::Clock,
    service::{Answer, Content, ServerTiming},
};

/// Written before a body is asked for (RFC 9110 §15.2.1); it has neither date nor length.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Writes heads. One per shard: it keeps the date and the shape of the last head.
#[derive(Debug)]
pub struct Responses {
    date: DateCache,
    /// The common head, up to date, with [`LENGTH_DIGITS_MAX`] bytes or fewer for the length.
    common: Vec<u8>,
    /// Digits of the last length.
    digits: usize,
    /// Where a head that is not the common one is put together.
    scratch: Vec<u8>,
    /// Read only for an answer with `Server-Timing`.
    clock: Option<Clock>,
}

/// Where an answer begins in the output, and where its body does.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct HeadMark {
    head: usize,
    body: usize,
}

impl HeadMark {
    /// Where the answer begins in the output.
    pub fn start(&self) -> usize {
        self.head
    }
}

impl Responses {
    /// `unix_s` is the time now, in seconds since the Unix epoch.
    pub fn new(unix_s: i64) -> Self {
        let mut responses = Self {
            date: DateCache::new(unix_s),
            common: Vec::with_capacity(HEAD_BYTES_TYPICAL),
            digits: 3,
            scratch: Vec::with_capacity(HEAD_BYTES_TYPICAL),
            clock: None,
        };
        responses.rebuild_common();
        responses
    }

    /// The same with the clock that the service's times are of: `Server-Timing` then counts an answer's own rendering too.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Takes the time of this turn.
    pub fn update(&mut self, unix_s: i64) {
        if self.date.update(unix_s)
            && let Some(date) = self.common.get_mut(DATE_OFFSET..DATE_OFFSET + DATE_BYTES)
        {
            date.copy_from_slice(self.date.text());
        }
    }

    /// Writes the head that most answers have. The body is to be appended straight behind it.
    pub fn begin(&self, out: &mut Vec<u8>) -> HeadMark {
        let head = out.len();
        out.extend_from_slice(&self.common);
        HeadMark { head, body: out.len() }
    }

    /// The body is complete: makes the head true. `close` if the server closes for reasons of its own.
    pub fn finish(
        &mut self,
        out: &mut Vec<u8>,
        mark: HeadMark,
        answer: &Answer,
        persistence: Persistence,
        head_only: bool,
        close: bool,
    ) {
        let written = out.len() - mark.body;
        let decimal = Decimal::new(if has_body(answer) { written } else { 0 });
        let digits = decimal.text();
        let connection = match persistence {
            _ if close || !persistence.keep_alive => Some("close"),
            Persistence { say_keep_alive: true, .. } => Some("keep-alive"),
            Persistence { .. } => None,
        };
        if is_common(answer) && connection.is_none() && digits.len() == self.digits {
            let at = mark.body - BLANK_LINE.len() - digits.len();
            if let Some(place) = out.get_mut(at..at + digits.len()) {
                place.copy_from_slice(digits);
            }
        } else {
            self.write_head(answer, connection, digits);
            replace(out, mark, &self.scratch);
            if is_common(answer) && digits.len() != self.digits {
                self.digits = digits.len();
                self.rebuild_common();
            }
        }
        if head_only || !has_body(answer) {
            let without = out.len() - written;
            out.truncate(without);
        }
    }

    /// Writes the whole answer to a fault.
    pub fn fault(&mut self, out: &mut Vec<u8>, fault: Fault, persistence: Persistence, head_only: bool, close: bool) {
        let mark = self.begin(out);
        out.extend_from_slice(fault.body().as_bytes());
        self.finish(out, mark, &Answer::json(fault.status()), persistence, head_only, close);
    }

    fn rebuild_common(&mut self) {
        const ZEROS: &[u8; LENGTH_DIGITS_MAX] = &[b'0'; LENGTH_DIGITS_MAX];
        self.write_head(&Answer::json(Status::OK), None, ZEROS.get(..self.digits).unwrap_or(ZEROS));
        self.common.clone_from(&self.scratch);
    }

    /// The one place where a head is put together.
    fn write_head(&mut self, answer: &Answer, connection: Option<&str>, length: &[u8]) {
        let head = &mut self.scratch;
        head.clear();
        head.extend_from_slice(b"HTTP/1.1 ");
        head.extend_from_slice(Decimal::new(usize::from(answer.status.0)).text());
        head.push(b' ');
        head.extend_from_slice(answer.status.reason().as_bytes());
        head.extend_from_slice(b"\r\nServer: gannet\r\nDate: ");
        head.extend_from_slice(self.date.text());
        head.extend_from_slice(b"\r\n");
        if has_body(answer) {
            head.extend_from_slice(match answer.content {
                Content::Metrics => b"Content-Type: text/plain; version=0.0.4\r\n",
                Content::OpenMetrics => b"Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n",
                Content::Json | Content::None => b"Content-Type: application/json\r\n",
            });
        }
        head.extend_from_slice(b"Cache-Control: no-store\r\n");
        let mut field = |name: &[u8], value: Option<&[u8]>| write_field(head, name, value);
        field(b"Allow", answer.allow.map(str::as_bytes));
        field(b"WWW-Authenticate", answer.authenticate.map(str::as_bytes));
        field(b"Retry-After", answer.retry_after_s.map(|s| Decimal::new(s as usize)).as_ref().map(Decimal::text));
        field(b"Accept-Encoding", answer.accept_encoding.map(str::as_bytes));
        if let Some(timing) = &answer.server_timing {
            write_timing(timing, self.clock.as_ref(), head);
        }
        let mut field = |name: &[u8], value: Option<&[u8]>| write_field(head, name, value);
        field(b"Connection", connection.map(str::as_bytes));
        field(b"Content-Length", (answer.status != Status::NO_CONTENT).then_some(length));
        head.extend_from_slice(b"\r\n");
    }
}

fn write_field(head: &mut Vec<u8>, name: &[u8], value: Option<&[u8]>) {
    if let Some(value) = value {
        for part in [name, b": ", value, b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
}

/// `Server-Timing` as the W3C has it: durations are milliseconds.
#[cold]
fn write_timing(timing: &ServerTiming, clock: Option<&Clock>, head: &mut Vec<u8>) {
    let own_ns = clock.map_or(0, |clock| clock.now().monotonic_ns.saturating_sub(timing.from_ns));
    let own_us = u32::try_from(own_ns / 1000).unwrap_or(u32::MAX);
    let stages: [(&[u8], u32); 5] = [
        (b"Server-Timing: queue", timing.queue_us),
        (b", parse", timing.parse_us),
        (b", lookup", timing.lookup_us),
        (b", cold", timing.cold_us),
        (b", render", timing.render_us.saturating_add(own_us)),
    ];
    for (name, us) in stages {
        head.extend_from_slice(name);
        head.extend_from_slice(b";dur=");
        head.extend_from_slice(Decimal::new(us as usize / 1000).text());
        head.push(b'.');
        let thousandths = Decimal::new(1000 + us as usize % 1000); // a one in front keeps the zeros
        head.extend_from_slice(thousandths.text().get(1..).unwrap_or_default());
    }
    head.extend_from_slice(b"\r\n");
}

/// Is this the head that `begin` has written, but for the length?
fn is_common(answer: &Answer) -> bool {
    *answer == Answer::json(Status::OK)
}

fn has_body(answer: &Answer) -> bool {
    answer.status != Status::NO_CONTENT && answer.content != Content::None
}

/// Puts `head` in place of the one that was begun; the body behind it moves.
fn replace(out: &mut Vec<u8>, mark: HeadMark, head: &[u8]) {
    let (old_end, body) = (out.len(), mark.head + head.len());
    if body > mark.body {
        out.resize(old_end + (body - mark.body), 0);
    }
    out.copy_within(mark.body..old_end, body);
    if body < mark.body {
        out.truncate(old_end - (mark.body - body));
    }
    if let Some(place) = out.get_mut(mark.head..body) {
        place.copy_from_slice(head);
    }
}

/// A number in decimal, without allocation.
#[derive(Debug, Clone, Copy)]
struct Decimal {
    digits: [u8; LENGTH_DIGITS_MAX],
    first: usize,
}

impl Decimal {
    fn new(mut n: usize) -> Self {
        let mut digits = [b'0'; LENGTH_DIGITS_MAX];
        let mut first = LENGTH_DIGITS_MAX;
        for (at, digit) in digits.iter_mut().enumerate().rev() {
            first = at;
            *digit = b"0123456789".get(n % 10).copied().unwrap_or(b'0');
            n /= 10;
            if n == 0 {
                break;
            }
        }
        Self { digits, first }
    }

    fn text(&self) -> &[u8] {
        self.digits.get(self.first..).unwrap_or_default()
    }
}

/// Digits of the largest `usize`.
const LENGTH_DIGITS_MAX: usize = 20;

/// Behind the length's digits.
const BLANK_LINE: &[u8] = b"\r\n\r\n";

/// Where the date stands in the common head.
const DATE_OFFSET: usize = b"HTTP/1.1 200 OK\r\nServer: gannet\r\nDate: ".len();

/// Room that no head of ours exceeds, so that buffers of this size are never grown.
const HEAD_BYTES_TYPICAL: usize = 512;
