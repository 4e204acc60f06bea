//! Bytes and what must come of them, for every row that is decided without a socket or a service.

use std::fmt::Write as _;

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

use Outcome::{Closes, Served, ServedThenClosed, Survives};

/// Every vector.
pub(super) fn all() -> Vec<Vector> {
    let mut table = Table::default();
    request_line(&mut table);
    target(&mut table);
    fields(&mut table);
    host(&mut table);
    length(&mut table);
    coding(&mut table);
    chunks(&mut table);
    trailers(&mut table);
    methods(&mut table);
    expectations(&mut table);
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

fn request_line(t: &mut Table) {
    let get = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
    t.serves("L1", [format!("\r\n{get}"), format!("\r\n\r\n{get}"), format!("\r\n{}", get.replace("GET", "DELETE"))]);
    t.closes("L2", 400, [format!("\r\n\r\n\r\n{get}"), "\r\n\r\n\r\n".into(), "\r\n".repeat(50)]);
    t.closes(
        "L3",
        400,
        [
            "GET /x HTTP/1.1\nHost: h\r\n\r\n",
            "GET /x HTTP/1.1\r\nHost: h\n\r\n",
            "GET /x HTTP/1.1\r\nHost: h\r\n\n",
            "\nGET /x HTTP/1.1\r\nHost: h\r\n\r\n",
            "\r\n\nGET /x HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET /x HTTP/1.1\n\n",
            "GET /x HTTP/1.1\r\nHost: h\r\nA: b\nTransfer-Encoding: chunked\r\n\r\n",
        ],
    );
    t.closes(
        "L4",
        400,
        [
            "GET /x HTTP/1.1\rHost: h\r\n\r\n",
            "GET /x\r HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET /x HTTP/1.1\r\r\nHost: h\r\n\r\n",
            "\rGET /x HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET /x HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n",
            "GET /x HTTP/1.1\r\nHost: h\r\nA: b\r\r\n\r\n",
            "GET /x HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\r\n\r\n",
            "GET /x HTTP/1.1\r\nHost: h\r\nA\r: b\r\n\r\n",
        ],
    );
    let spaces = ["GET  /x HTTP/1.1", "GET /x  HTTP/1.1", "GET\t/x HTTP/1.1", "GET /x\tHTTP/1.1", " GET /x HTTP/1.1"];
    t.closes("L5", 400, spaces.map(lined));
    let spaces =
        ["GET /x HTTP/1.1 ", "GET /x HTTP/1.1\t", "GET\x0b/x HTTP/1.1", "GET /x\x0cHTTP/1.1", "\tGET /x HTTP/1.1"];
    t.closes("L5", 400, spaces.map(lined));
    let parts = ["GET", "GET /x", "GET /x y HTTP/1.1", "GET HTTP/1.1", "GET /x HTTP/1.1 x", "A B C D E"];
    t.closes("L6", 400, parts.map(lined));
    t.closes("L6", 400, ["GET /\r\n", "GET /index.html\r\n\r\n", "x\r\n"]);
    let methods =
        ["G(T /x HTTP/1.1", "G/T /x HTTP/1.1", "G\u{e4}T /x HTTP/1.1", "G\x01T /x HTTP/1.1", "\"GET\" /x HTTP/1.1"];
    t.closes("L7", 400, methods.map(lined));
    t.closes("L7", 400, [lined("G\0T /x HTTP/1.1"), lined("{} /x HTTP/1.1"), lined("GET: /x HTTP/1.1")]);
    t.closes("L8", 501, [33, 34, 4000].map(|n| lined(format!("{} /x HTTP/1.1", "M".repeat(n)))));
    let versions = [
        "http/1.1",
        "HTTP/1",
        "HTTP/01.1",
        "HTTP/1.1.1",
        "HTP/1.1",
        "HTTP/1.",
        "HTTP/.1",
        "HTTP/1,1",
        "HTTP-1.1",
        "HTTP/1.10",
        "HTTP/11",
        "Http/1.1",
        "HTTP/a.b",
        "HTTP/\u{b9}.1",
        "HTTPS/1.1",
        "/y",
    ];
    t.closes("L9", 400, versions.map(|version| lined(format!("GET /x {version}"))));
    let majors = ["HTTP/2.0", "HTTP/9.9", "HTTP/0.9", "HTTP/0.0", "HTTP/3.1"];
    t.closes("L10", 505, majors.map(|version| lined(format!("GET /x {version}"))));
    t.closes("L10", 505, ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]);
    t.serves("L11", ('2'..='9').map(|minor| lined(format!("GET /x HTTP/1.{minor}"))));
    t.closes("L12", 414, [8200, 9000, 40_000].map(|n| targeted(format!("/{}", "a".repeat(n)))));
    t.closes("L12", 414, ["a".repeat(8195).into_bytes(), vec![0; 9000]]);
    t.closes(
        "F20",
        400,
        ["PROXY TCP4 192.0.2.1 192.0.2.2 4000 80\r\n", "PROXY UNKNOWN\r\n", "PROXY TCP6 ::1 ::1 1 2\r\n"],
    );
}

