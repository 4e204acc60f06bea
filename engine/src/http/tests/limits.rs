//! Each limit one below, exactly, and one above; with the defaults, the smallest and the largest settings.

use std::time::Duration;

use super::harness::{Event, GOOD, is_good, play, play_whole};
use crate::{
    http::Fault,
    limits::{CHUNK_FRAMING_ALLOWANCE_BYTES, Limits},
};

const KIB: usize = 1024;

fn smallest() -> Limits {
    Limits {
        request_line_bytes_max: 8000,
        field_line_bytes_max: KIB,
        head_bytes_max: 8 * KIB,
        fields_max: 16,
        body_bytes_max: KIB,
        unread_body_bytes_max: 0,
        ..Limits::default()
    }
}

fn largest() -> Limits {
    Limits {
        request_line_bytes_max: 64 * KIB,
        field_line_bytes_max: 64 * KIB,
        head_bytes_max: 256 * KIB,
        fields_max: 1000,
        body_bytes_max: 64 * KIB * KIB,
        unread_body_bytes_max: KIB * KIB,
        ..Limits::default()
    }
}

/// `build` makes a message that measures this many units of what is limited. It must be served up to the limit and refused above
/// it, whole, and with its last bytes and the limit's own byte arriving apart.
fn check(limits: &Limits, limit: usize, fault: Fault, survives: bool, build: impl Fn(usize) -> Vec<u8>) {
    limits.validate().unwrap();
    for size in [limit - 1, limit, limit + 1, limit + 2, limit * 2] {
        let message = [build(size), GOOD.to_vec()].concat();
        let whole = play(limits, [&message[..]]);
        if size <= limit {
            assert_eq!(whole.len(), 2, "{size} of {limit}: {:?}", whole.first().map(Event::fault));
            assert!(is_good(&whole[1]));
        } else {
            assert_eq!(whole[0].fault(), Some(fault), "{size} of {limit}");
            assert_eq!(whole[0].survives(), survives);
        }
        let near = message.len() - GOOD.len();
        for at in (near.saturating_sub(16)..near + 3)
            .chain(limit.saturating_sub(3)..limit + 3)
            .filter(|at| *at < message.len())
        {
            assert_eq!(play(limits, [&message[..at], &message[at..]]), whole, "{size} of {limit}, split at {at}");
        }
    }
}

fn sum_of_lines(fields: usize, of: impl Fn(usize) -> String) -> String {
    (0..fields).map(of).collect()
}

#[test]
fn request_line_at_its_limit() {
    for limits in [smallest(), Limits::default(), largest()] {
        check(&limits, limits.request_line_bytes_max, Fault::RequestLineTooLong, false, |n| {
            format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(n - 14)).into_bytes()
        });
    }
}

#[test]
fn field_line_at_its_limit() {
    for limits in [smallest(), Limits::default(), largest()] {
        check(&limits, limits.field_line_bytes_max, Fault::FieldsTooLarge, false, |n| {
            format!("GET / HTTP/1.1\r\nHost: h\r\nA: {}\r\n\r\n", "a".repeat(n - 3)).into_bytes()
        });
    }
}

#[test]
fn field_count_at_its_limit() {
    for limits in [smallest(), Limits::default(), largest()] {
        check(&limits, usize::from(limits.fields_max), Fault::FieldsTooLarge, false, |n| {
            format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", sum_of_lines(n - 1, |i| format!("A{i}: b\r\n"))).into_bytes()
        });
    }
}

#[test]
fn head_at_its_limit() {
    for limits in [smallest(), Limits::default(), largest()] {
        check(&limits, limits.head_bytes_max, Fault::FieldsTooLarge, false, |n| {
            let (first, last) = ("GET / HTTP/1.1\r\nHost: h\r\n", "\r\n");
            let lines = n.div_ceil(limits.field_line_bytes_max) + 1;
            let rest = n - first.len() - last.len();
            let line = |bytes: usize| format!("A: {}\r\n", "a".repeat(bytes - 5));
            let each = rest / lines;
            format!("{first}{}{}{last}", line(each).repeat(lines - 1), line(rest - each * (lines - 1))).into_bytes()
        });
    }
}

#[test]
fn empty_lines_before_a_request_do_not_count_against_its_head() {
    let limits = smallest();
    let line = format!("GET /{} HTTP/1.1\r\n", "a".repeat(limits.request_line_bytes_max - 14));
    let bytes = format!("\r\n\r\n{line}Host: h\r\n\r\n");
    assert_eq!(play(&limits, [bytes.as_bytes()])[0].body(), Some(&b""[..]));
}

#[test]
fn trailer_lines_count_against_the_limits_of_the_head() {
    let limits = Limits::default();
    check(&limits, usize::from(limits.fields_max), Fault::FieldsTooLarge, false, |n| {
        let trailer = sum_of_lines(n - 2, |i| format!("A{i}: b\r\n"));
        format!("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{trailer}\r\n").into_bytes()
    });
    check(&limits, limits.field_line_bytes_max, Fault::FieldsTooLarge, false, |n| {
        let trailer = format!("A: {}\r\n", "a".repeat(n - 3));
        format!("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{trailer}\r\n").into_bytes()
    });
    check(&limits, limits.head_bytes_max, Fault::FieldsTooLarge, false, |n| {
        let head = "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        let rest = n - head.len() - 2;
        let line = |bytes: usize| format!("A: {}\r\n", "a".repeat(bytes - 5));
        format!("{head}0\r\n{}{}\r\n", line(rest / 8).repeat(7), line(rest - rest / 8 * 7)).into_bytes()
    });
}

