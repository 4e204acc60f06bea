//! JSON bodies, read in place. The one module that names the parser.
//!
//! The parser writes a flat tape of nodes into memory that is reused, with strings unescaped inside the body. A reader
//! walks the tape once and keeps [`Span`]s; then the tape is emptied, and the body belongs to its owner again. Depth is
//! bounded by the parser, which does not recurse, and neither does anything here.

use std::str;

use simd_json::{Buffers, ErrorType, Node, StaticNode, Tape};

use crate::{
    limits::{JSON_DEPTH_MAX, JSON_KEPT_BYTES_MAX},
    query::Span,
};

/// The parser's memory.
pub(crate) struct Json {
    tape: Tape<'static>,
    buffers: Buffers,
    /// The last body was large: what it grew is not kept.
    swollen: bool,
}

/// Where and why a body is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) reason: &'static str,
    pub(crate) at: usize,
}

/// A value on the tape.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'t, 'b> {
    Null,
    Boolean(bool),
    Int64(i64),
    /// An integer that is no int64.
    Uint64(u64),
    /// Any other number.
    Number(f64),
    String(Text<'b>),
    Object(Members<'t, 'b>),
    Array(Elements<'t, 'b>),
}

/// An unescaped string and where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'b> {
    pub(crate) text: &'b str,
    pub(crate) span: Span,
}

/// The members of an object, in the order of the body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Members<'t, 'b> {
    nodes: &'t [Node<'b>],
    left: usize,
    /// Address of the body's first byte.
    body: usize,
}

/// The elements of an array, in their order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Elements<'t, 'b> {
    nodes: &'t [Node<'b>],
    left: usize,
    /// Address of the body's first byte.
    body: usize,
}

impl Json {
    pub(crate) fn new() -> Self {
        Self {
            tape: Tape(Vec::with_capacity(256)),
            buffers: Buffers::with_max_depth(4096, JSON_DEPTH_MAX),
            swollen: false,
        }
    }

    /// Parses `body` and shows its root to `reader`. Afterwards `body` is as before but for escaped strings, which are
    /// unescaped where they stood.
    pub(crate) fn read<R>(&mut self, body: &mut [u8], reader: impl FnOnce(Value<'_, '_>) -> R) -> Result<R, Malformed> {
        if body.is_empty() {
            return Err(Malformed { reason: "empty body", at: 0 });
        }
        self.swollen |= body.len() > JSON_KEPT_BYTES_MAX;
        let address = body.as_ptr().addr();
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let read = match simd_json::fill_tape(body, &mut self.buffers, &mut tape) {
            Ok(()) => Ok(reader(Value::first(&tape.0, address))),
            Err(error) => {
                let strings = tape.0.iter().filter(|node| matches!(node, Node::String(_))).count();
                Err((error, strings))
            }
        };
        self.tape = tape.reset();
        read.map_err(|(error, strings)| self.explain(body, error.error(), error.index(), strings))
    }