fn target(t: &mut Table) {
    let bytes: [&[u8]; 8] = [b"/a\x01", b"/a\x7f", b"/\xc3\xa4", b"/a#b", b"#", b"/a?b#c", b"/\xff", b"http://h/\x80"];
    t.closes("L13", 400, bytes.map(targeted));
    t.closes("L13", 400, [targeted(b"/a\0b")]);
    let escapes = ["/%", "/%4", "/%zz", "/a?b=%", "/%00", "/a%2", "/a?%g0", "/%%", "/a%0", "http://h/%00"];
    t.row("L14", &Survives(400, "L14"), escapes.map(targeted));
    t.row("L14", &Survives(400, "L14"), [joined(&[b"POST /%zz HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"])]);
    // Routes match bytes: what is odd but sound is the service's to refuse.
    t.serves(
        "L15",
        ["/a/../b", "//a", "/a%2fb", "/./", "/..", "/a//b", "/%41", "/a?b?c=/d", "/<>\"{}|\\^`"].map(targeted),
    );
    let absolute = [
        "http://h/x",
        "HTTP://h/x",
        "https://example.com:8443/x?y",
        "http://h",
        "http://h?x",
        "http://[::1]:80/",
        "HtTpS://h:/",
    ];
    t.serves("L16", absolute.map(targeted));
    t.row("L16", &Closes(400, "F10"), ["GET http://h/x HTTP/1.1\r\n\r\n"]);
    let odd = [
        "http://user@h/x",
        "http://user:pw@h/",
        "http:///x",
        "http://",
        "ftp://h/x",
        "file:///etc",
        "http://:80/",
        "x://h",
        "http://a,b/",
        "http://h:99999/",
        "http://[::1/",
        "http://h:x/",
    ];
    t.closes("L17", 400, odd.map(targeted));
    t.closes("L18", 400, ["GET", "POST", "HEAD", "BREW"].map(|method| lined(format!("{method} * HTTP/1.1"))));
    t.closes("L19", 400, ["h:80", "example.com:443", "[::1]:443", "127.0.0.1:1"].map(targeted));
    t.closes(
        "L19",
        400,
        ["/x", "*", "http://h/", "h", "h:", ":80", "h:80/x"].map(|t| lined(format!("CONNECT {t} HTTP/1.1"))),
    );
    t.closes(
        "L20",
        400,
        ["x", "example.com", "?x", "*x", "**", "h:", "%2f", "x/y", "http:/x", "mailto:x"].map(targeted),
    );
}

