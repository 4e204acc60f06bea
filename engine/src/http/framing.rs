//! How long the body is. One function decides it, from the complete field section, and nothing else may.

use httparse::Header;

use super::{
    fault::Fault,
    grammar::{is_token, trimmed},
    request_line::Version,
};
use crate::limits::CONTENT_LENGTH_DIGITS_MAX;

/// How the body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// No body: neither field is there.
    None,
    /// This many bytes.
    Length(u64),
    /// Chunks, until the last.
    Chunked,
}

impl Framing {
    /// Judges Transfer-Encoding and Content-Length over all lines of the section. Any doubt is a fault.
    #[inline]
    pub(super) fn decide(version: Version, fields: &[Header<'_>]) -> Result<Self, Fault> {
        let (mut length, mut lengths, mut codings) = (&b""[..], 0_u32, false);
        for field in fields {
            match field.name.len() {
                14 if field.name.eq_ignore_ascii_case(CONTENT_LENGTH) => {
                    length = field.value;
                    lengths += 1;
                }
                17 if field.name.eq_ignore_ascii_case(TRANSFER_ENCODING) => codings = true,
                _ => {}
            }
        }
        match (codings, lengths) {
            (false, 0) => Ok(Self::None),
            (false, 1) => parse_length(length).map(Self::Length),
            (false, _) => Err(repeated_length(values(fields, CONTENT_LENGTH))),
            (true, _) if version == Version::Http10 => Err(Fault::CodingInHttp10),
            (true, 0) => judge_codings(values(fields, TRANSFER_ENCODING)),
            (true, _) => Err(Fault::BothLengths),
        }
    }
}

const CONTENT_LENGTH: &str = "content-length";
const TRANSFER_ENCODING: &str = "transfer-encoding";

/// The values of all lines of this name.
fn values<'f>(fields: &'f [Header<'_>], name: &'static str) -> impl Iterator<Item = &'f [u8]> + Clone + use<'f> {
    let fields: &'f [Header<'f>] = fields;
    fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
}

/// Digits only, no sign, no leading zero, at most 2⁶³−1.
#[inline]
fn parse_length(value: &[u8]) -> Result<u64, Fault> {
    let mut sum: u64 = 0;
    if value.len() > CONTENT_LENGTH_DIGITS_MAX || value.is_empty() {
        return Err(unlike_length(value));
    }
    for byte in value {
        if !byte.is_ascii_digit() {
            return Err(unlike_length(value));
        }
        // Nineteen digits stay below 2⁶⁴.
        sum = sum * 10 + u64::from(byte - b'0');
    }
    if sum > i64::MAX as u64 {
        return Err(Fault::LengthOverflow);
    }
    if value.len() > 1 && value.first() == Some(&b'0') {
        return Err(Fault::LengthLeadingZero);
    }
    Ok(sum)
}

/// What is wrong with a value that is empty, too long, or holds more than digits.
#[cold]
fn unlike_length(value: &[u8]) -> Fault {
    if value.contains(&b',') {
        repeated_length(std::iter::once(value))
    } else if !value.is_empty() && value.iter().all(u8::is_ascii_digit) {
        Fault::LengthOverflow
    } else {
        Fault::LengthNotDigits
    }
}

/// Several values, in one line or more: all are refused; the log tells which kind it was.
#[cold]
fn repeated_length<'v>(lines: impl Iterator<Item = &'v [u8]>) -> Fault {
    let mut members = lines.flat_map(|line| line.split(|byte| *byte == b',')).map(trimmed).peekable();
    let first = members.peek().copied().unwrap_or_default();
    let mut equal = true;
    for member in members {
        if member.is_empty() || !member.iter().all(u8::is_ascii_digit) {
            return Fault::LengthNotDigits;
        }
        equal &= member == first;
    }
    if equal { Fault::LengthRepeated } else { Fault::LengthsDiffer }
}

/// The one coding that is served is `chunked`, alone.
fn judge_codings<'v>(lines: impl Iterator<Item = &'v [u8]> + Clone) -> Result<Framing, Fault> {
    if lines.clone().all(<[u8]>::is_empty) {
        return Err(Fault::NotChunkedLast);
    }
    let (mut chunked, mut others, mut chunked_is_last) = (0_u32, 0_u32, false);
    for member in lines.flat_map(|line| line.split(|byte| *byte == b',')).map(trimmed) {
        let mut parts = member.splitn(2, |byte| *byte == b';').map(trimmed);
        let (name, parameter) = (parts.next().unwrap_or_default(), parts.next());
        if !is_token(name) || member.contains(&b'"') {
            return Err(Fault::CodingMalformed);
        }
        chunked_is_last = name.eq_ignore_ascii_case(b"chunked");
        match (chunked_is_last, parameter) {
            (true, Some(_)) => return Err(Fault::ChunkedParameter),
            (true, None) => chunked += 1,
            (false, _) => others += 1,
        }
    }
    match (chunked, others) {
        (1, 0) => Ok(Framing::Chunked),
        (2.., _) => Err(Fault::ChunkedTwice),
        (1, _) if chunked_is_last => Err(Fault::CodingUnsupported),
        _ => Err(Fault::NotChunkedLast),
    }
}
