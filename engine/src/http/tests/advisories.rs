//! What other servers got wrong, held down by name.

use super::harness::{Event, play_whole};
use crate::http::Fault;

/// The one event of a request that must close the connection, although a whole request seems to follow it.
fn check_refused(head: &str, body: &str, fault: Fault) {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
    let events = play_whole(format!("{head}\r\n\r\n{body}{smuggled}").as_bytes());
    assert_eq!(events.len(), 1, "{head:?}");
    assert_eq!(events[0].fault(), Some(fault), "{head:?}");
    assert!(!events[0].survives());
}

#[test]
fn rustsec_2020_0008_body_of_a_get_is_not_the_next_request() {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
    let length = smuggled.len();
    for framed in [
        format!("Content-Length: {length}\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{smuggled}\r\n0\r\n\r\n"),
    ] {
        let events = play_whole(format!("GET /x HTTP/1.1\r\nHost: h\r\n{framed}").as_bytes());
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].body(), Some(smuggled.as_bytes()));
    }
}

#[test]
fn rustsec_2021_0020_several_transfer_encoding_lines_are_one_list() {
    let head = |lines: &str| format!("POST /x HTTP/1.1\r\nHost: h\r\n{lines}");
    let lines = "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity";
    check_refused(&head(lines), "0\r\n\r\n", Fault::NotChunkedLast);
    let lines = "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked";
    check_refused(&head(lines), "0\r\n\r\n", Fault::CodingUnsupported);
    let lines = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked";
    check_refused(&head(lines), "0\r\n\r\n", Fault::ChunkedTwice);
}

#[test]
fn rustsec_2021_0078_plus_sign_is_no_digit() {
    for value in ["+3", "+0", "+"] {
        let head = format!("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: {value}");
        check_refused(&head, "abc", Fault::LengthNotDigits);
    }
}

#[test]
fn rustsec_2021_0079_chunk_size_does_not_wrap() {
    let head = "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked";
    for size in ["10000000000000003", "f0000000000000003", "ffffffffffffffff3"] {
        check_refused(head, &format!("{size}\r\nabc\r\n0\r\n\r\n"), Fault::ChunkSizeOverflow);
    }
    check_refused(head, "3\r\nabc\r\nfffffffffffffffd\r\n0\r\n\r\n", Fault::ChunkSizeOverflow);
    check_refused(head, "fffffffffffffffe\r\nab", Fault::ChunksTooLarge);
}

#[test]
fn content_encoding_does_not_hide_behind_identity() {
    for lines in ["identity\r\nContent-Encoding: gzip", "gzip\r\nContent-Encoding: identity"] {
        let events = play_whole(format!("POST /x HTTP/1.1\r\nHost: h\r\nContent-Encoding: {lines}\r\n\r\n").as_bytes());
        let [Event::Served { content_encoding: Some(coding), .. }] = &events[..] else { panic!("{events:?}") };
        assert_eq!(coding, b"gzip");
    }
}