#[test]
fn declared_body_at_its_limit() {
    let body =
        |n: usize| format!("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: {n}\r\n\r\n{}", "a".repeat(n)).into_bytes();
    // Above the limit, but small enough to be read and skipped.
    let skipped = Limits { unread_body_bytes_max: 64 * KIB, ..smallest() };
    check(&skipped, skipped.body_bytes_max, Fault::BodyTooLarge, true, body);
    check(&smallest(), smallest().body_bytes_max, Fault::BodyTooLarge, false, body);
    check(&Limits::default(), Limits::default().body_bytes_max, Fault::BodyTooLarge, false, body);
}

#[test]
fn chunked_body_at_its_limit() {
    for limits in [smallest(), Limits::default()] {
        check(&limits, limits.body_bytes_max, Fault::ChunksTooLarge, false, |n| {
            let (first, last) = ("a".repeat(n / 2), "b".repeat(n - n / 2));
            format!(
                "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n{:x}\r\n{last}\r\n0\r\n\r\n",
                first.len(),
                last.len()
            )
            .into_bytes()
        });
    }
}

#[test]
fn wire_bytes_of_tiny_chunks_at_their_limit() {
    let limits = Limits { body_bytes_max: 16 * KIB, ..smallest() };
    assert_eq!(limits.chunked_wire_bytes_max(), 2 * limits.body_bytes_max + CHUNK_FRAMING_ALLOWANCE_BYTES);
    check(&limits, limits.chunked_wire_bytes_max(), Fault::ChunksTooSmall, false, |n| {
        // Six bytes each, the last chunk with enough digits to come out even.
        let chunks = (n - 5) / 6;
        let pad = "0".repeat(n - 5 - chunks * 6);
        format!(
            "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{}{pad}0\r\n\r\n",
            "1\r\na\r\n".repeat(chunks)
        )
        .into_bytes()
    });
}

#[test]
fn body_of_a_refused_request_at_the_limit_of_what_is_skipped() {
    let limits = Limits::default();
    for over in [false, true] {
        let n = limits.unread_body_bytes_max + usize::from(over);
        let declared = format!("BREW / HTTP/1.1\r\nHost: h\r\nContent-Length: {n}\r\n\r\n{}", "a".repeat(n));
        let size = format!("{n:x}");
        let data = n - size.len() - "\r\n\r\n0\r\n\r\n".len();
        let chunked = format!(
            "BREW / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{data:05x}\r\n{}\r\n0\r\n\r\n",
            "a".repeat(data)
        );
        for message in [declared, chunked] {
            let events = play_whole(&[message.as_bytes(), GOOD].concat());
            assert_eq!(events[0].fault(), Some(Fault::MethodUnknown));
            assert_eq!(events[0].survives(), !over, "{n}");
            assert_eq!(events.len(), if over { 1 } else { 2 });
        }
    }
}

#[test]
fn declared_length_alone_ends_a_refused_request_at_once() {
    let head = b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4194305\r\n\r\n";
    let events = play_whole(head);
    assert_eq!(events[0].fault(), Some(Fault::BodyTooLarge));
    assert_eq!(events.len(), 1);
}

#[test]
fn what_is_too_long_is_refused_at_the_byte_that_makes_it_so() {
    let limits = Limits { body_bytes_max: 16 * KIB, ..smallest() };
    let chunked = b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    // What leads there, what goes on without end, how much of it could still become sound, and what it is refused as.
    for (before, endless, bytes, fault) in [
        (&b""[..], &b"a"[..], limits.request_line_bytes_max + 1, Fault::RequestLineTooLong),
        (b"GET / HTTP/1.1\r\n", b"a", limits.field_line_bytes_max + 1, Fault::FieldsTooLarge),
        (chunked, b"1\r\na\r\n", limits.chunked_wire_bytes_max(), Fault::ChunksTooSmall),
    ] {
        let mut message = [before, &endless.repeat(bytes / endless.len() + 1)].concat();
        message.truncate(before.len() + bytes + 1);
        assert_eq!(play(&limits, [&message[..]])[0].fault(), Some(fault));
        message.pop();
        assert_eq!(play(&limits, [&message[..]]), [Event::Truncated]);
    }
}

#[test]
fn ranges_are_enforced_at_both_ends() {
    for limits in [smallest(), Limits::default(), largest()] {
        assert_eq!(limits.validate(), Ok(()));
        for setting in limits.settings() {
            assert!((setting.min..=setting.max).contains(&setting.value), "{}", setting.name);
        }
    }
    let refused = |limits: Limits| limits.validate().unwrap_err().setting;
    assert_eq!(refused(Limits { request_line_bytes_max: 7999, ..Limits::default() }), "request_line_bytes_max");
    assert_eq!(refused(Limits { fields_max: 1001, ..Limits::default() }), "fields_max");
    assert_eq!(refused(Limits { head_bytes_max: 8 * KIB, ..Limits::default() }), "request_line_bytes_max");
    assert_eq!(refused(Limits { field_line_bytes_max: 40 * KIB, ..Limits::default() }), "field_line_bytes_max");
    let shown = Limits { fields_max: 15, ..Limits::default() }.validate().unwrap_err().to_string();
    assert_eq!(shown, "fields_max is 15, but must be from 16 to 1000");
    // Times go by the names and the unit of the configuration file.
    let shown = Limits { head_time_max: Duration::from_millis(999), ..Limits::default() }.validate().unwrap_err();
    assert_eq!(shown.to_string(), "head_time_ms_max is 999, but must be from 1000 to 60000");
}