fn fields(t: &mut Table) {
    t.closes(
        "F1",
        400,
        [
            "GET /x HTTP/1.1\r\n Host: h\r\n\r\n",
            "GET /x HTTP/1.1\r\n\tHost: h\r\n\r\n",
            "GET /x HTTP/1.1\r\n \r\nHost: h\r\n\r\n",
        ],
    );
    let spaced = ["A : b", "A\t: b", "Content-Length : 0", "Transfer-Encoding : chunked", "A  \t : b", "Host : x"];
    t.closes("F2", 400, spaced.map(fielded));
    let folded = ["A: b\r\n c", "A: b\r\n\tc", "A: b\r\n ", "Transfer-Encoding:\r\n chunked", "A: b\r\n : c"];
    t.closes("F3", 400, folded.map(fielded));
    let names: [&[u8]; 12] = [
        b": x",
        b"A",
        b"A b: c",
        b"A\xe4: c",
        b"A(: c",
        b"\"A\": c",
        b"A\0: c",
        b"A\x0b: c",
        b"A/B: c",
        b"=",
        b"{}: c",
        b"A@: c",
    ];
    t.closes("F4", 400, names.map(fielded));
    t.closes("F5", 400, ["A: \0", "A: b\0", "A: \0b", "Content-Length: 5\0"].map(fielded));
    let controls =
        ["A: \x01", "A: b\x1f", "A: \x7f", "A: b\x0bc", "A: \x0c", "Transfer-Encoding: \x0bchunked", "A: \x1b[0m"];
    t.closes("F6", 400, controls.map(fielded));
    let opaque: [&[u8]; 4] = [b"A: \x80", b"A: \xff\xfe", b"User-Agent: \xc3\xa4", b"Authorization: Tecton-key \xe4"];
    t.serves("F7", opaque.map(fielded));
    t.serves("F8", ["A:", "A: ", "A:b", "A:\t b \t", "A:   ", "A: b  c", "A: :"].map(fielded));
    t.serves("F8", [bodied("Content-Length: \t0 ", "")]);
    t.closes("F9", 431, [8200, 9000, 40_000].map(|n| fielded(format!("A: {}", "b".repeat(n)))));
    t.closes("F9", 431, [100, 101, 1200].map(|n| fielded(many_fields(n, 1))));
    t.closes("F9", 431, [40, 60, 90].map(|n| fielded(many_fields(n, 1000))));
    t.serves("F9", [31, 32, 33, 98].map(|n| fielded(many_fields(n, 10))));
    t.row(
        "F15",
        &Survives(400, "F15"),
        [
            "Authorization: a\r\nAuthorization: b",
            "Authorization: a\r\nauthorization: a",
            "Content-Type: a/b\r\nContent-type: a/b",
            "Content-Type: a\r\nX: y\r\nContent-Type:",
        ]
        .map(fielded),
    );
    t.row("F15", &Survives(400, "F15"), [bodied("Authorization: a\r\nAuthorization: a\r\nContent-Length: 2", "ab")]);
    let alike = ["Content_Length: 5", "content_length: 0", "Transfer_Encoding: chunked", "TRANSFER_ENCODING: x"];
    t.closes("F16", 400, alike.map(fielded));
    let named =
        ["Connection: Content-Length", "Connection: Host, X", "Connection: transfer-encoding", "Connection: ,, ,"];
    t.row("F17", &Served(b"abc".into()), named.map(|line| bodied(format!("{line}\r\nContent-Length: 3"), "abc")));
    let closing = ["close", "Close", "x, close", "keep-alive, close", "close,keep-alive", "\tclose\t"];
    t.row("F17", &ServedThenClosed(vec![]), closing.map(|options| fielded(format!("Connection: {options}"))));
    t.row("F17", &ServedThenClosed(vec![]), [fielded("Connection: close\r\nConnection: keep-alive")]);
    t.serves(
        "F17",
        ["closed", "close-not", "keep-alive", "clos"].map(|option| fielded(format!("Connection: {option}"))),
    );
    t.serves(
        "F18",
        ["Upgrade: h2c\r\nHTTP2-Settings: x", "TE: trailers, deflate", "Via: 1.1 x", "X-Forwarded-Host: y"]
            .map(fielded),
    );
    t.row(
        "F19",
        &Served(b"ab".into()),
        ["content-length: 2", "CONTENT-LENGTH: 2", "cOnTeNt-LeNgTh: 2"].map(|l| bodied(l, "ab")),
    );
}

