//! Answers as bytes, whole.

use crate::{
    clock::{Clock, Origin},
    http::{CONTINUE, DateCache, Fault, Persistence, Responses, Status},
    service::{Answer, Content, ServerTiming},
};

const KEEP: Persistence = Persistence { keep_alive: true, say_keep_alive: false };
const SAY_KEEP: Persistence = Persistence { keep_alive: true, say_keep_alive: true };
const DATE_S: i64 = 784_111_777;

const OK: Answer = Answer {
    status: Status::OK,
    content: Content::Json,
    allow: None,
    retry_after_s: None,
    authenticate: None,
    accept_encoding: None,
    server_timing: None,
    limited: None,
};

/// One answer, as written behind others.
struct Written {
    body: &'static str,
    answer: Answer,
    persistence: Persistence,
    head_only: bool,
    close: bool,
}

impl Default for Written {
    fn default() -> Self {
        Self { body: "{}", answer: OK, persistence: KEEP, head_only: false, close: false }
    }
}

/// Writes it behind an earlier answer, which must not be touched.
fn write(responses: &mut Responses, written: &Written) -> String {
    let mut out = b"earlier".to_vec();
    let mark = responses.begin(&mut out);
    assert_eq!(mark.start(), 7);
    out.extend_from_slice(written.body.as_bytes());
    responses.finish(&mut out, mark, &written.answer, written.persistence, written.head_only, written.close);
    String::from_utf8(out).unwrap().strip_prefix("earlier").unwrap().to_owned()
}

fn check(written: &Written, expected: &str) {
    // Whatever was written before, the bytes are the same.
    for before in ["", "1", "12345678901234567890"] {
        let mut responses = Responses::new(DATE_S);
        write(&mut responses, &Written { body: before, ..Written::default() });
        assert_eq!(write(&mut responses, written), expected);
        assert_eq!(write(&mut responses, written), expected);
    }
}

#[test]
fn plain_answer() {
    check(
        &Written::default(),
        "HTTP/1.1 200 OK\r\nServer: gannet\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\n\
         Cache-Control: no-store\r\nContent-Length: 2\r\n\r\n{}",
    );
}

#[test]
fn length_has_its_digits_however_many_the_last_one_had() {
    let mut responses = Responses::new(DATE_S);
    let mut out = Vec::new();
    for length in [0, 9, 10, 99, 100, 912, 999, 1000, 99_999, 100_000, 7, 12_345, 0] {
        out.clear();
        let mark = responses.begin(&mut out);
        out.resize(out.len() + length, b'x');
        responses.finish(&mut out, mark, &OK, KEEP, false, false);
        let text = std::str::from_utf8(&out).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("no-store\r\nContent-Length: {length}")), "{head}");
        assert_eq!(body, "x".repeat(length));
    }
}

#[test]
fn head_request_keeps_the_length_and_drops_the_body() {
    check(
        &Written { body: "0123456789", head_only: true, ..Written::default() },
        "HTTP/1.1 200 OK\r\nServer: gannet\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\n\
         Cache-Control: no-store\r\nContent-Length: 10\r\n\r\n",
    );
}

#[test]
fn no_content_has_neither_length_nor_type() {
    let answer = Answer { status: Status::NO_CONTENT, content: Content::None, allow: Some("GET, HEAD"), ..OK };
    check(
        &Written { body: "", answer, ..Written::default() },
        "HTTP/1.1 204 No Content\r\nServer: gannet\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nCache-Control: no-store\r\n\
         Allow: GET, HEAD\r\n\r\n",
    );
}

#[test]
fn http_1_0_client_is_told_that_the_connection_stays() {
    check(
        &Written { persistence: SAY_KEEP, ..Written::default() },
        "HTTP/1.1 200 OK\r\nServer: gannet\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\n\
         Cache-Control: no-store\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}",
    );
}

