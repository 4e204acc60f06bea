//! The least that must be understood of an answer: its status, where it ends, and whether the connection goes on. A plain
//! function of the bytes at hand; the body is not looked at.

use memchr::memchr_iter;

/// A whole answer at the start of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head_bytes: usize,
    /// Head and body.
    pub(crate) bytes: usize,
    /// Nothing follows on this connection.
    pub(crate) closes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parsed {
    Whole(Response),
    /// It cannot be whole before this many bytes are there.
    Needs(usize),
}

/// What is no answer, or none that this client reads: why.
pub(crate) type Fault = &'static str;

pub(crate) fn parse(bytes: &[u8]) -> Result<Parsed, Fault> {
    let mut status_line = None;
    let mut fields = Fields::default();
    let mut start = 0;
    for line_end in memchr_iter(b'\n', bytes) {
        let line = &bytes[start..line_end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        start = line_end + 1;
        match status_line {
            None => status_line = Some(status(line)?),
            Some(status) if line.is_empty() => return end(bytes.len(), start, status, &fields),
            Some(_) => fields.read(line)?,
        }
    }
    let known = bytes.len().min(STATUS_LINE.len());
    if bytes[..known] != STATUS_LINE[..known] {
        return Err("not HTTP/1.1");
    }
    if bytes.len() > HEAD_BYTES_MAX { Err("a head too large") } else { Ok(Parsed::Needs(bytes.len() + 1)) }
}

/// The head is whole: is the body?
fn end(bytes: usize, head_bytes: usize, (status, old): (u16, bool), fields: &Fields) -> Result<Parsed, Fault> {
    let body_bytes = match fields.body_bytes {
        _ if status < 200 || status == 204 || status == 304 => 0,
        Some(length) if length > BODY_BYTES_MAX => return Err("a body too large"),
        Some(length) => length,
        None => return Err("no Content-Length"),
    };
    let whole = head_bytes + body_bytes;
    if bytes < whole {
        return Ok(Parsed::Needs(whole));
    }
    Ok(Parsed::Whole(Response { status, head_bytes, bytes: whole, closes: fields.closes.unwrap_or(old) }))
}

/// What matters of the header lines.
#[derive(Debug, Default)]
struct Fields {
    body_bytes: Option<usize>,
    /// What `Connection` says, if there is one.
    closes: Option<bool>,
}

impl Fields {
    fn read(&mut self, line: &[u8]) -> Result<(), Fault> {
        // The first letter settles most lines.
        match line.first() {
            Some(b'c' | b'C') => {}
            Some(b't' | b'T') if value(line, b"transfer-encoding").is_some() => {
                return Err("a transfer coding, which this client does not read");
            }
            _ => return Ok(()),
        }
        if let Some(length) = value(line, b"content-length") {
            self.body_bytes = Some(number(length).ok_or("a Content-Length that is no number")?);
        } else if let Some(options) = value(line, b"connection") {
            for option in options.split(|letter| *letter == b',').map(<[u8]>::trim_ascii) {
                if option.eq_ignore_ascii_case(b"close") {
                    self.closes = Some(true);
                } else if option.eq_ignore_ascii_case(b"keep-alive") {
                    self.closes = self.closes.or(Some(false));
                }
            }
        }
        Ok(())
    }
}

/// The status, and whether that version of HTTP closes unless told otherwise.
fn status(line: &[u8]) -> Result<(u16, bool), Fault> {
    let version_and_status = line.strip_prefix(STATUS_LINE).ok_or("not HTTP/1.1")?;
    let [minor, b' ', a, b, c, reason @ ..] = version_and_status else { return Err("a malformed status line") };
    let digits = [*a, *b, *c];
    if !digits.iter().all(u8::is_ascii_digit) || *a == b'0' || reason.first().is_some_and(|letter| *letter != b' ') {
        return Err("a malformed status line");
    }
    let status = digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
    Ok((status, *minor == b'0'))
}

/// The value of the header `name` (in lower case), if this line is it.
fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = line.split_at_checked(name.len())?;
    let rest = rest.strip_prefix(b":")?;
    head.eq_ignore_ascii_case(name).then(|| rest.trim_ascii())
}

fn number(digits: &[u8]) -> Option<usize> {
    (!digits.is_empty() && digits.len() <= 15).then_some(())?;
    digits.iter().try_fold(0_usize, |n, digit| digit.is_ascii_digit().then(|| n * 10 + usize::from(digit - b'0')))
}

const STATUS_LINE: &[u8] = b"HTTP/1.";

const HEAD_BYTES_MAX: usize = 64 << 10;

/// An answer is kept whole until it is complete; beyond this the server is not one to measure this way.
const BODY_BYTES_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Response {
        match parse(text.as_bytes()) {
            Ok(Parsed::Whole(response)) => response,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn an_answer_is_read_wherever_it_is_cut() {
        let text =
            b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nCONTENT-LENGTH:  5 \r\nDate: now\r\n\r\nhelloHTTP/1.1 429";
        let response = Response { status: 200, head_bytes: 77, bytes: 82, closes: false };
        for cut in 0..82 {
            let Ok(Parsed::Needs(needed)) = parse(&text[..cut]) else { panic!("cut at {cut}") };
            assert!(needed > cut && needed <= 82, "cut at {cut}: {needed}");
        }
        for cut in 82..text.len() {
            assert_eq!(parse(&text[..cut]), Ok(Parsed::Whole(response)), "cut at {cut}");
        }
    }

    #[test]
    fn statuses_without_a_body_need_no_length() {
        assert_eq!(whole("HTTP/1.1 204 No Content\r\n\r\n").bytes, 27);
        assert_eq!(whole("HTTP/1.1 100 Continue\r\n\r\n").status, 100);
        assert_eq!(whole("HTTP/1.1 304\r\nContent-Length: 9\r\n\r\n").bytes, 35);
    }

    #[test]
    fn an_answer_says_whether_the_connection_goes_on() {
        for (text, closes) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nconnection: x, Close\r\nContent-Length: 0\r\n\r\n", true),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", true),
            ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n", false),
        ] {
            assert_eq!(whole(text).closes, closes, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_answer_says_why() {
        for (text, why) in [
            ("SSH-2.0", "not HTTP/1.1"),
            ("HTTP/2 200 OK\r\n\r\n", "not HTTP/1.1"),
            ("HTTP/1.1 2x0 OK\r\n\r\n", "a malformed status line"),
            ("HTTP/1.1 200 OK\r\n\r\n", "no Content-Length"),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "a Content-Length that is no number"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "a body too large"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "a transfer coding, which this client does not read",
            ),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(why), "{text:?}");
        }
        assert_eq!(parse(&[b"HTTP/1.1 ", &[b'x'; HEAD_BYTES_MAX][..]].concat()), Err("a head too large"));
    }
}
