//! `POST /ingest`: what is written of a body, and what its sender is told, to the byte.

use std::{fmt::Write as _, sync::Arc};

use gannet_api::aggregates::LeadingEdge;
use gannet_engine::{
    Answer, Asked, Finished, Now, Service,
    admission::{Criticality, Reason},
    http::{Head, Method, Request},
};
use gannet_store::plane::{Failure, SourceToken};

use proptest::prelude::*;

use crate::{
    fixture::head,
    writing::{HOUR_US, WRITES, Writing, records, with_key},
};

/// One second before the clock of these tests.
const AT: &str = "2021-08-21T01:23:58.996Z";

fn record(user: &str, amount: &str) -> String {
    format!(r#"{{"record":{{"user_id":"{user}","amount":{amount},"at":"{AT}"}}}}"#)
}

const WRITTEN: &str = r#"{"workspaceName":"prod","ingestMetrics":{"featureViewIngestMetrics":[
{"featureViewName":"last","onlineRecordIngestCount":"2","offlineRecordIngestCount":"0","featureViewId":"c3de1bf1ca70bbb0d7fc5b2fae9d6f0f"},
{"featureViewName":"sums","onlineRecordIngestCount":"2","offlineRecordIngestCount":"0","featureViewId":"a3ec14ea1f7e5bc5a45fd7a1ee8cf78e"},
{"featureViewName":"wide","onlineRecordIngestCount":"2","offlineRecordIngestCount":"0","featureViewId":"b7cc0d63f6d61e4bb7ed0a1fbd1f0a38"}]}}"#;

/// Ids are made of names; here only that they are those of `featureViewId` anywhere.
fn without_ids(body: &str) -> String {
    let mut shown = String::new();
    let mut rest = body;
    while let Some(at) = rest.find("featureViewId\":\"") {
        let (before, id) = rest.split_at(at + "featureViewId\":\"".len());
        assert!(id[..32].bytes().all(|digit| digit.is_ascii_hexdigit()), "{body}");
        shown += before;
        rest = &id[32..];
    }
    shown + rest
}

#[test]
fn a_record_goes_to_every_view_of_its_source_in_one_write() {
    let mut writing = Writing::new();
    let body = records("clicks", &format!("{},{}", record("u", "2.5"), record("v", "null")));
    let (told, rows) = writing.write(head(Method::Post, "/ingest"), &body);
    let expected: String = WRITTEN.lines().collect();
    assert_eq!(without_ids(&told), without_ids(&expected));
    let at = 1_629_509_038_996_000_i64;
    let nulls = ["Null"; 7].join(" ");
    assert_eq!(
        rows,
        [
            format!("prod/last \"u\" @{at} Float64(2.5)"),
            format!("prod/sums \"u\" @{at} 1 tile(s), newest {at}"),
            format!("prod/wide \"u\" @{at} {nulls}"),
            format!("prod/last \"v\" @{at} Null"),
            format!("prod/sums \"v\" @{at} 1 tile(s), newest {at}"),
            format!("prod/wide \"v\" @{at} {nulls}"),
        ]
    );
}

#[test]
fn every_path_and_both_spellings_are_taken() {
    let mut writing = Writing::new();
    let snake = records("clicks", &record("u", "1"));
    let camel = snake.replace("workspace_name", "workspaceName").replace("dry_run", "dryRun");
    for path in ["/ingest", "/v1/ingest", "/api/v1/ingest"] {
        for body in [&snake, &camel] {
            let (_, rows) = writing.write(head(Method::Post, path), body);
            assert_eq!(rows.len(), 3);
        }
    }
}

