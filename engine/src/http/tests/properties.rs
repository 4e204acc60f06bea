//! What holds for any bytes, in any parts.

use proptest::prelude::*;

use super::{
    harness::{Event, GOOD, is_good, play, play_whole},
    vectors,
};
use crate::{
    http::{
        Inbound, Phase, Step,
        scan::{HeadScan, Scanned},
    },
    limits::Limits,
};

/// Cut into parts of these sizes, repeated.
fn pieces<'b>(bytes: &'b [u8], sizes: &[usize]) -> Vec<&'b [u8]> {
    let mut rest = bytes;
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, behind) = rest.split_at((*size).min(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

/// Parts of messages, sound and not, in any order.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        4 => prop::sample::select(FRAGMENTS.to_vec()).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..8),
        2 => prop::sample::select(vectors::all()).prop_map(|vector| {
            let mut bytes = vector.bytes;
            bytes.truncate(4000);
            bytes
        }),
    ];
    prop::collection::vec(fragment, 0..12).prop_map(|fragments| fragments.concat())
}

const FRAGMENTS: &[&[u8]] = &[
    GOOD,
    b"\r\n",
    b"\n",
    b"\r",
    b"GET / HTTP/1.1\r\n",
    b"POST /x HTTP/1.1\r\n",
    b"BREW /x HTTP/1.0\r\n",
    b"Host: h\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"\r\n\r\n",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"0\r\nA: b\r\n\r\n",
    b"a;x=\"y\"\r\n0123456789\r\n",
    b"hello",
    b": ",
    b" ",
    b"\t",
    b"\0",
    b"ffffffffffffffff\r\n",
    b"Authorization: a\r\n",
];

/// A sound message, whose body is `body`, framed in this way.
fn framed(body: &[u8], chunk_sizes: &[usize], chunked: bool) -> Vec<u8> {
    let mut message = b"POST /x HTTP/1.1\r\nHost: h\r\n".to_vec();
    if !chunked {
        message.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        message.extend_from_slice(body);
        return message;
    }
    message.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
    for chunk in pieces(body, chunk_sizes) {
        message.extend_from_slice(format!("{:X};n=\"{0}\"\r\n", chunk.len()).as_bytes());
        message.extend_from_slice(chunk);
        message.extend_from_slice(b"\r\n");
    }
    message.extend_from_slice(b"0\r\nChecksum: none\r\n\r\n");
    message
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_bytes_come_to_the_same_steps_however_they_are_split(
        bytes in fragments(), sizes in prop::collection::vec(1_usize..60, 1..12)
    ) {
        let whole = play_whole(&bytes);
        prop_assert_eq!(&play(&Limits::default(), pieces(&bytes, &sizes)), &whole);
        prop_assert_eq!(&play(&Limits::default(), bytes.chunks(1)), &whole);
    }

    #[test]
    fn noise_neither_panics_nor_is_served(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for event in play_whole(&bytes) {
            prop_assert!(event.body().is_none());
        }
    }

    #[test]
    fn bodies_arrive_as_they_were_sent(
        bodies in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..400), any::<bool>()), 1..6),
        chunk_sizes in prop::collection::vec(1_usize..40, 1..5),
        sizes in prop::collection::vec(1_usize..90, 1..12),
    ) {
        let bytes: Vec<u8> = bodies.iter().flat_map(|(body, chunked)| framed(body, &chunk_sizes, *chunked)).collect();
        let events = play(&Limits::default(), pieces(&bytes, &sizes));
        prop_assert_eq!(events.len(), bodies.len());
        for (event, (body, _)) in events.iter().zip(&bodies) {
            prop_assert_eq!(event.body(), Some(&body[..]));
        }
    }

    #[test]
    fn garbage_behind_good_requests_does_not_harm_them(
        good in 0_usize..20, garbage in prop::collection::vec(any::<u8>(), 1..100), sizes in prop::collection::vec(1_usize..300, 1..6)
    ) {
        let bytes = [GOOD.repeat(good), garbage].concat();
        let events = play(&Limits::default(), pieces(&bytes, &sizes));
        prop_assert!(events.len() >= good);
        prop_assert!(events.iter().take(good).all(is_good));
    }
}

#[test]
fn head_sent_byte_by_byte_is_searched_once() {
    let limits = Limits::default();
    let fields: String = (0..60).map(|n| format!("Field-{n}: {}\r\n", "v".repeat(400))).collect();
    let head = format!("\r\nGET /x HTTP/1.1\r\nHost: h\r\n{fields}\r\n").into_bytes();
    let mut scan = HeadScan::default();
    // What was searched is overwritten with line feeds, but for three bytes: a search that came back would trip on them.
    let mut bytes = Vec::new();
    for (n, byte) in head.iter().enumerate() {
        bytes.push(*byte);
        if let Some(old) = n.checked_sub(3) {
            bytes[old] = b'\n';
        }
        match scan.advance(&limits, &bytes) {
            Scanned::More => assert!(n + 1 < head.len()),
            Scanned::Whole(span) => assert_eq!((span.end, span.start, n + 1), (head.len(), 2, head.len())),
            Scanned::Fault(fault) => panic!("{fault:?} at {n}"),
        }
    }
}

#[test]
fn end_of_the_peer_between_messages_is_clean_and_inside_one_is_not() {
    let message = framed(b"hello world", &[4], true);
    for cut in 0..=message.len() {
        let bytes = [GOOD, &message[..cut]].concat();
        let events = play(&Limits::default(), [&bytes[..]]);
        assert!(is_good(&events[0]));
        let expected = if cut == 0 || cut == message.len() { None } else { Some(&Event::Truncated) };
        assert_eq!(events.iter().find(|event| **event == Event::Truncated), expected, "cut at {cut}");
        assert_eq!(events.len(), if cut == 0 { 1 } else { 2 });
    }
    // Empty lines alone are no part of a request.
    assert_eq!(play_whole(b"\r\n"), []);
    assert_eq!(play_whole(b"\r\n\r\n"), []);
    assert_eq!(play_whole(b"\r\n\r\nG"), [Event::Truncated]);
}

#[test]
fn phase_tells_which_timer_runs() {
    let limits = Limits::default();
    let mut connection = Inbound::new();
    let phase_after = |connection: &mut Inbound, bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        assert!(matches!(connection.next(&limits, &mut bytes), Step::NeedMore));
        connection.phase(bytes.len())
    };
    assert_eq!(connection.phase(0), Phase::Idle);
    assert_eq!(phase_after(&mut connection, b""), Phase::Idle);
    assert_eq!(phase_after(&mut connection, b"\r\n"), Phase::Idle);
    assert_eq!(phase_after(&mut connection, b"\r\nP"), Phase::Head);
    let head = b"\r\nPUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n".to_vec();
    let body = |received| Phase::Body { received, declared: Some(9), waits_for_continue: false };
    assert_eq!(phase_after(&mut connection, &head), body(0));
    assert_eq!(phase_after(&mut connection, &[&head[..], b"abc"].concat()), body(3));
}

#[test]
fn state_of_a_connection_is_small() {
    assert!(size_of::<Inbound>() <= 64, "{}", size_of::<Inbound>());
}
