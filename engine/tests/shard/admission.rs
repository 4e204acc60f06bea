//! Admission over real sockets: who is refused is told so and lives on, who is held is answered in the end, and nobody is answered
//! twice. What the gate decides when is tested in virtual time; here its thresholds are set so that it must refuse, or must hold.

use std::{io::Write as _, time::Duration};

use gannet_engine::{
    admission::{AdmissionConfig, Mark},
    limits::{Limits, RECEIVE_BUFFER_BYTES, RECEIVE_BUFFERS},
};

use crate::client::{Client, Started, get, post};

const NEVER: Mark = Mark { enter_percent: 1_000_000, leave_percent: 1_000_000, limit_percent: 100 };
const ALWAYS: Mark = Mark { enter_percent: 0, leave_percent: 0, limit_percent: 0 };

/// Everything that is not critical is shed at once.
fn refusing() -> AdmissionConfig {
    AdmissionConfig {
        critical: NEVER,
        default: ALWAYS,
        sheddable: ALWAYS,
        queue_time_min: Duration::ZERO,
        refusal_percent: 100,
        refusal_percent_held: 100,
        window: Duration::from_micros(10), // so that every turn measures
        ..AdmissionConfig::default()
    }
}

/// Nothing is shed, but a turn takes on one request only: all others of a burst are held, for as long as it takes. With a window
/// and a patience of hours a slow machine does not make the gate turn away who is left.
fn holding() -> AdmissionConfig {
    AdmissionConfig {
        critical: NEVER,
        default: NEVER,
        sheddable: NEVER,
        turn_answers: 1,
        turn_time_max: Duration::ZERO,
        window: Duration::from_secs(36_000),
        held_time_max: Duration::from_secs(36_000),
        ..AdmissionConfig::default()
    }
}

/// Nobody but the critical is answered, and nobody is told so: who is held stays held.
fn keeping() -> AdmissionConfig {
    AdmissionConfig { refusal_percent: 0, refusal_percent_held: 0, ..refusing() }
}

fn critical(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST /echo HTTP/1.1\r\nHost: h\r\nCriticality: critical\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// The gate judges when a turn begins and something was measured, so the first turn is a calm one.
fn warm(server: &Started) {
    let mut client = server.connect();
    for _ in 0..10 {
        client.send(&critical("warm"));
        assert_eq!(client.response().body, "warm");
    }
}

#[test]
fn who_is_refused_is_told_when_to_come_again_and_the_connection_lives() {
    let server = Started::guarded(refusing());
    warm(&server);
    let mut client = server.connect();
    for _ in 0..100 {
        client.send(&post("x"));
        let response = client.response();
        assert_eq!((response.status, response.body.as_str()), (429, "overloaded"));
        let seconds: u32 = response.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=3).contains(&seconds), "{seconds}");
        assert_eq!(response.header("connection"), None);
    }
    client.send(&critical("still here"));
    assert_eq!(client.response().body, "still here");
}

#[test]
fn what_is_critical_and_what_operators_ask_is_answered_while_the_rest_is_refused() {
    let server = Started::guarded(refusing());
    warm(&server);
    let mut client = server.connect();
    let bytes = [
        post("a"),
        critical("b"),
        b"GET /operation HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(),
        post("c"),
        critical("d"),
        b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\ne\r\n0\r\n\r\n".to_vec(),
        critical("f"),
    ];
    client.send(&bytes.concat());
    let statuses: Vec<u16> = (0..bytes.len()).map(|_| client.response().status).collect();
    assert_eq!(statuses, [429, 200, 404, 429, 200, 429, 200]);
}