fn many_fields(count: usize, bytes: usize) -> String {
    let mut lines = String::new();
    for n in 0..count {
        write!(lines, "{}A{n}: {}", if n == 0 { "" } else { "\r\n" }, "b".repeat(bytes)).unwrap();
    }
    lines
}

fn host(t: &mut Table) {
    t.closes("F10", 400, ["", "X: y\r\n", "Hosts: h\r\n"].map(hosted));
    t.closes("F11", 400, ["Host: a\r\nHost: b\r\n", "Host: a\r\nhost: a\r\n", "Host: a\r\nHost:\r\n"].map(hosted));
    t.closes("F11", 400, [in_http10(hosted("Host: a\r\nHost: a\r\n"))]);
    let invalid = [
        "u@h",
        "h/x",
        "a,b",
        "a, a",
        "a b",
        "h:x",
        "h:99999",
        "h:-1",
        "h:1:2",
        "[::1",
        "::1",
        "[h]",
        "[::1]x",
        "[]",
        "h?x",
        "h#x",
        "http://h",
        "[::1]:x",
        "h%zz",
        "h%",
        ":80",
        "\"h\"",
        "h\\x",
        "<h>",
        "h:+80",
        "[1.2.3.4]",
        "[fe80::1%25e]",
    ];
    t.closes("F12", 400, invalid.map(|host| hosted(format!("Host: {host}\r\n"))));
    t.closes("F12", 400, [&b"Host: \xe4\r\n"[..], b"Host: h\tx\r\n"].map(hosted));
    t.closes("F12", 400, [in_http10(hosted("Host: a b\r\n"))]);
    t.serves(
        "F12",
        ["h", "h:80", "h:", "127.0.0.1:8080", "[::1]", "[2001:db8::1]:80", "a-b.c_d~e", "h%41", "H.EXAMPLE."]
            .map(|h| hosted(format!("Host: {h}\r\n"))),
    );
    t.closes("F13", 400, ["Host:\r\n", "Host: \r\n", "Host:\t \r\n"].map(hosted));
    t.serves(
        "F13",
        [
            "OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: \r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
        ],
    );
    t.row("F13", &Closes(400, "F13"), ["OPTIONS / HTTP/1.1\r\nHost:\r\n\r\n"]);
    t.row("F14", &ServedThenClosed(vec![]), ["", "X: y\r\n", "Host:\r\n"].map(|lines| in_http10(hosted(lines))));
    t.serves(
        "F14",
        ["keep-alive", "Keep-Alive", "x, keep-alive"].map(|o| in_http10(hosted(format!("Connection: {o}\r\n")))),
    );
    t.row("F14", &ServedThenClosed(vec![]), [in_http10(hosted("Connection: keep-alive, close\r\n"))]);
}