    /// The text of the number that follows this key of the body read last.
    pub(crate) fn number_after<'b>(&self, body: &'b [u8], key: Span) -> &'b [u8] {
        // Structural bytes from the key's first byte on: its colon, then its value's first byte.
        let structural = self.buffers.structural_indexes();
        let colon = structural.partition_point(|&at| at < key.start);
        let Some(&at) = structural.get(colon + 1) else { return &[] };
        let rest = body.get(at as usize..).unwrap_or_default();
        let end = rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n'));
        &rest[..end.unwrap_or(rest.len())]
    }

    /// Gives back what a large body made grow. To be called when nothing of a body is needed any more.
    pub(crate) fn release(&mut self) {
        if self.swollen {
            *self = Self::new();
        }
    }

    /// Finds the place and the words for a parser's error. Slow, and off the common path.
    #[cold]
    fn explain(&self, body: &[u8], error: &ErrorType, index: usize, strings: usize) -> Malformed {
        match error {
            // Found while the body was scanned as a whole: nothing was unescaped yet.
            ErrorType::InvalidUtf8 => Malformed {
                reason: "invalid UTF-8",
                at: str::from_utf8(body).err().map_or(0, |error| error.valid_up_to()),
            },
            ErrorType::Eof if index == 0 => Malformed { reason: "empty body", at: body.len() },
            ErrorType::Syntax if index == 0 => faulty_string(body),
            // The parser counts these within the string: find the first string that did not reach the tape.
            ErrorType::InvalidEscape | ErrorType::InvalidUnicodeCodepoint | ErrorType::InvalidUnicodeEscape => {
                let mut quotes = self.buffers.structural_indexes().iter().map(|&at| at as usize);
                let start = quotes.by_ref().filter(|&at| body.get(at) == Some(&b'"')).nth(strings).unwrap_or(0);
                Malformed { reason: "invalid escape", at: faulty_escape(body, start) }
            }
            ErrorType::DepthLimitExceeded => Malformed { reason: "nesting deeper than 32", at: index },
            ErrorType::InvalidNumber | ErrorType::InvalidExponent => Malformed { reason: "invalid number", at: index },
            // Here `index` is where the root value ended, or began if it is no container.
            ErrorType::TrailingData => self.more_after(index),
            ErrorType::InternalError if matches!(body.get(index), Some(b'}' | b']')) => self.more_after(index),
            ErrorType::ExpectedTrue | ErrorType::ExpectedFalse | ErrorType::ExpectedNull => {
                Malformed { reason: "invalid word", at: index }
            }
            ErrorType::ExpectedObjectColon => Malformed { reason: "expected ':'", at: index },
            ErrorType::ExpectedObjectKey => Malformed { reason: "expected a member's name", at: index },
            ErrorType::ExpectedObjectContent => Malformed { reason: "expected ',' or '}'", at: index },
            ErrorType::ExpectedArrayContent => Malformed { reason: "expected ',' or ']'", at: index },
            ErrorType::Syntax => Malformed { reason: "unexpected end", at: body.len() },
            _ => Malformed { reason: "unexpected character", at: index },
        }
    }

    fn more_after(&self, end: usize) -> Malformed {
        let mut structural = self.buffers.structural_indexes().iter().map(|&at| at as usize);
        match structural.find(|&at| at > end) {
            Some(at) => Malformed { reason: "more after the end", at },
            None => Malformed { reason: "unexpected character", at: end },
        }
    }
}

impl std::fmt::Debug for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Json").finish_non_exhaustive()
    }
}

impl<'t, 'b> Value<'t, 'b> {
    /// The value whose first node this is.
    fn first(nodes: &'t [Node<'b>], body: usize) -> Self {
        match nodes.first() {
            None | Some(Node::Static(StaticNode::Null)) => Self::Null,
            Some(Node::Static(StaticNode::Bool(value))) => Self::Boolean(*value),
            Some(Node::Static(StaticNode::I64(value))) => Self::Int64(*value),
            Some(Node::Static(StaticNode::U64(value))) => {
                i64::try_from(*value).map_or(Self::Uint64(*value), Self::Int64)
            }
            Some(Node::Static(StaticNode::F64(value))) => Self::Number(*value),
            Some(Node::String(text)) => Self::String(Text::new(text, body)),
            Some(Node::Object { len, count }) => {
                Self::Object(Members { nodes: nodes.get(1..=*count).unwrap_or_default(), left: *len, body })
            }
            Some(Node::Array { len, count }) => {
                Self::Array(Elements { nodes: nodes.get(1..=*count).unwrap_or_default(), left: *len, body })
            }
        }
    }
}

impl<'b> Text<'b> {
    fn new(text: &'b str, body: usize) -> Self {
        // The parser refuses bodies of 4 GiB, so both fit; were they not to, the span would be empty.
        let start = u32::try_from(text.as_ptr().addr().wrapping_sub(body)).unwrap_or(u32::MAX);
        let len = u32::try_from(text.len()).unwrap_or(0);
        Self { text, span: Span { start, len } }
    }
}

impl Members<'_, '_> {
    /// How many are left.
    pub(crate) fn len(&self) -> usize {
        self.left
    }
}

