//! Rows F1 to F19: the field section and Host.

use super::{
    Outcome::{Closes, Served, ServedThenClosed, Survives},
    Table, bodied, fielded, hosted, in_http10, many_fields,
};

pub(super) fn fields(t: &mut Table) {
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

pub(super) fn host(t: &mut Table) {
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
        "h:000080",
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