#[test]
fn who_is_held_is_answered_in_the_end_and_in_order() {
    let server = Started::guarded(holding());
    let mut clients: Vec<Client> = (0..64).map(|_| server.connect()).collect();
    for round in 0..20 {
        for (n, client) in clients.iter_mut().enumerate() {
            let chunk = format!("{round}-{n}");
            let length = chunk.len();
            let mut bytes = [post(&format!("{round}/{n}/0")), post(&format!("{round}/{n}/1"))].concat();
            bytes.extend_from_slice(
                format!("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{chunk}\r\n0\r\n\r\n")
                    .as_bytes(),
            );
            client.send(&bytes);
        }
        for (n, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.response().body, format!("{round}/{n}/0"));
            assert_eq!(client.response().body, format!("{round}/{n}/1"));
            assert_eq!(client.response().body, format!("{round}-{n}"));
        }
    }
    server.wait_until("gannet_admission_held_total", |held| held > 0.0);
    server.wait_for("gannet_admission_held", 0.0);
}

/// Whoever is held is not read from, so that its writes block; its first request is answered in the end.
#[test]
fn who_is_held_cannot_send_without_end() {
    let mut server = Started::guarded(keeping());
    warm(&server);
    let mut client = server.connect();
    client.send(&post("first"));
    server.wait_for("gannet_admission_held", 1.0);
    let received = server.metric("gannet_received_bytes_total");
    let mut stream = client.stream().try_clone().unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let more = post(&"y".repeat(3000));
    let mut sent = 0usize;
    let failure = loop {
        match stream.write(&more) {
            Ok(n) => sent += n,
            Err(e) => break e,
        }
        assert!(sent < 256 << 20, "it reads without end");
    };
    assert_eq!(failure.kind(), std::io::ErrorKind::WouldBlock, "{failure}");
    server.wait_until("gannet_receives_rearmed_total", |paused| paused > 0.0);
    // What was on its way when the receive was cancelled, and no more: the rest is in the kernel's buffers.
    let taken = server.metric("gannet_received_bytes_total") - received;
    assert!(
        taken <= f64::from(RECEIVE_BUFFERS) * RECEIVE_BUFFER_BYTES as f64 && taken < sent as f64,
        "{taken} of {sent}"
    );
    let mut other = server.connect();
    other.send(&critical("alive"));
    assert_eq!(other.response().body, "alive");
    server.drain(Duration::from_secs(10));
    assert_eq!(client.response().body, "first");
    drop((client, stream, other));
    server.join();
}

/// A chunked body is held as any other, in whatever pieces it came: a turn of the core tells nobody 429 for how its sender frames.
#[test]
fn a_chunked_request_is_held_like_any_other() {
    let mut server = Started::guarded(keeping());
    warm(&server);
    let head = "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let large = "z".repeat(3000);
    let bodies = ["abcdefg".to_owned(), String::new(), large.repeat(3)];
    let chunked = [
        format!("{head}3;x=y\r\nabc\r\n4\r\ndefg\r\n0\r\nNote: t\r\n\r\n"),
        format!("{head}0\r\n\r\n"),
        format!("{head}{}0\r\n\r\n", format!("bb8\r\n{large}\r\n").repeat(3)),
    ];
    let mut clients: Vec<Client> = chunked.iter().map(|_| server.connect()).collect();
    for (client, request) in clients.iter_mut().zip(&chunked) {
        let request = [request.as_bytes(), &post("behind")].concat();
        let (first, rest) = request.split_at(request.len() / 2);
        client.send(first);
        client.pause();
        client.send(rest);
    }
    server.wait_for("gannet_admission_held", 3.0);
    server.drain(Duration::from_secs(10));
    for (client, body) in clients.iter_mut().zip(&bodies) {
        assert_eq!(&client.response().body, body);
        assert_eq!(client.response().body, "behind");
    }
    drop(clients);
    server.join();
}

/// Every place is taken by somebody who is held: who asks for health all the same gets in.
#[test]
fn operators_get_in_although_every_connection_is_held() {
    let server = Started::guarded_with_connections(keeping(), 17);
    warm(&server);
    let mut clients: Vec<Client> = (0..17).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(&post("held"));
        client.pause();
    }
    server.wait_for("gannet_admission_held", 17.0);
    let before = server.metric("gannet_connections_pushed_out_total");
    let mut probes: Vec<Client> = Vec::new();
    for _ in 0..3 {
        probes.push(server.connect());
        let probe = probes.last_mut().unwrap();
        probe.send(b"GET /operation HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(probe.response().status, 404);
    }
    assert!(clients.remove(0).is_closed(), "the first has been held longest");
    // The first probe was idle when the second came, and made room for it.
    assert!(probes[0].is_closed());
    server.wait_for("gannet_admission_held", 16.0);
    server.wait_for("gannet_connections_pushed_out_total", before + 3.0);
}