impl<'t, 'b> Iterator for Members<'t, 'b> {
    type Item = (Text<'b>, Value<'t, 'b>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (Node::String(name), rest) = self.nodes.split_first()? else { return None };
        let value = Value::first(rest, self.body);
        self.nodes = behind(rest)?;
        Some((Text::new(name, self.body), value))
    }
}

impl Elements<'_, '_> {
    /// How many are left.
    pub(crate) fn len(&self) -> usize {
        self.left
    }
}

impl<'t, 'b> Iterator for Elements<'t, 'b> {
    type Item = Value<'t, 'b>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let value = Value::first(self.nodes, self.body);
        self.nodes = behind(self.nodes)?;
        Some(value)
    }
}

/// What follows the value whose first node is the first of these.
fn behind<'t, 'b>(nodes: &'t [Node<'b>]) -> Option<&'t [Node<'b>]> {
    let of_value = match nodes.first()? {
        Node::Object { count, .. } | Node::Array { count, .. } => count + 1,
        Node::String(_) | Node::Static(_) => 1,
    };
    Some(nodes.get(of_value..).unwrap_or_default())
}

/// A control character in a string, or a string without an end, whichever comes first.
fn faulty_string(body: &[u8]) -> Malformed {
    let (mut opened, mut escaped) = (None, false);
    for (at, &byte) in body.iter().enumerate() {
        match (opened, byte) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(_), b'"') => opened = None,
            (Some(_), 0..0x20) => return Malformed { reason: "control character in a string", at },
            (None, b'"') => opened = Some(at),
            _ => {}
        }
    }
    match opened {
        Some(at) => Malformed { reason: "string without an end", at },
        None => Malformed { reason: "unexpected end", at: body.len() },
    }
}

/// The first escape of the string that opens at `start` which is none.
fn faulty_escape(body: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = body.get(at) {
        let step = match (byte, body.get(at + 1)) {
            (b'"', _) => break,
            (b'\\', Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't')) => 2,
            (b'\\', Some(b'u')) => match body.get(at + 2..at + 6) {
                Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) && !is_lone_surrogate(body, at) => 6,
                _ => break,
            },
            (b'\\', _) => break,
            _ => 1,
        };
        at += step;
    }
    at
}

