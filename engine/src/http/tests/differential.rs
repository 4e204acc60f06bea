//! Against the tokeniser we build on: what it rejects we never serve, and our own line check agrees with it.

use std::mem::MaybeUninit;

use proptest::prelude::*;

use super::harness::{Event, play_whole};
use crate::http::{Method, fields::check_line};

fn method_name(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Patch => "PATCH",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
    }
}

/// A byte that a parser may stumble over.
fn odd_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        Just(b'\r'),
        Just(b'\n'),
        Just(b' '),
        Just(b'\t'),
        Just(b':'),
        Just(0),
        Just(0x7f),
        Just(b','),
        any::<u8>()
    ]
}

/// A sound head with some of its bytes replaced, doubled or removed.
fn damaged_head() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec![
        "GET / HTTP/1.1",
        "POST /x?y=z HTTP/1.1",
        "HEAD /a%20b HTTP/1.0",
        "OPTIONS * HTTP/1.1",
        "DELETE http://h/x HTTP/1.1",
        "PUT /\u{e4} HTTP/1.1",
        "PATCH /x HTTP/1.5",
    ]);
    let field = prop::sample::select(vec![
        "Accept: */*",
        "User-Agent: x y (z)",
        "Authorization: Tecton-key abc",
        "Content-Length: 0",
        "X-Empty:",
        "Content-Type:\tx",
        "Cookie: a=b; c=d",
        "X: \u{e4}",
        "Connection: keep-alive",
        "Expect: 100-continue",
        "Odd : x",
        "\tFolded: y",
        "Host: i",
    ]);
    let damage = prop::collection::vec((any::<prop::sample::Index>(), odd_byte(), 0..3_u8), 0..3);
    (line, prop::collection::vec(field, 0..6), damage).prop_map(|(line, fields, damage)| {
        let mut head = format!(
            "{line}\r\nHost: h\r\n{}\r\n",
            fields.iter().map(|field| format!("{field}\r\n")).collect::<String>()
        )
        .into_bytes();
        for (index, byte, kind) in damage {
            let at = index.index(head.len());
            match kind {
                0 => head[at] = byte,
                1 => head.insert(at, byte),
                _ => drop(head.remove(at)),
            }
        }
        head
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn what_the_tokeniser_rejects_is_never_served(head in damaged_head()) {
        let events = play_whole(&head);
        let Some(Event::Served { method, path, query, consumed, authorization, .. }) = events.first() else { return Ok(()) };
        // The one thing we serve and it does not: minors above 1, as 1.1.
        let mut known = head[..*consumed].to_vec();
        if let Some(at) = known.windows(7).position(|seven| seven == b"HTTP/1.") && known[at + 7] > b'1' {
            known[at + 7] = b'1';
        }
        let mut table = [const { MaybeUninit::uninit() }; 100];
        let mut theirs = httparse::Request::new(&mut []);
        let parsed = theirs.parse_with_uninit_headers(&known, &mut table);
        prop_assert_eq!(parsed, Ok(httparse::Status::Complete(known.len())));
        prop_assert_eq!(theirs.method, Some(method_name(*method)));
        let target = theirs.path.unwrap_or_default().as_bytes();
        prop_assert!(target == b"*" || target.windows(path.len()).any(|part| part == path) || path == b"/" || path == b"*");
        prop_assert!(query.is_empty() || target.ends_with(query));
        let name = |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case("authorization");
        let value = theirs.headers.iter().find(name).map(|header| header.value);
        prop_assert_eq!(authorization.as_deref(), value);
    }

    #[test]
    fn line_check_agrees_with_the_tokeniser(
        line in prop::collection::vec(prop_oneof![3 => prop::sample::select(b"abA-_:: \t!".to_vec()), 1 => odd_byte()], 0..12)
    ) {
        // Neither is a line: the search for line ends has been there before.
        let line: Vec<u8> = line.into_iter().filter(|byte| *byte != b'\n').collect();
        if line.is_empty() || line == b"\r" {
            return Ok(());
        }
        let section = [&line[..], b"\r\n\r\n"].concat();
        let mut table = [httparse::EMPTY_HEADER; 4];
        let accepted = matches!(httparse::parse_headers(&section, &mut table), Ok(httparse::Status::Complete((end, _))) if end == section.len());
        prop_assert_eq!(check_line(&line).is_ok(), accepted, "{:?}", String::from_utf8_lossy(&line));
    }
}