fn length(t: &mut Table) {
    let both = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "Transfer-Encoding: gzip\r\nContent-Length: x",
        "Content-Length: 5\r\nX: y\r\ntransfer-encoding:",
        "Transfer-Encoding: identity\r\nContent-Length: 5",
    ];
    t.closes("B1", 400, both.map(|lines| bodied(lines, "0\r\n\r\n")));
    let differ = [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: 5,5\r\nContent-Length: 6",
        "Content-Length: 0\r\nContent-Length: 00",
    ];
    t.closes("B2", 400, differ.map(|lines| bodied(lines, "abcde")));
    let equal = [
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5, 5",
        "Content-Length: 5,5",
        "Content-Length: 5 ,\t5 , 5",
    ];
    t.closes("B3", 400, equal.map(|lines| bodied(lines, "abcde")));
    let values: [&[u8]; 18] = [
        b"+5",
        b"-0",
        b"-5",
        b"0x5",
        b"1_0",
        b"5 5",
        b"5.0",
        b"5;",
        b"",
        b"5,",
        b",5",
        b"\xd9\xa5",
        b"5e0",
        b"five",
        b"5\t5",
        b"0x",
        b"\"5\"",
        b",",
    ];
    t.closes("B4", 400, values.map(|value| bodied(joined(&[b"Content-Length: ", value]), "abcde")));
    let wide = [
        "9223372036854775808",
        "18446744073709551621",
        "99999999999999999999",
        "00000000000000000005",
        "9999999999999999999",
    ];
    t.closes("B5", 400, wide.map(|value| bodied(format!("Content-Length: {value}"), "abcde")));
    t.closes(
        "B6",
        400,
        ["005", "05", "00", "0000000000000000005"].map(|value| bodied(format!("Content-Length: {value}"), "abcde")),
    );
    let huge = ["4194305", "9223372036854775807", "99999999"];
    t.closes("B7", 413, huge.map(|value| bodied(format!("Content-Length: {value}"), "abcde")));
    let one_body = |n: usize| bodied(format!("Content-Length: {n}"), "b".repeat(n));
    for n in [0, 1, 255] {
        t.row("B7", &Served(vec![b'b'; n]), [one_body(n)]);
    }
    // Neither field: the bytes behind are the next request, here one that never begins well.
    t.row("B15", &served(), ["GET", "POST", "PUT"].map(|method| lined(format!("{method} /x HTTP/1.1"))));
}