#[test]
fn closing_is_said_whoever_closes() {
    let expected = "HTTP/1.1 200 OK\r\nServer: gannet\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\n\
         Cache-Control: no-store\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
    check(&Written { persistence: Persistence::CLOSE, ..Written::default() }, expected);
    check(&Written { close: true, ..Written::default() }, expected);
    check(&Written { close: true, persistence: SAY_KEEP, ..Written::default() }, expected);
}

#[test]
fn refusals_carry_the_field_that_their_status_demands() {
    let start = "\r\nServer: gannet\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\n\
         Cache-Control: no-store\r\n";
    let check_with = |answer: Answer, status: &str, field: &str| {
        let expected = format!("HTTP/1.1 {status}{start}{field}\r\nContent-Length: 2\r\n\r\n{{}}");
        check(&Written { answer, ..Written::default() }, &expected);
    };
    let of = |status| Answer { status: Status(status), ..OK };
    check_with(Answer { allow: Some("POST"), ..of(405) }, "405 Method Not Allowed", "Allow: POST");
    check_with(
        Answer { authenticate: Some("Tecton-key"), ..of(401) },
        "401 Unauthorized",
        "WWW-Authenticate: Tecton-key",
    );
    check_with(Answer { retry_after_s: Some(12), ..of(429) }, "429 Too Many Requests", "Retry-After: 12");
    check_with(Answer { retry_after_s: Some(0), ..of(503) }, "503 Service Unavailable", "Retry-After: 0");
    check_with(
        Answer { accept_encoding: Some("identity"), ..of(415) },
        "415 Unsupported Media Type",
        "Accept-Encoding: identity",
    );
}

#[test]
fn metrics_have_their_own_type() {
    let answer = Answer { content: Content::Metrics, ..OK };
    let text = write(&mut Responses::new(DATE_S), &Written { body: "up 1\n", answer, ..Written::default() });
    assert!(text.contains("\r\nContent-Type: text/plain; version=0.0.4\r\n"), "{text}");
    assert!(text.ends_with("\r\nContent-Length: 5\r\n\r\nup 1\n"), "{text}");
}

#[test]
fn stages_are_told_in_milliseconds_to_the_microsecond() {
    let timing =
        ServerTiming { queue_us: 12, parse_us: 0, lookup_us: 1_000, cold_us: 199_950, render_us: u32::MAX, from_ns: 0 };
    let told =
        "Server-Timing: queue;dur=0.012, parse;dur=0.000, lookup;dur=1.000, cold;dur=199.950, render;dur=4294967.295";
    let answer = Answer { server_timing: Some(timing), ..OK };
    check(
        &Written { answer, ..Written::default() },
        &format!(
            "HTTP/1.1 200 OK\r\nServer: gannet\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\n\
             Cache-Control: no-store\r\n{told}\r\nContent-Length: 2\r\n\r\n{{}}"
        ),
    );
    let refused = Answer { status: Status(503), retry_after_s: Some(1), ..answer };
    check(
        &Written { answer: refused, close: true, ..Written::default() },
        &format!(
            "HTTP/1.1 503 Service Unavailable\r\nServer: gannet\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             Content-Type: application/json\r\nCache-Control: no-store\r\nRetry-After: 1\r\n{told}\r\nConnection: close\r\n\
             Content-Length: 2\r\n\r\n{{}}"
        ),
    );
}

/// With a clock, rendering lasts until the head is written: here from the clock's beginning, so that it is more than nothing.
#[test]
fn an_answers_own_rendering_counts() {
    let clock = Clock::new(Origin::now());
    let mut responses = Responses::new(DATE_S).with_clock(clock);
    while clock.now().monotonic_ns < 1_000 {
        std::hint::spin_loop();
    }
    let timing = ServerTiming { render_us: 5, ..ServerTiming::default() };
    let text =
        write(&mut responses, &Written { answer: Answer { server_timing: Some(timing), ..OK }, ..Written::default() });
    let (_, rest) = text.split_once("render;dur=").unwrap();
    let (milliseconds, _) = rest.split_once("\r\n").unwrap();
    assert!(milliseconds.parse::<f64>().unwrap() >= 0.006, "{text}");
    let after = ServerTiming { from_ns: u64::MAX, ..timing }; // a clock that does not run backwards gives no less than nothing
    let text =
        write(&mut responses, &Written { answer: Answer { server_timing: Some(after), ..OK }, ..Written::default() });
    assert!(text.contains("render;dur=0.005\r\n"), "{text}");
}

