//! The whole client against a scripted server. What is asserted are counts, and times from below only: a busy machine makes
//! things later, never earlier.
#![expect(clippy::tests_outside_test_module, clippy::unwrap_used, reason = "an integration test is all test")]

mod report;
mod server;

use std::{
    net::SocketAddr,
    process::{Command, Output},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use report::assert_adds_up;
use serde_json::Value;
use server::{Act, Request, serve};

fn loadgen(address: SocketAddr, arguments: &str, more: &[&str]) -> Output {
    let url = format!("http://{address}/x");
    let mut command = Command::new(env!("CARGO_BIN_EXE_gannet-loadgen"));
    // A run ends with its last answer, and on a busy machine that may take a while.
    for (option, value) in [("--warmup", "0s"), ("--drain", "60s")] {
        if !arguments.contains(option) {
            command.args([option, value]);
        }
    }
    command.args(["--url", &url]).args(arguments.split(' ')).args(more).output().unwrap()
}

/// The JSON of a run, which must have gone well. Arguments that hold spaces come in `more`.
fn measure_with(address: SocketAddr, arguments: &str, more: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let output = loadgen(address, &format!("{arguments} --json {}", file.display()), more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_adds_up(&report);
    report
}

fn measure(address: SocketAddr, arguments: &str) -> Value {
    measure_with(address, arguments, &[])
}

fn count(report: &Value, what: &str) -> u64 {
    report["total"]["counts"][what].as_u64().unwrap()
}

/// Answers 200 to all but the `nth` request; while that one is held up for `pause`, so are all that follow.
fn stalling(nth: u64, pause: Duration) -> SocketAddr {
    let (seen, gate) = (AtomicU64::new(0), Mutex::new(()));
    serve(move |_| {
        let _held = gate.lock().unwrap();
        if seen.fetch_add(1, Ordering::Relaxed) == nth {
            std::thread::sleep(pause);
        }
        Act::Answer(200, "{}")
    })
}

#[test]
fn a_stall_is_met_by_all_who_were_due_in_it() {
    let report = measure(stalling(400, Duration::from_millis(200)), "--rate 1000 --duration 1s --connections 4");
    assert_eq!((count(&report, "planned"), count(&report, "full")), (1000, 1000));
    let at = |times: &str, percentile: &str| report["total"][times][percentile].as_f64().unwrap();
    // A request of every millisecond waits for the rest of 200 ms: a fifth of all, and a tenth at least half of it.
    assert!(at("response_time_us", "p90") >= 95_000.0, "{}", report["total"]);
    assert!(at("response_time_us", "p99") >= 180_000.0, "{}", report["total"]);
    // The four that were under way are all that a clock started at sending sees.
    assert!(at("service_time_us", "p90") < at("response_time_us", "p90"), "{}", report["total"]);
    assert!(at("service_time_us", "max") >= 180_000.0, "{}", report["total"]);
}

#[test]
fn callers_without_patience_are_dropped_and_counted() {
    let arguments = "--rate 1000 --duration 500ms --connections 1 --shed-after 20";
    let report = measure(stalling(100, Duration::from_millis(200)), arguments);
    // Within a stall of 200 ms at least those of its first 150 ms lose patience.
    assert!(count(&report, "shed") >= 150, "{}", report["total"]);
    assert_eq!(count(&report, "planned"), 500);
}

#[test]
fn what_the_queue_cannot_hold_is_not_forgotten() {
    let arguments = "--rate 1000 --duration 500ms --connections 1 --backlog-max 10";
    let report = measure(stalling(100, Duration::from_millis(200)), arguments);
    assert!(count(&report, "unsent") >= 150, "{}", report["total"]);
    assert_eq!(count(&report, "planned"), 500);
}

#[test]
fn each_class_of_answer_is_counted_apart() {
    let seen = AtomicU64::new(0);
    let address = serve(move |_| match seen.fetch_add(1, Ordering::Relaxed) % 10 {
        0..3 => Act::Answer(429, r#"{"error":"later"}"#),
        3 => Act::Answer(503, ""),
        4 => Act::Answer(200, r#"{"status":"TIME_OUT"}"#),
        _ => Act::Answer(200, r#"{"status":"PRESENT"}"#),
    });
    let report = measure(address, "--rate 1000 --duration 500ms --connections 4 --pipeline 3 --expect-timeouts");
    let counts = ["refused", "other", "partial", "full", "errors"].map(|what| count(&report, what));
    assert_eq!(counts, [150, 50, 50, 250, 0]);
    assert_eq!(report["total"]["other_statuses"], serde_json::json!({"503": 50}));
    assert_eq!(report["total"]["refusal_time_us"]["count"], 150);
    // Refusals are quick, so they must not pass for quick answers.
    assert_eq!(report["total"]["response_time_us"]["count"], 300);
}

#[test]
fn a_closed_connection_is_opened_again() {
    let seen = AtomicU64::new(0);
    let address = serve(move |_| match seen.fetch_add(1, Ordering::Relaxed) % 50 {
        20 => Act::Close,
        40 => Act::AnswerAndClose,
        _ => Act::Answer(200, ""),
    });
    let report = measure(address, "--rate 1000 --duration 500ms --connections 3");
    let counts = ["sent", "full", "errors"].map(|what| count(&report, what));
    assert_eq!(counts, [500, 490, 10]);
    assert_eq!(report["client"]["first_error"], "the server closed the connection");
    assert!(report["client"]["reconnects"].as_u64().unwrap() >= 18, "{}", report["client"]);
}

#[test]
fn messages_larger_than_a_socket_takes_arrive_whole() {
    const BYTES: usize = 8 << 20;
    let answer: &'static str = Box::leak("y".repeat(BYTES).into_boxed_str());
    let address = serve(move |request| {
        assert_eq!(request.body.len(), BYTES + "C0000000007".len());
        Act::Answer(200, answer)
    });
    let body = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(body.path(), "x".repeat(BYTES) + "{key}").unwrap();
    let arguments = "--rate 100 --duration 80ms --connections 2 --pipeline 4 --keys one:7";
    let report = measure(address, &format!("{arguments} --body @{}", body.path().display()));
    assert_eq!((count(&report, "planned"), count(&report, "full")), (8, 8));
}

#[test]
fn what_is_never_answered_is_counted_at_the_end() {
    let seen = AtomicU64::new(0);
    let address = serve(move |_| match seen.fetch_add(1, Ordering::Relaxed) {
        0..100 => Act::Answer(200, ""),
        _ => Act::FallSilent,
    });
    let report = measure(address, "--rate 1000 --duration 300ms --connections 2 --drain 50ms");
    let counts = ["full", "unanswered", "unsent"].map(|what| count(&report, what));
    assert_eq!(counts, [100, 2, 198]);
}

#[test]
fn what_the_end_overtakes_is_counted() {
    // Ten are due in every microsecond up to the very end, and nobody looks at the clock as often.
    let address = serve(|_| Act::FallSilent);
    let report = measure(address, "--rate 10000000 --duration 1ms --connections 2 --drain 0s");
    assert_eq!(count(&report, "planned"), 10_000);
    assert_eq!(count(&report, "unanswered") + count(&report, "unsent"), 10_000);
}

#[test]
fn streams_are_sent_by_weight_and_recorded_apart() {
    let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
    let log = Arc::clone(&seen);
    let address = serve(move |request| {
        log.lock().unwrap().push(request.clone());
        if request.head.contains("x-class: hot\r\n") { Act::Answer(429, "") } else { Act::Answer(200, "") }
    });
    let arguments = "--rate 2000 --duration 500ms --body <{key}> --key-format u{:03} --keys uniform:9 --key secret";
    let hot = ["--stream", "name=hot,weight=1,header=X-Class: hot,keys=one:7"];
    let report = measure_with(address, arguments, &[&hot[..], &["--stream", "name=cold,weight=3,absent=1"]].concat());
    let [hot, cold] = [0, 1].map(|nth| report["streams"][nth]["counts"]["sent"].as_u64().unwrap());
    assert_eq!((hot + cold, report["streams"][0]["counts"]["refused"].as_u64()), (1000, Some(hot)));
    // A quarter of a thousand, give or take four standard deviations.
    assert!((195..=305).contains(&hot), "{hot}");
    let seen = seen.lock().unwrap();
    let (to_hot, to_cold): (Vec<_>, Vec<_>) = seen.iter().partition(|r| r.head.contains("x-class: hot"));
    assert_eq!((to_hot.len() as u64, to_cold.len() as u64), (hot, cold));
    assert!(to_hot.iter().all(|r| r.body == "<u007>"));
    // Nine keys exist, and all of these lie behind them.
    assert!(to_cold.iter().all(|r| ("<u009>".."<u018>").contains(&r.body.as_str())), "{:?}", to_cold[0]);
    assert!(seen.iter().all(|r| r.head.starts_with("post /x http/1.1\r\n") && r.head.contains("tecton-key secret")));
}

#[test]
fn a_stream_with_connections_of_its_own_waits_for_no_other() {
    let address =
        serve(|request| if request.head.contains("x-class: stuck") { Act::FallSilent } else { Act::Answer(200, "") });
    let streams = ["--stream", "name=stuck,header=X-Class: stuck", "--stream", "name=free,connections=2"];
    let report = measure_with(address, "--rate 1000 --duration 300ms --connections 3 --drain 50ms", &streams);
    let [stuck, free] = [0, 1].map(|nth| &report["streams"][nth]["counts"]);
    assert_eq!(stuck["unanswered"], 3, "{stuck}");
    assert!(free["planned"].as_u64().unwrap() > 50, "{free}");
    assert_eq!(free["full"], free["planned"]);
    assert_eq!(report["settings"]["connections"], 5);
}

#[test]
fn a_closed_loop_says_so_and_has_no_plan() {
    let address = serve(|_| Act::Answer(200, ""));
    let report = measure(address, "--closed --duration 200ms --connections 2");
    assert_eq!((&report["settings"]["mode"], &report["settings"]["schedule"]), (&"closed".into(), &Value::Null));
    assert_eq!(count(&report, "planned"), count(&report, "full"));
    assert!(count(&report, "full") > 2);
    let output = loadgen(address, "--closed --duration 50ms", &[]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("closed loop"));
}

#[test]
fn steps_and_warm_up_follow_each_other() {
    let address = serve(|_| Act::Answer(200, ""));
    let report = measure(address, "--steps 500:200ms,0:100ms,1000:200ms --warmup 100ms --schedule constant");
    assert_eq!((count(&report, "planned"), &report["client"]["warmup_requests"]), (300, &50.into()));
    let rows = report["series"]["streams"][0]["per_100ms"].as_array().unwrap();
    let planned: Vec<u64> = rows.iter().map(|row| row["planned"].as_u64().unwrap()).collect();
    assert_eq!(planned, [50, 50, 0, 100, 100]);
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let code = |output: Output| output.status.code().unwrap();
    let address = serve(|_| Act::Answer(200, ""));
    // Nothing is sent in no time at all.
    let strict = "--rate 500 --duration 100ms --strict --lateness-max-us 0";
    let output = loadgen(address, strict, &[]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("THIS CLIENT WAS THE LIMIT"));
    assert_eq!(code(output), 3);
    assert_eq!(code(loadgen(address, strict.replace("--strict ", "").as_str(), &[])), 0);
    for wrong in ["--duration 1s", "--rate 0", "--rate 10 --closed", "--rate 1 --header x", "--rate 1 --cpu 9999"] {
        let output = loadgen(address, wrong, &[]);
        assert!(String::from_utf8_lossy(&output.stderr).contains("error:"), "{wrong}");
        assert_eq!(code(output), 2, "{wrong}");
    }
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = loadgen(gone, "--rate 10", &[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot connect to 127.0.0.1"));
    assert_eq!(code(output), 1);
}
