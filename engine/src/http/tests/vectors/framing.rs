//! Rows B1 to B15: how long the body is.

use super::{
    Outcome::{Closes, Served},
    Table, bodied, in_http10, joined, lined, served,
};

pub(super) fn length(t: &mut Table) {
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

pub(super) fn coding(t: &mut Table) {
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