/// Whether `\u` with its four digits at this place is half of a pair without its other half. The second half of a whole pair is not.
fn is_lone_surrogate(body: &[u8], at: usize) -> bool {
    let unit = |at: usize| {
        let digits = body.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
    };
    let is_low = |unit: u16| (0xdc00..0xe000).contains(&unit);
    let is_high = |unit: u16| (0xd800..0xdc00).contains(&unit);
    match unit(at) {
        Some(high) if is_high(high) => !unit(at + 6).is_some_and(is_low),
        Some(low) if is_low(low) => !at.checked_sub(6).and_then(unit).is_some_and(is_high),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_malformed(body: impl AsRef<[u8]>, reason: &str, at: usize) {
        let mut body = body.as_ref().to_vec();
        let read = Json::new().read(&mut body, |_| ()).expect_err("malformed");
        assert_eq!((read.reason, read.at), (reason, at));
    }

    #[test]
    fn malformed_bodies_are_told_why_and_where() {
        check_malformed("", "empty body", 0);
        check_malformed("  \n", "empty body", 3);
        check_malformed("{\"a\":1", "unexpected end", 6);
        check_malformed("{\"a\"", "unexpected end", 4);
        check_malformed("{\"a\" 1}", "expected ':'", 5);
        check_malformed("{\"a\":1 \"b\"}", "expected ',' or '}'", 7);
        check_malformed("{\"a\":1,}", "expected a member's name", 7);
        check_malformed("[1 2]", "expected ',' or ']'", 3);
        check_malformed("{\"a\":01}", "invalid number", 6);
        check_malformed("{\"a\":1e999}", "invalid number", 5); // no double
        check_malformed("{} x", "more after the end", 3);
        check_malformed("{\"a\":[]}  ]", "more after the end", 10);
        check_malformed("true 1", "more after the end", 5);
        check_malformed("[}", "unexpected character", 1);
        check_malformed("{\"a\":\"b", "string without an end", 5);
        check_malformed("{\"a\":\"b\nc\"}", "control character in a string", 7);
        check_malformed(b"{\"a\":\"\xff\"}", "invalid UTF-8", 6);
        check_malformed("{\"a\\n\":\"b\\xc\"}", "invalid escape", 9);
        check_malformed("{\"a\":\"b\\n\\ud800x\"}", "invalid escape", 9);
        check_malformed("{\"a\":nul}", "invalid word", 5);
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Json::new().read(&mut nested(JSON_DEPTH_MAX).into_bytes(), |_| ()).is_ok());
        check_malformed(nested(JSON_DEPTH_MAX + 1), "nesting deeper than 32", JSON_DEPTH_MAX);
        check_malformed("[".repeat(1 << 20), "nesting deeper than 32", JSON_DEPTH_MAX);
    }

    #[test]
    fn escaped_strings_are_unescaped_where_they_stand() {
        let mut body = br#"{"a\u0062":"x\"\u00e4\ud83d\ude00y","n":-1.50E+2 }"#.to_vec();
        let mut json = Json::new();
        let (name, value, number) = json
            .read(&mut body, |root| {
                let Value::Object(mut members) = root else { panic!("object") };
                let (name, Value::String(value)) = members.next().unwrap() else { panic!("string") };
                let (number, Value::Number(_)) = members.next().unwrap() else { panic!("number") };
                assert!(members.next().is_none());
                (name.span, value.span, number.span)
            })
            .unwrap();
        assert_eq!(name.of(&body), b"ab");
        assert_eq!(value.of(&body), "x\"ä😀y".as_bytes());
        assert_eq!(json.number_after(&body, number), b"-1.50E+2");
    }

    #[test]
    fn integers_beyond_every_type_are_numbers() {
        let mut body =
            br#"{"a":123456789012345678901234567890,"b":18446744073709551615,"c":-9223372036854775809}"#.to_vec();
        let numbers = Json::new().read(&mut body, |root| {
            let Value::Object(members) = root else { panic!("object") };
            members
                .map(|(_, value)| matches!(value, Value::Number(_)) || matches!(value, Value::Uint64(u64::MAX)))
                .collect()
        });
        assert_eq!(numbers, Ok(vec![true; 3]));
    }

    #[test]
    fn what_is_nested_is_walked_in_order() {
        fn walk(value: Value<'_, '_>, out: &mut String) {
            match value {
                Value::Array(elements) => {
                    *out += &format!("[{}", elements.len());
                    elements.for_each(|value| walk(value, out));
                    out.push(']');
                }
                Value::Object(members) => {
                    out.push('{');
                    members.for_each(|(name, value)| {
                        *out += name.text;
                        walk(value, out);
                    });
                    out.push('}');
                }
                Value::Int64(value) => *out += &format!(" {value}"),
                Value::String(text) => *out += &format!(" {}", text.text),
                other => *out += &format!(" {other:?}"),
            }
        }
        let mut body = br#"[[],[1,[2,{"a":[3],"b":{}}],"x"],{"c":[[4]]},null,5]"#.to_vec();
        let mut out = String::new();
        Json::new().read(&mut body, |root| walk(root, &mut out)).unwrap();
        assert_eq!(out, "[5[0][3 1[2 2{a[1 3]b{}}] x]{c[1[1 4]]} Null 5]");
    }

    #[test]
    fn memory_of_a_large_body_is_given_back() {
        let mut json = Json::new();
        let mut body = format!("[{}1]", "1,".repeat(JSON_KEPT_BYTES_MAX)).into_bytes();
        assert!(json.read(&mut body, |_| ()).is_ok());
        assert!(json.tape.0.capacity() > JSON_KEPT_BYTES_MAX);
        json.release();
        assert!(json.tape.0.capacity() < JSON_KEPT_BYTES_MAX);
    }
}