fn coding(t: &mut Table) {
    let coded = |value: &[u8]| bodied(joined(&[b"Transfer-Encoding:", value]), "0\r\n\r\n");
    let last = [" gzip", " identity", " chunked, gzip", "", " ", " xchunked", " chunkedx"];
    t.closes("B8", 400, last.map(|value| coded(value.as_bytes())));
    t.closes("B8", 400, [bodied("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "0\r\n\r\n")]);
    t.closes(
        "B9",
        501,
        [" gzip, chunked", " identity, chunked", " x;q=1, chunked", " gzip , deflate,chunked"]
            .map(|v| coded(v.as_bytes())),
    );
    t.closes("B9", 501, [bodied("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", "0\r\n\r\n")]);
    t.closes(
        "B10",
        400,
        [" chunked, chunked", " chunked,Chunked", " chunked, gzip, chunked"].map(|v| coded(v.as_bytes())),
    );
    t.closes("B10", 400, [bodied("Transfer-Encoding: chunked\r\nX: y\r\nTransfer-Encoding: chunked", "0\r\n\r\n")]);
    t.closes(
        "B11",
        400,
        [" chunked;q=1", " chunked ; x", " CHUNKED;", " gzip, chunked;a=b"].map(|v| coded(v.as_bytes())),
    );
    let malformed: [&[u8]; 12] = [
        b" \"chunked\"",
        b" chunked,",
        b" ,chunked",
        b" chunked, ,",
        b" chun ked",
        b" 'chunked\xc2\xa0",
        b" \xa0chunked",
        b" chunked\xff",
        b" (chunked)",
        b" [chunked]",
        b" ;chunked",
        b" x=\"a,b\", chunked",
    ];
    t.closes("B12", 400, malformed.map(coded));
    t.row("B12", &Closes(400, "F6"), [&b" \x0bchunked"[..], b" chunked\x0c", b" chun\x01ked"].map(coded));
    t.row("B12", &Closes(400, "F5"), [coded(b" chunked\0")]);
    t.row("B12", &Closes(400, "B12"), [bodied("Transfer-Encoding: chunked\r\nTransfer-Encoding:", "0\r\n\r\n")]);
    let cases = [" chunked", " Chunked", " CHUNKED", "\tcHuNkEd \t", "chunked"];
    t.serves("B13", cases.map(|v| coded(v.as_bytes())));
    t.closes("B14", 400, cases.map(|v| in_http10(coded(v.as_bytes()))));
    t.closes("B14", 400, [in_http10(bodied("Transfer-Encoding: gzip\r\nContent-Length: 5", "0\r\n\r\n"))]);
}

fn chunks(t: &mut Table) {
    let sizes = [
        "0x1", "+1", "-1", "1_0", "", " 1", "\t1", "g", "1 ", "1\t", "1 \t ", "1 1", "1.0", ";x", "\u{b9}", "1,",
        "1;a ", "1;a=b\t", "1g",
    ];
    t.closes("C1", 400, sizes.map(|size| chunked(format!("{size}\r\na\r\n0\r\n\r\n"))));
    let wide = ["00000000000000001", "10000000000000000", "fffffffffffffffff", "0000000000000000000000000000000005"];
    t.closes("C2", 400, wide.map(|size| chunked(format!("{size}\r\nabcde\r\n0\r\n\r\n"))));
    t.closes(
        "C2",
        400,
        [chunked("5\r\nabcde\r\nffffffffffffffff\r\nx\r\n0\r\n\r\n"), chunked("1\r\na\r\nffffffffffffffff;x\r\n")],
    );
    t.closes(
        "C3",
        413,
        ["400001", "ffffffffffffffff", "7fffffffffffffff", "00ffffffff"]
            .map(|size| chunked(format!("{size}\r\nabcde"))),
    );
    t.closes("C3", 413, [chunked("1\r\na\r\n400000\r\n")]);
    let hello = Served(b"hello".into());
    t.row(
        "C4",
        &hello,
        [
            "0005\r\nhello\r\n000\r\n\r\n",
            "0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n",
            "05\r\nhello\r\n0\r\n\r\n",
        ]
        .map(chunked),
    );
    t.row(
        "C5",
        &Served(b"helloworld!".into()),
        ["b\r\nhelloworld!\r\n0\r\n\r\n", "B\r\nhelloworld!\r\n0\r\n\r\n", "5\r\nhello\r\n6\r\nworld!\r\n0\r\n\r\n"]
            .map(chunked),
    );
    t.closes(
        "C6",
        400,
        [
            "5\r\nhelloX\r\n0\r\n\r\n",
            "4\r\nhello\r\n0\r\n\r\n",
            "7\r\nhello\r\n0\r\n\r\n",
            "5\r\nhello0\r\n\r\n",
            "4\r\nab\r\n0\r\n\r\n",
        ]
        .map(chunked),
    );
    // One byte short: the CR counts as data, and what is left of the line end is a bare LF.
    t.row("C6", &Closes(400, "C7"), [chunked("6\r\nhello\r\n0\r\n\r\n")]);
    let ends = [
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r\n0\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5;a\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\r\n0\r\n\r\n",
        "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n",
        "\n5\r\n",
        "0\r\nA: b\n\r\n",
        "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n",
    ];
    t.closes("C7", 400, ends.map(chunked));
    let extended = [
        ";x",
        ";x=y",
        ";x=\"y\"",
        " ; x = y",
        "\t;\tx\t=\t\"a b\"",
        ";x;y;z=1",
        ";x=\"\\\"\"",
        ";x=\"\"",
        ";x=\";\";y",
        ";a=\"\u{e4}\"",
        " ;x =y ;z",
        ";x=\"\\\\\"",
        ";x=\"y\" ;z",
    ];
    t.row("C8", &hello, extended.map(|extension| chunked(format!("5{extension}\r\nhello\r\n0{extension}\r\n\r\n"))));
    let long = |n: usize| chunked(format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(n)));
    t.row("C9", &hello, [long(1), long(1022), long(1023)]);
    t.closes("C9", 400, [long(1024), long(1025), long(40_000)]);
    let many = |n: usize| chunked(format!("{}0\r\n\r\n", format!("1;{}\r\na\r\n", "x".repeat(1023)).repeat(n)));
    t.row("C9", &Served(vec![b'a'; 8]), [many(8)]);
    t.closes("C9", 400, [many(9), many(20)]);
    let odd = [
        ";",
        ";;",
        ";=",
        ";x=",
        ";x==",
        ";\"x\"",
        ";x=\"y\"z",
        ";x=y=z",
        ";x\x01",
        ";x=\"\x01\"",
        ";x=\x7f",
        ";x y",
        ";x=y z",
        ";x=\"\\\x01\"",
        ";\u{e4}",
        ";x,y",
    ];
    t.closes("C9", 400, odd.map(|extension| chunked(format!("5{extension}\r\nhello\r\n0\r\n\r\n"))));
}

fn trailers(t: &mut Table) {
    let trailed = |lines: &[u8]| chunked(joined(&[b"5\r\nhello\r\n0\r\n", lines, b"\r\n"]));
    let fine: [&[u8]; 6] =
        [b"", b"A: b\r\n", b"A:\r\nB:\t c \r\n", b"Checksum: \xff\r\n", b"X-Host: y\r\n", b"Contents-Length: 9\r\n"];
    t.row("C11", &Served(b"hello".into()), fine.map(trailed));
    t.row(
        "C11",
        &Closes(431, "F9"),
        [
            trailed(format!("A: {}\r\n", "b".repeat(8200)).as_bytes()),
            trailed(format!("{}\r\n", many_fields(99, 1)).as_bytes()),
            trailed(format!("{}\r\n", many_fields(50, 1000)).as_bytes()),
        ],
    );
    t.row("C11", &Served(b"hello".into()), [trailed(format!("{}\r\n", many_fields(98, 1)).as_bytes())]);
    let forbidden = [
        "Content-Length",
        "transfer-encoding",
        "HOST",
        "Authorization",
        "Content-Encoding",
        "Connection",
        "Expect",
        "Trailer",
        "Content_Length",
    ];
    t.closes("C12", 400, forbidden.map(|name| trailed(format!("{name}: 5\r\n").as_bytes())));
    t.closes("C12", 400, [trailed(b"A: b\r\nContent-Length: 5\r\n")]);
    let malformed: [&[u8]; 9] = [
        b"A\r\n",
        b": b\r\n",
        b"A : b\r\n",
        b" A: b\r\n",
        b"A: b\r\n c\r\n",
        b"A: \0\r\n",
        b"A: \x7f\r\n",
        b"A: b\rc\r\n",
        b"A\xe4: b\r\n",
    ];
    t.closes("C13", 400, malformed.map(trailed));
    t.closes("C13", 400, [trailed(b"A: b\r\r\n")]);
}

fn methods(t: &mut Table) {
    let unknown =
        ["get", "Get", "BREW", "PROPFIND", "X", "GETT", "!#$%&'*+-.^_`|~", "M234567890123456789012345678901M"];
    t.row("M1", &Survives(501, "M1"), unknown.map(|method| lined(format!("{method} /x HTTP/1.1"))));
    let bodied_unknown = |body: &str| joined(&[b"BREW /x HTTP/1.1\r\nHost: h\r\n", body.as_bytes()]);
    t.row(
        "M1",
        &Survives(501, "M1"),
        [
            bodied_unknown("Content-Length: 3\r\n\r\nabc"),
            bodied_unknown("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n"),
            bodied_unknown(&format!("Content-Length: 65536\r\n\r\n{}", "a".repeat(65_536))),
        ],
    );
    t.row(
        "M1",
        &Closes(501, "M1"),
        [
            bodied_unknown(&format!("Content-Length: 65537\r\n\r\n{}", "a".repeat(65_537))),
            bodied_unknown("Content-Length: 4194304\r\n\r\n"),
            bodied_unknown(&format!("Transfer-Encoding: chunked\r\n\r\n11170\r\n{}\r\n0\r\n\r\n", "a".repeat(70_000))),
            bodied_unknown("Transfer-Encoding: chunked\r\n\r\n3\r\nabcd"),
            bodied_unknown("Connection: close\r\n\r\n"),
            bodied_unknown("Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc"),
        ],
    );
    t.closes("M2", 501, ["h:443", "example.com:80", "[::1]:443"].map(|t| lined(format!("CONNECT {t} HTTP/1.1"))));
    t.serves("M3", ["/x", "/", "/a?b"].map(|t| lined(format!("TRACE {t} HTTP/1.1"))));
    t.serves("M4", ["GET", "PUT", "PATCH"].map(|m| lined(format!("{m} /x HTTP/1.1"))));
    t.serves("M5", ["/x", "/", "/a?b"].map(|t| lined(format!("HEAD {t} HTTP/1.1"))));
    t.serves("M6", ["/x", "*", "http://h"].map(|t| lined(format!("OPTIONS {t} HTTP/1.1"))));
    let smuggled = "GET /admin HTTP/1.1\r\nHost: h\r\n\r\n";
    for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
        t.row("M7", &Served(smuggled.into()), [
            format!("{method} /x HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{smuggled}", smuggled.len()),
            format!("{method} /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len()),
        ]);
    }
    t.serves("M8", ["POST", "PUT", "PATCH"].map(|m| lined(format!("{m} /x HTTP/1.1"))));
    let types = ["application/x-www-form-urlencoded", "text/plain", "", "nonsense"];
    t.row(
        "M9",
        &Served(b"{}".into()),
        types.map(|kind| bodied(format!("Content-Type: {kind}\r\nContent-Length: 2"), "{}")),
    );
    t.row(
        "M10",
        &Served(b"{}".into()),
        ["gzip", "identity", "br, gzip"]
            .map(|coding| bodied(format!("Content-Encoding: {coding}\r\nContent-Length: 2"), "{}")),
    );
    t.serves("M11", ["Range: bytes=0-1", "If-None-Match: *", "Accept: x/y\r\nAccept-Encoding: gzip"].map(fielded));
}

fn expectations(t: &mut Table) {
    let abc = Served(b"abc".into());
    let expecting = |value: &str| bodied(format!("Expect: {value}\r\nContent-Length: 3"), "abc");
    t.row("E2", &abc, ["100-continue", "100-Continue", "100-CONTINUE"].map(expecting));
    t.row("E2", &abc, [bodied("Expect: 100-continue\r\nTransfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n")]);
    t.serves(
        "E3",
        [
            fielded("Expect: 100-continue"),
            fielded("Expect: 100-continue\r\nContent-Length: 0"),
            lined("GET /x HTTP/1.1"),
        ],
    );
    t.row(
        "E4",
        &Closes(413, "B7"),
        ["4194305", "99999999999", "5000000"].map(|n| fielded(format!("Expect: 100-continue\r\nContent-Length: {n}"))),
    );
    t.row(
        "E4",
        &Closes(400, "F15"),
        [bodied("Expect: 100-continue\r\nAuthorization: a\r\nAuthorization: a\r\nContent-Length: 3", "abc")],
    );
    t.row(
        "E5",
        &ServedThenClosed(b"abc".into()),
        ["100-continue", "x", "100-continue, 100-continue"].map(|v| in_http10(expecting(v))),
    );
    t.row(
        "E6",
        &Survives(417, "E6"),
        ["x", "100-continue, x", "100-continue,100-continue", "", "200-ok", "100-continue;q=1"].map(expecting),
    );
    t.row("E6", &Survives(417, "E6"), [fielded("Expect: x"), fielded("Expect: 100-continue\r\nExpect: 100-continue")]);
    t.row(
        "E6",
        &Closes(417, "E6"),
        ["65537", "100000", "4194304"].map(|n| fielded(format!("Expect: x\r\nContent-Length: {n}"))),
    );
}