#[test]
fn every_type_is_written_as_it_was_sent() {
    let mut writing = Writing::new();
    let fields = format!(
        r#""user_id":"münchen 東京 \ud83d\ude00","at":"{AT}","amount":"-Infinity","flag":true,"n":"9223372036854775807",
        "place":{{"lon":2.5}},"props":{{"b":null,"a":"NaN"}},"ratio":0.1,"seen":"2021-08-21T03:23:58.123456789+02:00","tags":["x",null]"#
    );
    let (_, rows) =
        writing.write(head(Method::Post, "/ingest"), &records("clicks", &format!("{{\"record\":{{{fields}}}}}")));
    assert!(rows[0].contains("münchen 東京 😀") && rows[0].ends_with(" Float64(-inf)"), "{}", rows[0]);
    let wide = "Boolean(true) Int64(9223372036854775807) Struct([Null, Float64(2.5)]) \
                Map([(\"a\", Float64(NaN)), (\"b\", Null)]) Float32(0.1) Timestamp(1629509038123456) Array([String(\"x\"), Null])";
    assert!(rows[2].ends_with(wide), "{}", rows[2]);
}

#[test]
fn several_sources_share_a_write_and_a_token_goes_along() {
    let mut writing = Writing::new();
    let visit = format!(r#"{{"record":{{"user_id":"u","ad_id":"-7","n":1,"when":"{AT}"}}}}"#);
    let body = format!(
        r#"{{"source_token":{{"source":"topic","partition":3,"sequence":"18446744073709551615"}},"dry_run":false,"unknown":[1],
        "records":{{"visits":[{visit}],"clicks":[{}]}},"workspace_name":"prod"}}"#,
        record("u", "1")
    );
    writing.waits(&body);
    let taken = writing.take();
    let (token, rows) = writing.rows(&taken);
    assert_eq!(token, Some(SourceToken { source: "topic".to_owned(), partition: 3, sequence: u64::MAX }));
    let tables: Vec<&str> = rows.iter().map(|row| row.split(' ').next().unwrap()).collect();
    assert_eq!(tables, ["prod/visits", "prod/last", "prod/sums", "prod/wide"]);
    let (answer, told) = writing.give(taken, Ok(())).pop().unwrap();
    assert_eq!(answer.status.0, 200);
    let names: Vec<&str> =
        told.split("featureViewName\":\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(names, ["last", "sums", "visits", "wide"]);
}

#[test]
fn a_dry_run_checks_everything_and_writes_nothing() {
    let mut writing = Writing::new();
    let body = records("clicks", &record("u", "1")).replace("false", "true");
    let (answer, told) = writing.told(head(Method::Post, "/ingest"), &body);
    assert_eq!(answer.status.0, 200);
    let expected: String = WRITTEN.replace("\"2\"", "\"0\"").lines().collect();
    assert_eq!(without_ids(&told), without_ids(&expected));
    assert_eq!(writing.far.waiting(), 0);
    let wrong = records("clicks", &record("u", "\"x\"")).replace("false", "true");
    assert_eq!(writing.told(head(Method::Post, "/ingest"), &wrong).0.status.0, 400);
}

#[track_caller]
fn check_request(writing: &mut Writing, body: &str, status: u16, message: &str) {
    let (answer, told) = writing.told(head(Method::Post, "/ingest"), body);
    let kind = if status < 500 { "RequestValidationError" } else { "InternalError" };
    let message = serde_json::to_string(message).unwrap();
    let expected = format!("{{\"requestError\":{{\"errorMessage\":{message},\"errorType\":\"{kind}\"}}}}");
    assert_eq!((answer.status.0, told), (status, expected), "{body}");
    assert_eq!(writing.far.waiting(), 0);
}

