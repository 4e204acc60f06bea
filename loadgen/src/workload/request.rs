//! The bytes of a request, made once; per request only what stands in its holes is new.

use std::str::FromStr;

use memchr::memmem;

use super::varied::{Fill, Varied};

/// How a key is written: `C{:010}` makes `C0000000042` of 42.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyFormat {
    before: String,
    digits_min: usize,
    after: String,
}

impl FromStr for KeyFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected a text with one `{}` or `{:0DIGITS}`, as in user_{:09}".to_owned();
        let (before, rest) = text.split_once('{').ok_or_else(expected)?;
        let (inner, after) = rest.split_once('}').ok_or_else(expected)?;
        let digits_min = match inner {
            "" => 1,
            _ => inner.strip_prefix(":0").and_then(|digits| digits.parse().ok()).ok_or_else(expected)?,
        };
        if !(1..=DIGITS_MAX).contains(&digits_min) || after.contains('{') {
            return Err(expected());
        }
        Ok(Self { before: before.to_owned(), digits_min, after: after.to_owned() })
    }
}

impl KeyFormat {
    pub(super) fn write(&self, key: u64, out: &mut Vec<u8>) {
        let mut buffer = [b'0'; DIGITS_MAX];
        out.extend_from_slice(self.before.as_bytes());
        out.extend_from_slice(digits(key, self.digits_min, &mut buffer));
        out.extend_from_slice(self.after.as_bytes());
    }
}

/// What a request consists of, before it is bytes. `{key}` and the holes of [`Varied`] may stand in the target, in headers and in the body.
#[derive(Debug, Clone)]
pub(crate) struct Parts<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) host: &'a str,
    /// Without line ends.
    pub(crate) headers: &'a [String],
    pub(crate) body: &'a [u8],
}

/// A request with holes.
#[derive(Debug)]
pub(crate) enum Template {
    Keyed(Keyed),
    Varied(Varied),
}

impl Template {
    /// Fails on a hole that cannot be filled.
    pub(crate) fn new(parts: &Parts<'_>, key: &KeyFormat) -> Result<Self, String> {
        Ok(match Varied::new(parts, key)? {
            Some(varied) => Self::Varied(varied),
            None => Self::Keyed(Keyed::new(parts, key)),
        })
    }

    pub(crate) fn render(&self, fill: Fill<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Keyed(keyed) => keyed.render(fill.key, out),
            Self::Varied(varied) => varied.render(fill, out),
        }
    }
}

/// A request with holes for its key alone: all of its lengths are known beforehand.
#[derive(Debug)]
pub(crate) struct Keyed {
    digits_min: usize,
    /// By number of digits beyond the least: what stands before, between and behind the holes. `Content-Length` depends on it.
    pieces: Vec<Vec<Box<[u8]>>>,
}

impl Keyed {
    fn new(parts: &Parts<'_>, key: &KeyFormat) -> Self {
        let pieces = (key.digits_min..=DIGITS_MAX).map(|digits| pieces(parts, key, digits)).collect();
        Self { digits_min: key.digits_min, pieces }
    }

    /// Appends a request for key number `key`.
    fn render(&self, key: u64, out: &mut Vec<u8>) {
        let mut buffer = [b'0'; DIGITS_MAX];
        let digits = digits(key, self.digits_min, &mut buffer);
        let pieces = &self.pieces[digits.len() - self.digits_min];
        out.extend_from_slice(&pieces[0]);
        for piece in &pieces[1..] {
            out.extend_from_slice(digits);
            out.extend_from_slice(piece);
        }
    }
}

impl Parts<'_> {
    /// The request line and the headers that were given.
    pub(super) fn head(&self) -> Vec<u8> {
        let Self { method, target, host, headers, .. } = self;
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n").into_bytes();
        for header in *headers {
            text.extend_from_slice(header.as_bytes());
            text.extend_from_slice(b"\r\n");
        }
        text
    }

    /// Whether a `Content-Length` is said.
    pub(super) fn has_length(&self) -> bool {
        !self.body.is_empty() || !["GET", "DELETE"].contains(&self.method)
    }
}

