//! A shard over real sockets, with a service that echoes. The framing itself is tested without I/O; this is about what a
//! connection lives through.
#![expect(clippy::tests_outside_test_module, clippy::unwrap_used, reason = "an integration test is all test")]

mod admission;
mod client;
mod draining;
mod echo;
mod handing;
mod waiting;
mod waits;
mod woken;

use std::{io::Write, net::Shutdown, time::Duration};

use client::{Client, Started};
use gannet_engine::http::Fault;

#[test]
fn answers_leave_in_the_order_of_requests() {
    let server = Started::new();
    let mut client = server.connect();
    let mut bytes = Vec::new();
    for i in 0..64 {
        bytes.extend_from_slice(&client::post(&format!("nonce-{i}")));
    }
    client.send(&bytes);
    for i in 0..64 {
        let response = client.response();
        assert_eq!(response.status, 200);
        assert_eq!(response.body, format!("nonce-{i}"));
    }
}

#[test]
fn a_request_split_anywhere_is_the_same_request() {
    let server = Started::new();
    let request = client::post("split me");
    for at in 1..request.len() {
        let mut client = server.connect();
        client.send(&request[..at]);
        client.pause();
        client.send(&request[at..]);
        assert_eq!(client.response().body, "split me", "split at {at}");
    }
    let mut client = server.connect();
    for byte in &request {
        client.send(&[*byte]);
    }
    assert_eq!(client.response().body, "split me", "byte by byte");
}

#[test]
fn a_body_larger_than_a_receive_buffer_arrives_whole() {
    let server = Started::new();
    let mut client = server.connect();
    for bytes in [4095, 4096, 4097, 70_000, 1 << 20] {
        let body = "x".repeat(bytes);
        client.send(&client::post(&body));
        assert_eq!(client.response().body.len(), bytes);
    }
}