#[test]
fn faults_of_the_frame_are_told_in_the_request_shape() {
    let mut writing = Writing::new();
    let mut check = |body: &str, status, message: &str| check_request(&mut writing, body, status, message);
    check("{}", 400, "Required field `workspace_name` is missing in the request");
    check("[]", 400, "Required field `workspace_name` is missing in the request");
    check(r#"{"workspace_name":null}"#, 400, "Required field `workspace_name` is missing in the request");
    check(r#"{"workspace_name":"prod"}"#, 400, "Required field `dry_run` is missing in the request");
    check(r#"{"workspaceName":"prod","dryRun":true}"#, 400, "Required field `records` is missing in the request");
    check(r#"{"workspace_name":5}"#, 400, "Unexpected JSON type for workspace_name. Expected string.");
    check(r#"{"dry_run":"true"}"#, 400, "Unexpected JSON type for dry_run. Expected boolean.");
    check(r#"{"records":[]}"#, 400, "Unexpected JSON type for records. Expected object.");
    check(r#"{"workspace_name":"a","workspaceName":"a"}"#, 400, "Duplicate field: workspace_name");
    check("", 400, "Invalid JSON in request body: empty body at byte 0");
    check(r#"{"workspace_name":"prod""#, 400, "Invalid JSON in request body: unexpected end at byte 24");
    check(&records("clicks", ""), 400, "A request holds from 1 to 10000 records; this one holds 0.");
    let none = r#"{"workspace_name":"prod","dry_run":false,"records":{}}"#;
    check(none, 400, "A request holds from 1 to 10000 records; this one holds 0.");
    let missing = "Workspace `test` was not found. Ensure that the workspace is a live workspace.";
    check(&none.replace("prod", "test"), 404, missing);
    check(&records("no \\\"such\\n", ""), 404, "Stream source `no \"such\n` was not found in workspace `prod`.");
    let nobody = "Workspace `prod` has no feature view that takes records of stream source `spare`.";
    check(&records("spare", &record("u", "1")), 404, nobody);
    let twice = r#"{"workspace_name":"prod","dry_run":false,"records":{"clicks":[],"clicks":[]}}"#;
    check(twice, 400, "Duplicate field: clicks");
    let kind = r#"{"workspace_name":"prod","dry_run":false,"records":{"clicks":{}}}"#;
    check(kind, 400, "Unexpected JSON type for the records of a stream source. Expected array.");
    let token = |token: &str| none.replace("{}", &format!("{{}},\"source_token\":{token}"));
    check(&token("{}"), 400, "Required field `source_token.source` is missing in the request");
    check(
        &token(r#"{"source":"s","partition":0}"#),
        400,
        "Required field `source_token.sequence` is missing in the request",
    );
    check(&token(r#"{"source":""}"#), 400, "source is out of range. Expected 1 to 249 bytes.");
    let whole = "sequence is out of range. Expected a whole number from 0 to 18446744073709551615.";
    for wrong in ["-1", "1.5", "\"x\"", "18446744073709551616", "[]"] {
        check(&token(&format!("{{\"sequence\":{wrong}}}")), 400, whole);
    }
}

/// The same for each record and view; of a single record the message says all, of several also which.
#[track_caller]
fn check_records(writing: &mut Writing, body: &str, expected: &[(&str, &str)]) {
    let (answer, told) = writing.told(head(Method::Post, "/ingest"), body);
    let mut entries = String::new();
    for (view, message) in expected {
        let comma = if entries.is_empty() { "" } else { "," };
        let message = serde_json::to_string(message).unwrap();
        write!(
            entries,
            "{comma}{{\"featureViewName\":\"{view}\",\"pushSourceName\":\"clicks\",\"errorType\":\"TectonObjectValidationError\",\"errorMessage\":{message}}}"
        )
        .unwrap();
    }
    assert_eq!(told, format!("{{\"workspaceName\":\"prod\",\"recordErrors\":[{entries}]}}"), "{body}");
    assert_eq!(answer.status.0, 400);
    assert_eq!(writing.far.waiting(), 0, "all or nothing");
}

#[test]
fn faults_of_a_record_are_told_for_every_view_of_its_source() {
    let mut writing = Writing::new();
    let mut check = |fields: &str, message: &str| {
        let body = records("clicks", &format!("{{\"record\":{fields}}}"));
        check_records(&mut writing, &body, &["last", "sums", "wide"].map(|view| (view, message)));
    };
    check("{}", "timestamp field at is missing");
    check(r#"{"user_id":"u","at":null}"#, "timestamp field at is missing");
    check(
        r#"{"user_id":"u","at":"today"}"#,
        "Unexpected value for at. Expected timestamp, such as \"2021-08-21T01:23:58.996Z\", found \"today\".",
    );
    let at = format!("\"at\":\"{AT}\"");
    check(&format!("{{{at}}}"), "join key field user_id is missing or null");
    check(&format!("{{{at},\"user_id\":null}}"), "join key field user_id is missing or null");
    check(&format!("{{{at},\"user_id\":5}}"), "Unexpected value for user_id. Expected string, found 5.");
    check(&format!("{{{at},\"amount\":true}}"), "Unexpected value for amount. Expected float64, found true.");
    check(
        &format!("{{{at},\"n\":9223372036854775808}}"),
        "Unexpected value for n. Expected int64, found 9223372036854775808.",
    );
    check(&format!("{{{at},\"tags\":[\"a\",1]}}"), "Unexpected value for tags[1]. Expected string, found 1.");
    check(
        &format!("{{{at},\"ärger\\n\":1}}"),
        "unknown field ärger\n, expected one of: [amount at flag n place props ratio seen tags user_id]",
    );
    check(&format!("{{{at},{at}}}"), "field at is there twice");
    check("5", "Unexpected JSON type for record. Expected object.");
    check(&format!("{{{at},\"user_id\":\"{}\"}}", "k".repeat(1025)), "the join keys come to more than 1024 bytes");
    let all = ["last", "sums", "wide"];
    for (wrong, message) in [
        ("5", "a record is no object with a field `record`"),
        ("{}", "Required field `record` is missing"),
        ("{\"record\":{},\"record\":{}}", "field record is there twice"),
    ] {
        check_records(&mut writing, &records("clicks", wrong), &all.map(|view| (view, message)));
    }
}

#[test]
fn records_older_than_what_is_served_are_rejected_by_each_view_for_itself() {
    let mut writing = Writing::new();
    let ttl = |view: &str| format!("timestamp value is outside of the serving TTL defined for Feature View {view}");
    let now_us = writing.world.now.unix_us;
    let sent = |at_us: i64| {
        let mut at = String::new();
        let seconds = at_us.div_euclid(1_000_000);
        // Days of the tests' month and the one before it: enough.
        let (day, second) = (seconds.div_euclid(86_400) - 18_840, seconds.rem_euclid(86_400));
        let (month, day) = if day < 0 { (7, day + 32) } else { (8, day + 1) };
        let rest_us = at_us.rem_euclid(1_000_000);
        write!(
            at,
            "2021-{month:02}-{day:02}T{:02}:{:02}:{:02}.{rest_us:06}Z",
            second / 3600,
            second / 60 % 60,
            second % 60
        )
        .unwrap();
        records("clicks", &format!(r#"{{"record":{{"user_id":"u","at":"{at}"}}}}"#))
    };
    // A TTL ends with its last microsecond; events are taken for an interval, the longest window and a week.
    let (_, rows) = writing.write(head(Method::Post, "/ingest"), &sent(now_us - HOUR_US + 1));
    assert_eq!(rows.len(), 3);
    check_records(&mut writing, &sent(now_us - HOUR_US), &[("last", &ttl("last"))]);
    let kept_us = HOUR_US + 24 * HOUR_US + 7 * 24 * HOUR_US;
    check_records(&mut writing, &sent(now_us - kept_us + 1), &[("last", &ttl("last"))]);
    check_records(&mut writing, &sent(now_us - kept_us), &[("last", &ttl("last")), ("sums", &ttl("sums"))]);
    let (_, rows) = writing.write(head(Method::Post, "/ingest"), &sent(now_us + 5 * 24 * HOUR_US));
    assert_eq!(rows.len(), 3, "the future is taken");

    // Where windows end with the newest event of the view, what counts is how much older than that an event is.
    writing.lead_sums_by(LeadingEdge::LatestEventTime);
    let old = sent(now_us - kept_us - HOUR_US);
    check_records(&mut writing, &old, &[("last", &ttl("last"))]);
    let sums = Arc::clone(writing.streams.get("prod/sums").unwrap());
    sums.advance_watermark(now_us - 2 * HOUR_US);
    check_records(&mut writing, &old, &[("last", &ttl("last"))]);
    sums.advance_watermark(now_us);
    check_records(&mut writing, &old, &[("last", &ttl("last")), ("sums", &ttl("sums"))]);
}

#[test]
fn of_several_records_each_error_says_which_and_nothing_is_written() {
    let mut writing = Writing::new();
    let body =
        records("clicks", &[record("u", "1"), record("u", "\"x\""), record("u", "2"), "{}".to_owned()].join(","));
    let wrong = "Unexpected value for amount. Expected float64, found \"x\". (in records[1])";
    let missing = "Required field `record` is missing (in records[3])";
    let views = ["last", "sums", "wide"];
    let expected: Vec<_> =
        views.iter().map(|view| (*view, wrong)).chain(views.iter().map(|view| (*view, missing))).collect();
    check_records(&mut writing, &body, &expected);
}

#[test]
fn ten_thousand_records_are_taken_and_one_more_is_refused() {
    let mut writing = Writing::new();
    let visits = |n: usize| {
        let each: Vec<String> =
            (0..n).map(|n| format!(r#"{{"record":{{"user_id":"u{n}","ad_id":{n},"n":{n},"when":"{AT}"}}}}"#)).collect();
        records("visits", &each.join(","))
    };
    let (told, rows) = writing.write(head(Method::Post, "/ingest"), &visits(10_000));
    assert_eq!(rows.len(), 10_000);
    assert!(told.contains("\"onlineRecordIngestCount\":\"10000\""), "{told}");
    check_request(&mut writing, &visits(10_001), 400, "A request holds from 1 to 10000 records; this one holds 10001.");
}

#[test]
fn a_body_that_is_wrong_in_every_record_gets_an_answer_of_bounded_size() {
    let mut writing = Writing::new();
    let each = vec![r#"{"record":{"x":1}}"#; 10_000].join(",");
    let (answer, told) = writing.told(head(Method::Post, "/ingest"), &records("clicks", &each));
    assert_eq!(answer.status.0, 400);
    assert!(told.len() < 512 << 10, "{}", told.len());
    let entries = told.matches("featureViewName").count();
    assert!(entries <= 1001, "{entries}");
    let rest = 30_000 - (entries - 1);
    assert!(
        told.ends_with(&format!("\"errorMessage\":\"{rest} more errors of records are not listed\"}}]}}")),
        "{}",
        &told[told.len() - 200..]
    );
}

#[test]
fn more_than_a_record_of_the_log_holds_is_refused() {
    let mut writing = Writing::new();
    writing.with_copies_of("wide", 3);
    let text = "x".repeat(400_000);
    let each: Vec<String> =
        (0..9).map(|n| format!(r#"{{"record":{{"user_id":"u{n}","at":"{AT}","tags":["{text}"]}}}}"#)).collect();
    let body = records("clicks", &each.join(","));
    assert!(body.len() < 4 << 20);
    check_request(
        &mut writing,
        &body,
        400,
        "What the request writes comes to more than 12582912 bytes. Send less at once.",
    );
    let text = "x".repeat(1 << 20);
    let long = records("clicks", &format!(r#"{{"record":{{"user_id":"u","at":"{AT}","tags":["{text}"]}}}}"#));
    let (_, told) = writing.told(head(Method::Post, "/ingest"), &long);
    assert!(told.contains("\"featureViewName\":\"wide\"") && told.contains("more than 1048576"), "{told}");
}

#[test]
fn every_prefix_of_a_body_is_refused_and_none_is_written() {
    let mut writing = Writing::new();
    let body = records("clicks", &record("ü", "[1,{\"a\":2}]"));
    for end in (0..body.len()).filter(|end| body.is_char_boundary(*end)) {
        let (answer, told) = writing.told(head(Method::Post, "/ingest"), &body[..end]);
        assert_eq!(answer.status.0, 400);
        assert!(told.starts_with("{\"requestError\":{\"errorMessage\":\"Invalid JSON in request body: "), "{told}");
    }
    assert_eq!(writing.far.waiting(), 0);
}

/// A view whose table has another schema than its definition is not written to: its rows would be misread.
#[test]
fn a_table_of_another_schema_is_not_written_to() {
    let mut writing = Writing::new();
    let of_before = |name: &str| writing.streams.get(name).unwrap();
    let other = ["prod/sums", "prod/wide"].map(|name| {
        let table = of_before(name);
        (name.to_owned(), (*table.schema).clone(), None)
    });
    let last = ("prod/last".to_owned(), (*of_before("prod/visits").schema).clone(), None);
    writing.streams = writing.streams.with(other.into_iter().chain([last]));
    writing.publish();
    let message = "Feature view `last` cannot be written to yet, please retry later";
    check_request(&mut writing, &records("clicks", &record("u", "1")), 503, message);
}

#[test]
fn what_became_of_a_write_is_told() {
    let check = |outcome, status: u16, retry: Option<u32>, message: &str| {
        let mut writing = Writing::new();
        writing.waits(&records("clicks", &record("u", "1")));
        let taken = writing.take();
        let (answer, told) = writing.give(taken, Err(outcome)).pop().unwrap();
        let kind = if status < 500 { "RequestValidationError" } else { "InternalError" };
        assert_eq!(told, format!("{{\"requestError\":{{\"errorMessage\":\"{message}\",\"errorType\":\"{kind}\"}}}}"));
        assert_eq!((answer.status.0, answer.retry_after_s), (status, retry));
    };
    let full = "What was written lately fills the memory for it and is being brought to disk, please retry later";
    check(Failure::Full, 429, Some(1), full);
    let disk = "The disk is full. Nothing was written; writes are taken again once there is room.";
    check(Failure::DiskFull, 503, Some(1), disk);
    let unavailable = "The write log cannot go on for now. Nothing was written; please retry later";
    check(Failure::Unavailable, 503, Some(1), unavailable);
    let log = "The write log failed. Nothing is taken before the server is started again; whether this write will be found then is not known.";
    check(Failure::Poisoned, 503, Some(1), log);
    check(Failure::Malformed, 400, None, "The request cannot be written as it is.");
}

#[test]
fn a_core_has_so_many_writes_under_way_and_refuses_the_next() {
    let mut writing = Writing::new();
    let body = records("clicks", &record("u", "1"));
    let waiting: Vec<_> = (0..WRITES).map(|_| writing.waits(&body)).collect();
    let (answer, told) = writing.told(head(Method::Post, "/ingest"), &body);
    assert_eq!((answer.status.0, answer.retry_after_s, answer.limited), (429, Some(1), None));
    assert!(told.contains("Too many writes are under way, please retry later"), "{told}");
    // They end in the plane's order, and each is answered once.
    let mut taken: Vec<_> = (0..WRITES).map(|_| writing.take()).collect();
    let tags: std::collections::HashSet<u64> = taken.iter().map(|taken| taken.write.tag).collect();
    assert_eq!((tags.len(), waiting.len()), (WRITES, WRITES));
    while let Some(last) = taken.pop() {
        let answers = writing.give(last, Ok(()));
        assert_eq!(answers.iter().map(|(answer, _)| answer.status.0).collect::<Vec<_>>(), [200]);
    }
    writing.waits(&body);
}

#[test]
fn a_poisoned_log_refuses_at_once_and_reads_go_on() {
    let mut writing = Writing::new();
    writing.far.poison();
    let (answer, told) = writing.told(head(Method::Post, "/ingest"), &records("clicks", &record("u", "1")));
    assert_eq!(answer.status.0, 503);
    assert!(told.contains("The write log failed.") && told.contains("InternalError"), "{told}");
    assert_eq!(writing.world.ask(head(Method::Get, "/readyz"), b"").0.status.0, 200);
}

#[test]
fn a_server_without_a_plane_says_that_it_takes_no_writes() {
    let mut writing = Writing::reading();
    check_request(&mut writing, &records("clicks", &record("u", "1")), 503, "This server takes no writes.");
    let dry = records("clicks", &record("u", "1")).replace("false", "true");
    assert_eq!(writing.told(head(Method::Post, "/ingest"), &dry).0.status.0, 200);
}

/// What was not durable in time is answered so; when it is over later, nobody waits for it, and its place is another's.
#[test]
fn a_write_that_takes_too_long_is_timed_out_and_its_end_is_nobodys() {
    let mut writing = Writing::new();
    let body = records("clicks", &record("u", "1"));
    let (finished, _) = writing.post(&body);
    let Finished::Waits { waiting, until_ns } = finished else { panic!("{finished:?}") };
    assert_eq!(until_ns, writing.world.now.monotonic_ns + 10_000_000_000);
    let end = Now { monotonic_ns: until_ns, ..writing.world.now };
    let (answer, told) = writing.conclude(end, waiting);
    assert_eq!(answer.status.0, 504);
    let message = "Timed out. Whether the write was applied, or will be, is not known.";
    assert_eq!(
        told,
        format!("{{\"requestError\":{{\"errorMessage\":\"{message}\",\"errorType\":\"InternalError\"}}}}")
    );
    let late = writing.take();
    assert_eq!(writing.waits(&body), waiting, "the place is used again");
    assert!(writing.give(late, Ok(())).is_empty());
    let second = writing.take();
    assert_eq!(writing.give(second, Ok(())).len(), 1);
    let abandoned = writing.waits(&body);
    writing.world.core.abandon(abandoned);
    let gone = writing.take();
    assert!(writing.give(gone, Ok(())).is_empty());
}

#[test]
fn what_the_head_shows_is_told_in_the_shape_of_writes() {
    let mut writing = Writing::new();
    let mut check = |head: Head<'_>, status: u16, message: &str| -> Answer {
        let (answer, told) = writing.told(head, "not json");
        assert_eq!(
            told,
            format!("{{\"requestError\":{{\"errorMessage\":\"{message}\",\"errorType\":\"RequestValidationError\"}}}}")
        );
        assert_eq!(answer.status.0, status);
        answer
    };
    let denied = "invalid 'Tecton-key' authorization header. \
                  Note that newly created credentials may take up to 60 seconds to be usable.";
    let post = head(Method::Post, "/api/v1/ingest");
    assert_eq!(check(with_key("Bearer x", post), 401, denied).authenticate, Some("Tecton-key"));
    check(Head { authorization: None, ..post }, 401, denied);
    assert_eq!(check(head(Method::Put, "/ingest"), 405, "Method Not Allowed").allow, Some("POST, DELETE, OPTIONS"));
    let coded = Head { content_encoding: Some(b"gzip"), ..post };
    check(coded, 415, "Unsupported Content-Encoding. Expected identity.");
}

#[test]
fn a_write_asks_admission_as_a_request_for_features_does() {
    let mut writing = Writing::new();
    let now = writing.world.now;
    writing.world.core.turn(now);
    for method in [Method::Post, Method::Delete] {
        let sheddable = Head { criticality: Some(Criticality::Sheddable), ..head(method, "/ingest") };
        let asked = writing.world.core.asks(now, &sheddable);
        assert_eq!(asked, Asked::Features { criticality: Criticality::Sheddable, budget_ns: None });
    }
    assert_eq!(writing.world.core.asks(now, &head(Method::Get, "/ingest")), Asked::Operation);
}

#[test]
fn a_write_that_is_shed_is_told_in_the_shape_of_writes() {
    let mut writing = Writing::new();
    let now = writing.world.now;
    let mut shed = |head: Head<'_>| {
        let mut body = Vec::new();
        let form = writing.world.core.form(&head);
        writing.world.core.overloaded(now, form, &mut body);
        String::from_utf8(body).unwrap()
    };
    let message = "GetFeatures exceeded the concurrent request limit, please retry later";
    for method in [Method::Post, Method::Delete] {
        let expected =
            format!("{{\"requestError\":{{\"errorMessage\":\"{message}\",\"errorType\":\"RequestValidationError\"}}}}");
        assert_eq!(shed(head(method, "/v1/ingest")), expected);
    }
    let features = shed(head(Method::Post, crate::fixture::GET_FEATURES));
    assert_eq!(features, format!("{{\"error\":\"{message}\",\"message\":\"{message}\",\"code\":8}}"));
}

#[test]
fn a_write_counts_against_its_key_until_it_is_over() {
    use gannet_api::auth::{KeyRecord, KeyTable, Role, Roles};
    let mut writing = Writing::new();
    let mut record = KeyRecord::of("narrow", "", 0);
    (record.roles, record.concurrency_max) = (Roles::everywhere(Role::Editor), std::num::NonZeroU32::new(1));
    writing.world.shared.set_keys(KeyTable::new(vec![record]).unwrap());
    let narrow = with_key("Bearer narrow", head(Method::Post, "/ingest"));
    let body = records("clicks", &self::record("u", "1"));
    assert!(matches!(writing.send(narrow, &body).0, Finished::Waits { .. }));
    let (answer, told) = writing.told(narrow, &body);
    assert_eq!((answer.status.0, answer.limited.map(|limited| limited.reason)), (429, Some(Reason::KeyConcurrency)));
    assert!(told.starts_with("{\"requestError\":"), "{told}");
    let taken = writing.take();
    assert_eq!(writing.give(taken, Ok(())).len(), 1);
    assert!(matches!(writing.send(narrow, &body).0, Finished::Waits { .. }));
}

#[test]
fn writes_are_counted() {
    let mut writing = Writing::new();
    let body = records("clicks", &format!("{},{}", record("u", "1"), record("v", "2")));
    writing.write(head(Method::Post, "/ingest"), &body);
    writing.told(head(Method::Post, "/ingest"), &records("clicks", &format!("{},{{}}", record("u", "true"))));
    writing.told(head(Method::Post, "/ingest"), "{");
    let shown = writing.world.ask(head(Method::Get, "/metrics"), b"").1;
    for line in [
        "gannet_ingest_requests_total{code=\"200\"} 1",
        "gannet_ingest_requests_total{code=\"400\"} 2",
        "gannet_ingest_records_total 2",
        "gannet_ingest_records_rejected_total{reason=\"schema\"} 2",
        "gannet_ingest_rows_total{workspace=\"prod\",feature_view=\"sums\"} 2",
        "gannet_ingest_request_duration_seconds_bucket{le=\"0.005\"} 3",
        "gannet_ingest_request_duration_seconds_bucket{le=\"0.0025\"} 2",
        "gannet_request_decode_errors_total 1",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
    assert!(!shown.contains("code=\"400\"} 1"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Bytes of a sound request are changed, repeated or left out: it is written whole, or refused in one of the two shapes.
    #[test]
    fn a_body_that_is_changed_anyhow_is_written_or_refused(edits in prop::collection::vec((any::<u16>(), 0..4u8, any::<u8>()), 1..5)) {
        let mut writing = Writing::new();
        let fields = format!(r#""user_id":"u","at":"{AT}","amount":"1.5","n":7,"place":{{"lon":2.5}},"props":{{"a":1}},"tags":["x",null]"#);
        let mut body = records("clicks", &format!("{{\"record\":{{{fields}}}}}")).into_bytes();
        for (at, edit, byte) in edits {
            let at = usize::from(at) % body.len();
            match edit {
                0 => body[at] = byte,
                1 => body[at] = b"{}[],:\"0\\e-"[usize::from(byte) % 11],
                2 => drop(body.remove(at)),
                _ => body.insert(at, body[at]),
            }
        }
        for method in [Method::Post, Method::Delete] {
            let request = Request { head: head(method, "/ingest"), body: &mut body.clone(), seen_ns: 0, asked: false };
            let (finished, told) = writing.begin(request);
            match finished {
                Finished::Waits { .. } => {
                    let taken = writing.take();
                    let rows = writing.rows(&taken).1.len();
                    prop_assert!((1..=3).contains(&rows), "{rows}");
                    prop_assert_eq!(writing.give(taken, Ok(())).len(), 1);
                }
                Finished::Answer(_) => {
                    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
                    let shapes = ["requestError", "recordErrors", "ingestMetrics"].map(|shape| told.get(shape).is_some());
                    prop_assert_eq!(shapes.iter().filter(|shape| **shape).count(), 1, "{}", told);
                    prop_assert_eq!(writing.far.waiting(), 0);
                }
            }
        }
    }
}
