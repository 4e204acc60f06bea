//! Bytes and what must come of them, for every row that is decided without a socket or a service.

mod chunks;
mod fields;
mod framing;
mod request_line;
mod semantics;

use std::fmt::Write as _;

use Outcome::{Closes, Served};

/// One case.
#[derive(Debug, Clone)]
pub(super) struct Vector {
    /// The row of `docs/http.md`.
    pub(super) row: &'static str,
    pub(super) bytes: Vec<u8>,
    pub(super) outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Served with this body.
    Served(Vec<u8>),
    /// Served with this body, then closed.
    ServedThenClosed(Vec<u8>),
    /// Refused with this status and label; the connection goes on.
    Survives(u16, &'static str),
    /// Refused with this status and label, and closed.
    Closes(u16, &'static str),
}

/// Every vector.
pub(super) fn all() -> Vec<Vector> {
    let mut table = Table::default();
    request_line::request_line(&mut table);
    request_line::target(&mut table);
    fields::fields(&mut table);
    fields::host(&mut table);
    framing::length(&mut table);
    framing::coding(&mut table);
    chunks::chunks(&mut table);
    chunks::trailers(&mut table);
    semantics::methods(&mut table);
    semantics::expectations(&mut table);
    table.vectors
}

#[derive(Default)]
struct Table {
    vectors: Vec<Vector>,
}

impl Table {
    fn row<B: AsRef<[u8]>>(&mut self, row: &'static str, outcome: &Outcome, variants: impl IntoIterator<Item = B>) {
        self.vectors.extend(variants.into_iter().map(|bytes| Vector {
            row,
            bytes: bytes.as_ref().to_vec(),
            outcome: outcome.clone(),
        }));
    }

    /// Refused under the row's own id, and closed.
    fn closes<B: AsRef<[u8]>>(&mut self, row: &'static str, status: u16, variants: impl IntoIterator<Item = B>) {
        self.row(row, &Closes(status, row), variants);
    }

    fn serves<B: AsRef<[u8]>>(&mut self, row: &'static str, variants: impl IntoIterator<Item = B>) {
        self.row(row, &served(), variants);
    }
}

fn served() -> Outcome {
    Served(Vec::new())
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// A request with this request line.
fn lined(line: impl AsRef<[u8]>) -> Vec<u8> {
    joined(&[line.as_ref(), b"\r\nHost: h\r\n\r\n"])
}

/// A GET of this target.
fn targeted(target: impl AsRef<[u8]>) -> Vec<u8> {
    lined(joined(&[b"GET ", target.as_ref(), b" HTTP/1.1"]))
}

/// A request with these field lines (without the last line end) behind a Host.
fn fielded(lines: impl AsRef<[u8]>) -> Vec<u8> {
    bodied(lines, b"")
}

/// A request with these field lines behind a Host, and what follows the head.
fn bodied(lines: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Vec<u8> {
    joined(&[b"POST /x HTTP/1.1\r\nHost: h\r\n", lines.as_ref(), b"\r\n\r\n", body.as_ref()])
}

/// A request whose Host lines are these.
fn hosted(lines: impl AsRef<[u8]>) -> Vec<u8> {
    joined(&[b"GET /x HTTP/1.1\r\n", lines.as_ref(), b"\r\n"])
}

/// A chunked request with this on the wire.
fn chunked(wire: impl AsRef<[u8]>) -> Vec<u8> {
    bodied("Transfer-Encoding: chunked", wire)
}

/// `HTTP/1.0` in place of the version.
fn in_http10(bytes: Vec<u8>) -> Vec<u8> {
    let text = bytes.windows(8).position(|eight| eight == b"HTTP/1.1").unwrap();
    joined(&[&bytes[..text], b"HTTP/1.0", &bytes[text + 8..]])
}

fn many_fields(count: usize, bytes: usize) -> String {
    let mut lines = String::new();
    for n in 0..count {
        write!(lines, "{}A{n}: {}", if n == 0 { "" } else { "\r\n" }, "b".repeat(bytes)).unwrap();
    }
    lines
}
