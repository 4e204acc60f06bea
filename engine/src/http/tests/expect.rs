//! `Expect: 100-continue`: what a shard is told before a body comes.

use crate::{
    http::{Fault, Inbound, Phase, Step},
    limits::Limits,
};

const HEAD: &[u8] = b"POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";

fn next<'b>(connection: &mut Inbound, bytes: &'b mut [u8]) -> Step<'b> {
    connection.next(&Limits::default(), bytes)
}

#[test]
fn head_without_body_asks_until_told_that_it_was_continued() {
    let mut connection = Inbound::new();
    let mut bytes = HEAD.to_vec();
    for _ in 0..2 {
        let Step::Expect(head) = next(&mut connection, &mut bytes) else { panic!() };
        assert_eq!(head.path, b"/x");
    }
    let waiting = Phase::Body { received: 0, declared: Some(3), waits_for_continue: true };
    assert_eq!(connection.phase(bytes.len()), waiting);
    connection.continued();
    assert!(matches!(next(&mut connection, &mut bytes), Step::NeedMore));
    bytes.extend_from_slice(b"ab");
    assert!(matches!(next(&mut connection, &mut bytes), Step::NeedMore));
    let reading = Phase::Body { received: 2, declared: Some(3), waits_for_continue: false };
    assert_eq!(connection.phase(bytes.len()), reading);
    bytes.push(b'c');
    let Step::Request { body: [b'a', b'b', b'c'], consumed, .. } = next(&mut connection, &mut bytes) else { panic!() };
    assert_eq!(consumed, HEAD.len() + 3);
    assert_eq!(connection.phase(0), Phase::Idle);
}

#[test]
fn client_that_does_not_wait_is_not_asked_about_again() {
    let mut connection = Inbound::new();
    let mut bytes = HEAD.to_vec();
    assert!(matches!(next(&mut connection, &mut bytes), Step::Expect(_)));
    bytes.push(b'a');
    assert!(matches!(next(&mut connection, &mut bytes), Step::NeedMore));
    bytes.extend_from_slice(b"bc");
    assert!(matches!(next(&mut connection, &mut bytes), Step::Request { body: [b'a', b'b', b'c'], .. }));
}

#[test]
fn body_byte_with_the_head_makes_100_needless() {
    for behind in [&b"a"[..], b"ab", b"abc"] {
        let mut bytes = [HEAD, behind].concat();
        assert!(!matches!(next(&mut Inbound::new(), &mut bytes), Step::Expect(_)));
    }
}

#[test]
fn chunked_body_is_asked_for_too() {
    let mut connection = Inbound::new();
    let mut bytes =
        b"POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    assert!(matches!(next(&mut connection, &mut bytes), Step::Expect(_)));
    let waiting = Phase::Body { received: 0, declared: None, waits_for_continue: true };
    assert_eq!(connection.phase(bytes.len()), waiting);
    connection.continued();
    bytes.extend_from_slice(b"1\r\na\r\n0\r\n\r\n");
    assert!(matches!(next(&mut connection, &mut bytes), Step::Request { body: [b'a'], .. }));
}

#[test]
fn pipelined_request_asks_only_when_its_turn_has_come() {
    let mut connection = Inbound::new();
    let mut bytes = [b"GET /first HTTP/1.1\r\nHost: h\r\n\r\n", HEAD].concat();
    let Step::Request { consumed, .. } = next(&mut connection, &mut bytes) else { panic!() };
    bytes.drain(..consumed);
    assert!(matches!(next(&mut connection, &mut bytes), Step::Expect(_)));
}

#[test]
fn request_without_a_body_is_served_at_once() {
    for length in ["", "Content-Length: 0\r\n"] {
        let mut bytes = format!("POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n{length}\r\n").into_bytes();
        assert!(matches!(next(&mut Inbound::new(), &mut bytes), Step::Request { .. }));
    }
}

#[test]
fn announced_body_that_is_too_large_is_refused_without_100() {
    let mut bytes = b"POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4194305\r\n\r\n".to_vec();
    let step = next(&mut Inbound::new(), &mut bytes);
    assert!(matches!(step, Step::Fault { fault: Fault::BodyTooLarge, consumed: None, .. }));
}

#[test]
fn nothing_is_parsed_behind_an_early_refusal() {
    let mut connection = Inbound::new();
    let mut bytes = HEAD.to_vec();
    assert!(matches!(next(&mut connection, &mut bytes), Step::Expect(_)));
    connection.close();
    bytes.extend_from_slice(b"abcGET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(matches!(next(&mut connection, &mut bytes), Step::NeedMore));
    assert_eq!(connection.phase(bytes.len()), Phase::Closed);
    assert_eq!(connection.end(bytes.len()), None);
}