/// A request split over many packets, larger ones than a buffer, and connections that go away while they are held.
#[test]
fn a_held_request_is_the_one_that_was_sent() {
    let server = Started::guarded(holding());
    let mut clients: Vec<Client> = (0..32).map(|_| server.connect()).collect();
    for round in 0..5 {
        let body = |n: usize| format!("{n:08}").repeat(1 + n * 700 + round);
        for (n, client) in clients.iter_mut().enumerate() {
            client.send(&post(&body(n)));
            client.send(&post("behind"));
        }
        for _ in 0..8 {
            server.connect().send_and_reset(&post("gone"));
        }
        for (n, client) in clients.iter_mut().enumerate() {
            assert!(client.response().body == body(n), "of request {n} in round {round}");
            assert_eq!(client.response().body, "behind");
        }
    }
    drop(clients);
    server.wait_until("gannet_admission_held_total", |held| held > 0.0);
    server.wait_for("gannet_admission_held", 0.0);
    server.wait_for("gannet_connections_open", 0.0);
}

#[test]
fn a_drain_answers_those_who_are_held() {
    let mut server = Started::guarded(holding());
    let mut clients: Vec<Client> = (0..64).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(&[post("one"), post("two")].concat());
    }
    server.drain(Duration::from_secs(10));
    for client in &mut clients {
        assert_eq!(client.response().body, "one");
        assert_eq!(client.response().body, "two");
    }
    drop(clients);
    server.join();
}

/// A core that spins looks after those it holds, and after the clock, although nothing comes from outside: credit to refuse, and a head that
/// is slow, are a matter of time alone.
#[test]
fn a_core_that_spins_for_ever_comes_back_to_who_is_held_and_to_the_clock() {
    let admission = AdmissionConfig { refusal_percent: 1, refusal_percent_held: 1, ..refusing() };
    let limits = Limits { head_time_max: Duration::from_millis(300), ..Limits::default() };
    let server = Started::guarded_spinning(limits, admission);
    warm(&server);
    let mut clients: Vec<Client> = (0..64).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(&post("x"));
    }
    for client in &mut clients {
        assert_eq!(client.response().status, 429);
    }
    server.wait_until("gannet_admission_held_total", |held| held > 0.0);
    let mut slow = server.connect();
    slow.send(b"POST /echo HTTP/1.1\r\nHo");
    assert_eq!(slow.response().status, 408);
}

/// Fifteen requests before it take longer than it may wait, at what a request is taken for at first. However idle the core is.
#[test]
fn a_budget_in_the_head_counts_on_an_idle_core() {
    let server =
        Started::guarded(AdmissionConfig { window: Duration::from_secs(36_000), ..AdmissionConfig::default() });
    let mut client = server.connect();
    let hurried =
        b"POST /echo HTTP/1.1\r\nHost: h\r\nGannet-Latency-Budget-Ms: 0.1\r\nContent-Length: 1\r\n\r\nx".to_vec();
    let before = vec![post("before"); 15].concat();
    client.send(&[before, hurried].concat());
    for _ in 0..15 {
        assert_eq!(client.response().body, "before");
    }
    assert_eq!(client.response().status, 429);
}

/// A service may refuse for a limit of its own what admission let in: it is counted like every other refusal.
#[test]
fn what_a_limit_of_its_own_refuses_is_counted_and_told_when_to_come_again() {
    let server = Started::new();
    let mut client = server.connect();
    for _ in 0..50 {
        client.send(&get("/limited"));
        let response = client.response();
        assert_eq!((response.status, response.body.as_str()), (429, "limited"));
        let seconds: u32 = response.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=3).contains(&seconds), "{seconds}");
    }
    server.wait_for("gannet_shed_default_total", 50.0);
}