#[test]
fn faults_are_answered_with_one_line_of_json_and_a_standard_phrase() {
    let mut responses = Responses::new(DATE_S);
    for fault in Fault::ALL {
        let mut out = Vec::new();
        responses.fault(&mut out, *fault, Persistence::CLOSE, false, true);
        let text = String::from_utf8(out).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let expected = format!(r#"{{"error":"{0}","message":"{0}","code":{1}}}"#, fault.message(), fault.code());
        assert_eq!(body, expected);
        assert!(!fault.message().contains(['"', '\\', '\n']), "needs no escapes");
        let status = fault.status();
        assert!(head.starts_with(&format!("HTTP/1.1 {} {}\r\n", status.0, status.reason())), "{head}");
        assert!(!status.reason().is_empty());
        assert!(head.contains(&format!("\r\nConnection: close\r\nContent-Length: {}", body.len())), "{head}");

        let mut out = Vec::new();
        responses.fault(&mut out, *fault, KEEP, true, false);
        assert!(out.ends_with(b"\r\n\r\n"), "no body for a HEAD");
    }
}

#[test]
fn steady_state_does_not_allocate() {
    let mut responses = Responses::new(DATE_S);
    let mut out = Vec::with_capacity(64 * 1024);
    let before = out.capacity();
    for n in 0..200_usize {
        out.clear();
        let mark = responses.begin(&mut out);
        out.resize(out.len() + n * 50, b'x');
        let server_timing = (n % 5 == 0).then(|| ServerTiming { cold_us: u32::MAX, ..ServerTiming::default() });
        let answer = Answer { server_timing, ..OK };
        responses.finish(&mut out, mark, &answer, if n % 3 == 0 { SAY_KEEP } else { KEEP }, false, n % 7 == 0);
    }
    assert_eq!(out.capacity(), before);
}

#[test]
fn continue_is_a_status_line_alone() {
    assert_eq!(CONTINUE, b"HTTP/1.1 100 Continue\r\n\r\n");
}

#[test]
fn dates_are_those_of_the_calendar() {
    for (unix_s, expected) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
        (1_356_998_400, "Tue, 01 Jan 2013 00:00:00 GMT"),
        (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
        (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
    ] {
        assert_eq!(std::str::from_utf8(DateCache::new(unix_s).text()).unwrap(), expected);
    }
}

#[test]
fn each_day_follows_the_one_before() {
    let day = |n: i64| DateCache::new(n * 86_400).text()[5..16].to_vec();
    let month_ends = [b"31", b"30", b"29", b"28"];
    for n in 0..200_000 {
        let (today, tomorrow) = (day(n), day(n + 1));
        if tomorrow.starts_with(b"01") {
            assert!(month_ends.iter().any(|end| today.starts_with(&end[..])));
        } else {
            assert_eq!(today[2..], tomorrow[2..], "same month and year");
        }
    }
}

#[test]
fn date_follows_the_clock() {
    let mut responses = Responses::new(DATE_S);
    responses.update(DATE_S + 1);
    let text = write(&mut responses, &Written::default());
    assert!(text.contains("Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"));
    let text = write(&mut responses, &Written { close: true, ..Written::default() });
    assert!(text.contains("Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"));
    let mut date = DateCache::new(DATE_S);
    assert!(!date.update(DATE_S));
    assert!(date.update(DATE_S + 1));
}
