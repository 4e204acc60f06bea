//! Rows C1 to C13: chunked bodies.

use super::{
    Outcome::{Closes, Served},
    Table, chunked, joined, many_fields,
};

pub(super) fn chunks(t: &mut Table) {
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

pub(super) fn trailers(t: &mut Table) {
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