fn pieces(parts: &Parts<'_>, key: &KeyFormat, digits: usize) -> Vec<Box<[u8]>> {
    let mut text = parts.head();
    let body = parts.body;
    if parts.has_length() {
        let holes = memmem::find_iter(body, HOLE).count();
        let written = key.before.len() + digits + key.after.len();
        let length = body.len() - holes * HOLE.len() + holes * written;
        text.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
    }
    text.extend_from_slice(b"\r\n");
    text.extend_from_slice(body);

    let mut pieces = vec![Vec::new()];
    let mut at = 0;
    for hole in memmem::find_iter(&text, HOLE) {
        let last = pieces.len() - 1;
        pieces[last].extend_from_slice(&text[at..hole]);
        pieces[last].extend_from_slice(key.before.as_bytes());
        pieces.push(key.after.clone().into_bytes());
        at = hole + HOLE.len();
    }
    let last = pieces.len() - 1;
    pieces[last].extend_from_slice(&text[at..]);
    pieces.into_iter().map(Vec::into_boxed_slice).collect()
}

/// `key` in decimal, with zeros in front up to `digits_min`.
pub(super) fn digits(mut key: u64, digits_min: usize, buffer: &mut [u8; DIGITS_MAX]) -> &[u8] {
    let mut at = DIGITS_MAX;
    while key > 0 {
        at -= 1;
        buffer[at] += u8::try_from(key % 10).unwrap_or_default();
        key /= 10;
    }
    &buffer[at.min(DIGITS_MAX - digits_min)..]
}

const HOLE: &[u8] = b"{key}";

/// A 64-bit number has no more.
pub(super) const DIGITS_MAX: usize = 20;

/// What Gannet's quickstart answers: ten features of `fraud_bench` with all metadata.
pub(crate) const FRAUD_BENCH_BODY: &str = r#"{"params":{"workspaceName":"prod","featureServiceName":"fraud_bench","joinKeyMap":{"user_id":"{key}"},"metadataOptions":{"includeNames":true,"includeEffectiveTimes":true,"includeDataTypes":true,"includeSloInfo":true,"includeServingStatus":true}}}"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::keys::Keys;

    fn check(parts: &Parts<'_>, format: &str, key: u64, expected: &str) {
        let template = Template::new(parts, &format.parse().unwrap()).unwrap();
        assert!(matches!(template, Template::Keyed(_)));
        let (mut random, mut counter) = (fastrand::Rng::with_seed(1), 0);
        let fill = Fill { key, unix_us: 0, keys: &Keys::One { key: 0 }, random: &mut random, counter: &mut counter };
        let mut out = Vec::new();
        template.render(fill, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    const POST: Parts<'_> =
        Parts { method: "POST", target: "/x", host: "h:1", headers: &[], body: br#"{"id":"{key}"}"# };

    #[test]
    fn the_length_follows_the_key() {
        let head = "POST /x HTTP/1.1\r\nHost: h:1\r\nContent-Length: ";
        check(&POST, "C{:010}", 42, &format!("{head}20\r\n\r\n{{\"id\":\"C0000000042\"}}"));
        check(&POST, "{}", 0, &format!("{head}10\r\n\r\n{{\"id\":\"0\"}}"));
        check(&POST, "{}-x", 1234, &format!("{head}15\r\n\r\n{{\"id\":\"1234-x\"}}"));
        // More digits than the format has zeros for.
        check(&POST, "{:02}", 123, &format!("{head}12\r\n\r\n{{\"id\":\"123\"}}"));
        check(&POST, "{}", u64::MAX, &format!("{head}29\r\n\r\n{{\"id\":\"{}\"}}", u64::MAX));
    }

    #[test]
    fn keys_may_stand_anywhere_and_nowhere() {
        let headers = ["X-User: {key}".to_owned()];
        let get = Parts { method: "GET", target: "/u/{key}?again={key}", headers: &headers, body: b"", ..POST };
        check(&get, "u{:03}", 7, "GET /u/u007?again=u007 HTTP/1.1\r\nHost: h:1\r\nX-User: u007\r\n\r\n");
        let empty = Parts { body: b"", ..POST };
        check(&empty, "{}", 7, "POST /x HTTP/1.1\r\nHost: h:1\r\nContent-Length: 0\r\n\r\n");
    }

    #[test]
    fn a_format_has_one_hole() {
        for wrong in ["user", "{:9}", "{:0}", "{:021}", "{}{}", "{key}", "{:0x}"] {
            assert!(wrong.parse::<KeyFormat>().is_err(), "{wrong}");
        }
    }
}
