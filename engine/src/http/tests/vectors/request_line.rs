//! Rows L1 to L20 and F20: the request line and its target.

use super::{
    Outcome::{Closes, Survives},
    Table, joined, lined, targeted,
};

pub(super) fn request_line(t: &mut Table) {
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

pub(super) fn target(t: &mut Table) {
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
