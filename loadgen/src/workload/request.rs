//! The bytes of a request, made once; per request only the key's digits are new.

use std::str::FromStr;

use memchr::memmem;

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

/// What a request consists of, before it is bytes. `{key}` may stand in the target, in headers and in the body.
#[derive(Debug, Clone)]
pub(crate) struct Parts<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) host: &'a str,
    /// Without line ends.
    pub(crate) headers: &'a [String],
    pub(crate) body: &'a [u8],
}

/// A request with holes for the key.
#[derive(Debug)]
pub(crate) struct Template {
    digits_min: usize,
    /// By number of digits beyond the least: what stands before, between and behind the holes. `Content-Length` depends on it.
    pieces: Vec<Vec<Box<[u8]>>>,
}

impl Template {
    pub(crate) fn new(parts: &Parts<'_>, key: &KeyFormat) -> Self {
        let pieces = (key.digits_min..=DIGITS_MAX).map(|digits| pieces(parts, key, digits)).collect();
        Self { digits_min: key.digits_min, pieces }
    }

    /// Appends a request for key number `key`.
    pub(crate) fn render(&self, key: u64, out: &mut Vec<u8>) {
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

fn pieces(parts: &Parts<'_>, key: &KeyFormat, digits: usize) -> Vec<Box<[u8]>> {
    let Parts { method, target, host, headers, body } = parts;
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n").into_bytes();
    for header in *headers {
        text.extend_from_slice(header.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    if !body.is_empty() || !["GET", "DELETE"].contains(method) {
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
fn digits(mut key: u64, digits_min: usize, buffer: &mut [u8; DIGITS_MAX]) -> &[u8] {
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
const DIGITS_MAX: usize = 20;

/// What Gannet's quickstart answers: ten features of `fraud_bench` with all metadata.
pub(crate) const FRAUD_BENCH_BODY: &str = r#"{"params":{"workspaceName":"prod","featureServiceName":"fraud_bench","joinKeyMap":{"user_id":"{key}"},"metadataOptions":{"includeNames":true,"includeEffectiveTimes":true,"includeDataTypes":true,"includeSloInfo":true,"includeServingStatus":true}}}"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(parts: &Parts<'_>, format: &str, key: u64, expected: &str) {
        let template = Template::new(parts, &format.parse().unwrap());
        let mut out = Vec::new();
        template.render(key, &mut out);
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