#[test]
fn a_chunked_body_is_decoded() {
    let server = Started::new();
    let mut client = server.connect();
    client.send(b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    client.pause();
    client.send(b"4;x=y\r\ndefg\r\n0\r\n\r\n");
    assert_eq!(client.response().body, "abcdefg");
    client.send(&client::post("next"));
    assert_eq!(client.response().body, "next");
}

#[test]
fn a_fault_after_good_requests_is_answered_after_them_and_closes() {
    let server = Started::new();
    let mut client = server.connect();
    let mut bytes = client::post("one");
    bytes.extend_from_slice(b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\nabcde");
    bytes.extend_from_slice(&client::post("never"));
    client.send(&bytes);
    assert_eq!(client.response().body, "one");
    let response = client.response();
    assert_eq!(response.status, 400);
    assert_eq!(response.header("connection"), Some("close"));
    assert!(response.body.contains("\"code\":3"), "{}", response.body);
    assert!(client.is_closed(), "what follows a framing fault is never parsed");
}

#[test]
fn a_head_request_gets_the_length_and_no_body() {
    let server = Started::new();
    let mut client = server.connect();
    client.send(b"HEAD /fixed HTTP/1.1\r\nHost: h\r\n\r\n");
    let head = client.head();
    assert_eq!(head.header("content-length"), Some("5"));
    client.send(&client::post("after"));
    assert_eq!(client.response().body, "after");
}

#[test]
fn a_client_that_waits_for_continue_is_told_to_go_on() {
    let server = Started::new();
    let mut client = server.connect();
    client.send(b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.head().status, 100);
    client.send(b"ok");
    assert_eq!(client.response().body, "ok");
}

#[test]
fn a_refusal_known_from_the_head_comes_before_the_body_and_closes() {
    let server = Started::new();
    let mut client = server.connect();
    client.send(b"POST /refused HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    let response = client.response();
    assert_eq!(response.status, 404);
    assert_eq!(response.header("connection"), Some("close"));
    assert!(client.is_closed());
}

#[test]
fn what_http_refuses_is_told_in_the_services_form_where_the_head_could_be_read() {
    let server = Started::new();
    for (head, body) in [
        ("POST /formed HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n\r\n", "B7 in form 1"),
        ("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n\r\n", Fault::BodyTooLarge.body()),
        ("POST /formed HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4c4b40\r\n", "C3 in form 1"),
        ("BREW /formed HTTP/1.1\r\nHost: h\r\n\r\n", "M1 in form 1"),
    ] {
        let mut client = server.connect();
        client.send(head.as_bytes());
        assert_eq!(client.response().body, body, "{head}");
    }
    // The head came whole, and the body never does.
    let mut client = server.connect();
    client.send(b"POST /formed HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabc");
    client.stream().shutdown(Shutdown::Write).unwrap();
    assert!(client.response().body.ends_with(" in form 1"));
    // Without a head nobody knows what was asked for.
    let mut client = server.connect();
    client.send(b"POST /formed HTTP/1.1\r\nHost: h\r\nbad field\r\n\r\n");
    assert!(client.response().body.starts_with("{\"error\":"));
}

/// Whether it may ask comes before whether it asked well.
#[test]
fn a_refusal_known_from_the_head_is_told_to_whoever_never_sends_the_body() {
    let server = Started::new();
    for (path, status) in [("/refused", 404), ("/echo", 400)] {
        for framing in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
            let mut client = server.connect();
            client.send(format!("POST {path} HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n1").as_bytes());
            client.stream().shutdown(Shutdown::Write).unwrap();
            let response = client.response();
            assert_eq!(response.status, status, "{path}, {framing}");
            assert_eq!(response.header("connection"), Some("close"));
            assert!(client.is_closed());
        }
    }
    let server = Started::with(|limits| limits.request_time_max = Duration::from_millis(300));
    for (path, status) in [("/refused", 404), ("/echo", 408)] {
        let mut client = server.connect();
        client.send(format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n1").as_bytes());
        assert_eq!(client.response().status, status, "{path}");
    }
}

#[test]
fn http_1_0_closes_unless_asked_to_keep() {
    let server = Started::new();
    let mut client = server.connect();
    client.send(b"GET /fixed HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(client.response().header("connection"), Some("keep-alive"));
    client.send(b"GET /fixed HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().header("connection"), Some("close"));
    assert!(client.is_closed());
}

#[test]
fn a_half_closed_connection_gets_all_its_answers() {
    let server = Started::new();
    let mut client = server.connect();
    let mut bytes = client::post("one");
    bytes.extend_from_slice(&client::post("two"));
    bytes.extend_from_slice(&client::post("three"));
    client.send(&bytes);
    client.stream().shutdown(Shutdown::Write).unwrap();
    for expected in ["one", "two", "three"] {
        assert_eq!(client.response().body, expected);
    }
    assert!(client.is_closed());
}

#[test]
fn a_stream_that_ends_inside_a_request_is_told_so() {
    let server = Started::new();
    for part in [&b"POST /echo HT"[..], b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab"] {
        let mut client = server.connect();
        client.send(part);
        client.stream().shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.response().status, 400);
        assert!(client.is_closed());
    }
}

#[test]
fn a_slow_head_and_a_slow_body_are_timed_out_but_an_idle_connection_is_just_closed() {
    let server = Started::with(|limits| {
        limits.head_time_max = Duration::from_millis(300);
        limits.body_grace = Duration::from_millis(300);
        limits.idle_time_max = Duration::from_millis(600);
    });
    let mut slow_head = server.connect();
    slow_head.send(b"POST /echo HTTP/1.1\r\nHo");
    let mut slow_body = server.connect();
    slow_body.send(b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
    let mut idle = server.connect();
    idle.send(&client::post("hello"));
    assert_eq!(idle.response().status, 200);
    for slow in [&mut slow_head, &mut slow_body] {
        let response = slow.response();
        assert_eq!(response.status, 408);
        assert!(slow.is_closed());
    }
    assert_eq!(idle.rest(), b"", "an idle connection is closed without a word");
}

#[test]
fn a_client_that_never_reads_stops_being_read_and_is_dropped_in_the_end() {
    let server = Started::with(|limits| limits.write_stall_max = Duration::from_millis(500));
    let client = server.connect();
    let mut stream = client.stream().try_clone().unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
    let request = client::post(&"y".repeat(3000));
    let mut sent = 0usize;
    let failure = loop {
        match stream.write(&request) {
            Ok(n) => sent += n,
            Err(e) => break e,
        }
        assert!(sent < 256 << 20, "it reads without end");
    };
    let ended = [std::io::ErrorKind::ConnectionReset, std::io::ErrorKind::BrokenPipe];
    assert!(ended.contains(&failure.kind()), "{failure}");
    let mut other = server.connect();
    other.send(&client::post("alive"));
    assert_eq!(other.response().body, "alive");
}

#[test]
fn connections_beyond_the_limit_push_out_the_one_idle_longest() {
    let server = Started::with_connections(16);
    let mut clients: Vec<Client> = (0..16).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(&client::post("hi"));
        assert_eq!(client.response().status, 200);
    }
    let mut late = server.connect();
    late.send(&client::post("late"));
    assert_eq!(late.response().body, "late");
    assert!(clients[0].is_closed(), "the first has been idle longest");
    clients[15].send(&client::post("still"));
    assert_eq!(clients[15].response().body, "still");
}

/// Two upload more than there is room for together. The one that asks for more when there is none left is told 503 and closed, the other goes
/// on, and so does whoever sends little; when it is done there is room again, and nothing was lost count of.
#[test]
fn what_connections_send_is_bounded_all_together() {
    let server = Started::with(|limits| limits.input_bytes_max = 64 * 1024);
    let body = "x".repeat(40 * 1024);
    let request = client::post(&body);
    for round in 1..=3 {
        let mut first = server.connect();
        first.send(&request[..39 * 1024]);
        server.wait_until("gannet_input_bytes", |kept| kept > 32.0 * 1024.0);
        let mut second = server.connect();
        second.send(&request[..39 * 1024]);
        let refused = second.response();
        assert_eq!((refused.status, refused.header("connection")), (503, Some("close")));
        assert!(refused.body.contains("\"code\":14"), "{}", refused.body);
        assert!(second.is_closed());
        server.wait_for("gannet_input_refused_total", f64::from(round));
        let mut small = server.connect();
        for part in client::post(&"y".repeat(3000)).chunks(1000) {
            small.send(part);
            small.pause();
        }
        assert_eq!(small.response().body.len(), 3000);
        first.send(&request[39 * 1024..]);
        assert!(first.response().body == body);
        first.send(&request[..39 * 1024]);
        server.wait_until("gannet_input_bytes", |kept| kept > 32.0 * 1024.0);
        first.send_and_reset(b"");
        server.wait_for("gannet_input_bytes", 0.0);
    }
}

#[test]
fn resets_at_every_point_leak_nothing() {
    let server = Started::new();
    let request = client::post("abc");
    for at in 0..=request.len() {
        let client = server.connect();
        client.send_and_reset(&request[..at]);
    }
    let mut client = server.connect();
    for i in 0..100 {
        client.send(&client::post(&format!("{i}")));
        assert_eq!(client.response().body, format!("{i}"));
    }
    server.wait_for("gannet_connections_open", 1.0);
}

#[test]
fn a_drain_answers_what_came_and_closes() {
    let mut server = Started::new();
    let mut client = server.connect();
    client.send(&client::post("before"));
    assert_eq!(client.response().header("connection"), None);
    server.drain(Duration::from_secs(5));
    client.send(&client::post("during"));
    let response = client.response();
    assert_eq!(response.body, "during");
    assert_eq!(response.header("connection"), Some("close"));
    assert!(client.is_closed());
    server.join();
}

/// The drain's own end is so far away that the test would not see it.
#[test]
fn a_drain_ends_connections_that_ask_for_nothing() {
    let mut server = Started::new();
    let (mut asked_once, mut never_asked) = (server.connect(), server.connect());
    asked_once.send(&client::post("before"));
    assert_eq!(asked_once.response().header("connection"), None);
    server.wait_for("gannet_connections_open", 2.0);
    server.drain(Duration::from_secs(3600));
    assert!(asked_once.is_closed() && never_asked.is_closed());
    server.join();
}

#[test]
fn a_drain_says_close_once_and_answers_nothing_after_it() {
    let mut server = Started::new();
    let mut client = server.connect();
    client.send(&client::post("before"));
    assert_eq!(client.response().status, 200);
    server.drain(Duration::from_secs(5));
    client.send(&client::post("x").repeat(3));
    let mut closes = 0;
    while closes == 0 {
        closes += usize::from(client.response().header("connection") == Some("close"));
    }
    assert!(client.is_closed());
    server.join();
}

#[test]
fn a_half_closed_connection_ends_however_many_requests_it_sent() {
    let server = Started::new();
    for requests in [15, 16, 17, 32, 33, 48] {
        let mut client = server.connect();
        client.send(&client::post("one").repeat(requests));
        client.stream().shutdown(Shutdown::Write).unwrap();
        for _ in 0..requests {
            assert_eq!(client.response().body, "one");
        }
        assert!(client.is_closed(), "{requests} requests");
    }
}

#[test]
fn the_whole_request_has_an_end_whatever_its_rate() {
    let server = Started::with(|limits| {
        limits.body_grace = Duration::from_millis(200);
        limits.request_time_max = Duration::from_millis(600);
    });
    let mut client = server.connect();
    client.send(b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
    let mut stream = client.stream().try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        for _ in 0..300 {
            if stream.write_all(&[b'x'; 100]).is_err() {
                return; // the server has closed
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("3 s later it still reads");
    });
    assert_eq!(client.response().status, 408);
    drop(client);
    sender.join().unwrap();
}

#[test]
fn a_burst_of_connections_costs_only_as_many_idle_ones_as_it_gets_places() {
    let server = Started::with_connections(16);
    let mut old: Vec<Client> = (0..16).map(|_| server.connect()).collect();
    for client in &mut old {
        client.send(&client::post("hi"));
        assert_eq!(client.response().status, 200);
    }
    let mut burst: Vec<Client> = (0..200).map(|_| server.connect()).collect();
    server.wait_for("gannet_connections_open", 16.0);
    let mut alive = 0;
    for client in &mut burst {
        alive += usize::from(client.answers("still there"));
    }
    assert!(alive >= 8, "{alive} of 16 places are in use after the burst");
}

#[test]
fn a_line_end_behind_a_request_is_no_slow_head() {
    let server = Started::with(|limits| limits.head_time_max = Duration::from_millis(300));
    let mut client = server.connect();
    let mut bytes = client::post("x");
    bytes.extend_from_slice(b"\r\n");
    client.send(&bytes);
    assert_eq!(client.response().body, "x");
    std::thread::sleep(Duration::from_millis(900));
    client.send(&client::post("y"));
    assert_eq!(client.response().body, "y");
}

#[test]
fn a_port_in_use_is_reported_and_not_shared() {
    let server = Started::new();
    let error = Started::try_at(server.address()).unwrap_err().to_string();
    assert!(error.contains("is in use by another process"), "{error}");
}

#[test]
fn a_spinning_shard_serves_and_drains_too() {
    let mut server = Started::spinning(Duration::from_millis(2));
    let mut client = server.connect();
    for i in 0..50 {
        client.send(&client::post(&format!("{i}")));
        assert_eq!(client.response().body, format!("{i}"));
    }
    drop(client);
    server.drain(Duration::from_secs(5));
    server.join();
}

#[test]
fn a_thread_keeps_off_the_cores_that_serve() {
    let all = gannet_engine::server::allowed_cpus();
    std::thread::spawn(move || {
        assert!(!gannet_engine::server::keep_off(&all), "there is nowhere else to go");
        assert_eq!(gannet_engine::server::allowed_cpus(), all);
        if let [first, others @ ..] = &all[..]
            && !others.is_empty()
        {
            assert!(gannet_engine::server::keep_off(&[*first]));
            assert_eq!(gannet_engine::server::allowed_cpus(), others);
        }
    })
    .join()
    .unwrap();
}
