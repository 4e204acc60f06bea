//! Rows M1 to M11 and E2 to E6: methods and expectations.

use super::{
    Outcome::{Closes, Served, ServedThenClosed, Survives},
    Table, bodied, fielded, in_http10, joined, lined,
};

pub(super) fn methods(t: &mut Table) {
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

pub(super) fn expectations(t: &mut Table) {
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
