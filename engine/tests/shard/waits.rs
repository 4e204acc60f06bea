//! Requests that wait for reads, over real sockets and a real ring: nobody is held up but those behind them on their own
//! connection, and what comes late is dropped.

use std::{io::Write as _, net::Shutdown, sync::atomic::Ordering, time::Duration};

use gannet_engine::limits::{Limits, SINGLE_READS_MAX, SMALL_READS_MAX};

use crate::{
    client::{Started, get, post},
    waiting::Patient,
};

const NO_SPIN: Duration = Duration::ZERO;
/// Longer than any test runs.
const NEVER_US: u64 = 600_000_000;

#[test]
fn a_request_is_answered_with_what_was_read_for_it() {
    for spin in [NO_SPIN, Duration::from_millis(1)] {
        let (server, seen) = Started::patient(spin);
        let mut client = server.connect();
        client.send(&get(&format!("/wait/{NEVER_US}/0")));
        assert_eq!(client.response().body, "patience");
        client.send(&get(&format!("/wait/{NEVER_US}/2000"))); // held back, then read
        assert_eq!(client.response().body, "patience");
        assert_eq!(seen.waiting.load(Ordering::Relaxed), 0);
        server.wait_for("gannet_cold_reads_total", 2.0);
        server.wait_for("gannet_requests_waiting", 0.0);
    }
}

#[test]
fn at_its_deadline_a_request_is_answered_without() {
    for spin in [NO_SPIN, Duration::from_millis(1)] {
        let (server, seen) = Started::patient(spin);
        let mut client = server.connect();
        for until_us in [0, 100, 1000, 20_000] {
            client.send(&get(&format!("/wait/{until_us}/{NEVER_US}")));
            assert_eq!(client.response().body, "late");
        }
        assert_eq!(seen.concluded.load(Ordering::Relaxed), 4);
        assert_eq!(seen.waiting.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn answers_keep_their_order_whoever_waits() {
    let (server, _) = Started::patient(NO_SPIN);
    let mut client = server.connect();
    let mut bytes = post("a");
    bytes.extend_from_slice(&get(&format!("/wait/20000/{NEVER_US}")));
    bytes.extend_from_slice(&post("b"));
    bytes.extend_from_slice(&get(&format!("/wait/{NEVER_US}/5000")));
    bytes.extend_from_slice(&post("c"));
    bytes.extend_from_slice(&get(&format!("/wait/{NEVER_US}/0")));
    bytes.extend_from_slice(&get(&format!("/wait/1000/{NEVER_US}")));
    bytes.extend_from_slice(&post("d"));
    client.send(&bytes);
    let bodies: Vec<String> = (0..8).map(|_| client.response().body).collect();
    assert_eq!(bodies, ["a", "late", "b", "patience", "c", "patience", "late", "d"]);
    client.send(&post("e"));
    assert_eq!(client.response().body, "e");
}

/// More requests than may be under way, the first of which wait: the rest is begun as those are concluded.
#[test]
fn a_full_connection_goes_on_when_one_is_concluded() {
    let (server, _) = Started::patient(NO_SPIN);
    let mut client = server.connect();
    let mut bytes = Vec::new();
    for n in 0..100 {
        bytes.extend_from_slice(&get(&format!("/wait/{}/{NEVER_US}", 1000 + n)));
        bytes.extend_from_slice(&post(&n.to_string()));
    }
    client.send(&bytes);
    for n in 0..100 {
        assert_eq!(client.response().body, "late");
        assert_eq!(client.response().body, n.to_string());
    }
}

#[test]
fn a_request_that_waits_holds_up_no_other_connection() {
    let (server, seen) = Started::patient(NO_SPIN);
    let mut waits = server.connect();
    waits.send(&get(&format!("/wait/{NEVER_US}/{NEVER_US}")));
    server.wait_for("gannet_requests_waiting", 1.0);
    let mut client = server.connect();
    for n in 0..100 {
        client.send(&post(&n.to_string()));
        assert_eq!(client.response().body, n.to_string());
    }
    assert_eq!(seen.waiting.load(Ordering::Relaxed), 1, "it still waits");
}

/// The oldest request of a core may be one that no turn has been about for long.
#[test]
fn a_request_that_waits_is_in_progress_and_grows_old() {
    let (server, _) = Started::patient(NO_SPIN);
    let mut clients: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(&get(&format!("/wait/{NEVER_US}/{NEVER_US}")));
    }
    server.wait_for("gannet_admission_in_progress", 3.0);
    server.wait_until("gannet_admission_oldest_seconds", |age| age > 0.3);
    drop(clients.pop());
    for client in clients {
        client.send_and_reset(b"");
    }
    server.wait_for("gannet_admission_in_progress", 1.0);
}

#[test]
fn who_hangs_up_is_not_waited_for() {
    let (server, seen) = Started::patient(NO_SPIN);
    for round in 1..=20 {
        let mut client = server.connect();
        client.send(&[get(&format!("/wait/{NEVER_US}/{NEVER_US}")), post("behind")].concat());
        server.wait_for("gannet_requests_waiting", 1.0);
        client.send_and_reset(b"");
        server.wait_for("gannet_requests_waiting", 0.0);
        assert_eq!(seen.abandoned.load(Ordering::Relaxed), round);
    }
    assert_eq!(seen.waiting.load(Ordering::Relaxed), 0);
    server.wait_for("gannet_connections_open", 0.0);
}

/// It may have sent all it has to say, and still reads.
#[test]
fn who_only_stopped_sending_is_answered() {
    let (server, _) = Started::patient(NO_SPIN);
    let mut client = server.connect();
    client.send(&[get(&format!("/wait/{NEVER_US}/20000")), post("behind")].concat());
    client.stream().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.response().body, "patience");
    assert_eq!(client.response().body, "behind");
    assert!(client.is_closed());
    server.wait_for("gannet_connections_open", 0.0);
}

#[test]
fn a_drain_lets_requests_that_wait_finish() {
    let (mut server, _) = Started::patient(NO_SPIN);
    let mut client = server.connect();
    client.send(&get(&format!("/wait/{NEVER_US}/100000")));
    server.wait_for("gannet_requests_waiting", 1.0);
    server.drain(Duration::from_secs(10));
    let response = client.response();
    assert_eq!(response.body, "patience");
    assert_eq!(response.header("connection"), Some("close"));
    assert!(client.is_closed());
    server.join();
}

#[test]
fn requests_whose_time_ends_as_their_reads_do_are_answered_once() {
    let (server, seen) = Started::patient(NO_SPIN);
    let mut clients: Vec<_> = (0..16).map(|_| server.connect()).collect();
    let rounds = 40;
    for _ in 0..rounds {
        let burst = get("/wait/100/100").repeat(16);
        let more = get("/wait/1/0").repeat(16);
        for client in &mut clients {
            client.send(&burst);
            client.send(&more);
        }
        for client in &mut clients {
            for _ in 0..32 {
                let body = client.response().body;
                assert!(body == "late" || body == "patience", "{body}");
            }
        }
    }
    assert_eq!(seen.concluded.load(Ordering::Relaxed), 16 * 32 * rounds);
    server.wait_for("gannet_requests_waiting", 0.0);
    server.wait_for("gannet_cold_reads_in_flight", 0.0);
    server.wait_for("gannet_cold_reads_queued", 0.0);
}

/// A disk that stops answering, as a pipe that nobody writes to: every buffer that a file may have is taken, further reads queue, every request is
/// answered at its deadline all the same, and when the disk is back everything is as before.
#[test]
fn reads_that_come_late_are_dropped_and_their_buffers_come_back() {
    let buffers = u64::from(SMALL_READS_MAX / 2);
    let (from_disk, mut disk) = std::io::pipe().unwrap();
    let (server, seen) = Started::patient_with(from_disk.into(), NO_SPIN);
    let mut client = server.connect();
    let rounds = buffers / 16 + 10;
    for _ in 0..rounds {
        client.send(&get("/wait/1000/0").repeat(16));
        for _ in 0..16 {
            assert_eq!(client.response().body, "late");
        }
    }
    assert_eq!(seen.concluded.load(Ordering::Relaxed), 16 * rounds);
    server.wait_for("gannet_requests_waiting", 0.0);
    server.wait_for("gannet_cold_reads_in_flight", f64::from(SMALL_READS_MAX / 2));
    for _ in 0..buffers {
        disk.write_all(&[b'x'; 4096]).unwrap();
    }
    server.wait_for("gannet_cold_reads_in_flight", 0.0);
    server.wait_for("gannet_cold_reads_queued", 0.0);
    assert_eq!(seen.late_reads.load(Ordering::Relaxed), buffers, "they came, and nobody waited");
    client.send(&get(&format!("/wait/{NEVER_US}/0")));
    disk.write_all(b"patience").unwrap();
    assert_eq!(client.response().body, "patience", "and not what came for others");
}

/// A file that never answers, be it a pipe that nobody writes to or one whose reads are held back: it has all the buffers that it may
/// have and more reads that queue, and those of another file are made and answered all the same.
#[test]
fn a_file_that_never_answers_holds_up_no_other() {
    for (pipe, delay_us) in [(true, 0), (false, NEVER_US)] {
        let (from_disk, _disk) = std::io::pipe().unwrap();
        let file = if pipe { from_disk.into() } else { Patient::file() };
        let (server, seen) = Started::patient_with(file, NO_SPIN);
        let mut gave_up = server.connect();
        for _ in 0..SMALL_READS_MAX / 2 / 16 + 10 {
            gave_up.send(&get(&format!("/wait/1000/{delay_us}")).repeat(16));
            (0..16).for_each(|_| assert_eq!(gave_up.response().body, "late"));
        }
        let held = f64::from(SMALL_READS_MAX / 2);
        server.wait_for("gannet_cold_reads_in_flight", held);
        let mut waits = server.connect();
        waits.send(&get(&format!("/wait/{NEVER_US}/{delay_us}")).repeat(16));
        server.wait_for("gannet_cold_reads_queued", 16.0);
        let mut client = server.connect();
        for _ in 0..40 {
            client.send(&get(&format!("/other/{NEVER_US}/0")).repeat(16));
            (0..16).for_each(|_| assert_eq!(client.response().body, "patience"));
        }
        server.wait_for("gannet_cold_reads_in_flight", held);
        server.wait_for("gannet_cold_reads_queued", 16.0);
        assert_eq!((seen.waiting.load(Ordering::Relaxed), seen.late_reads.load(Ordering::Relaxed)), (16, 0));
    }
}

/// A second request comes byte by byte while the one before it waits, be it that it may begin meanwhile or not: its time counts from its
/// own first byte, not from when the first request came, and not from when it was whole or could begin.
#[test]
fn the_time_of_a_request_behind_one_that_waits_counts_from_its_own_first_byte() {
    for in_process_max in [16, 1] {
        let (from_disk, mut disk) = std::io::pipe().unwrap();
        let limits = Limits { requests_in_process_max: in_process_max, ..Limits::default() };
        let (server, _) = Started::patient_of(from_disk.into(), limits, NO_SPIN);
        let mut witness = server.connect();
        let mut now_ns = || {
            witness.send(&get("/seen"));
            witness.response().body.parse::<u64>().unwrap()
        };
        let mut client = server.connect();
        client.send(&get(&format!("/wait/{NEVER_US}/0")));
        server.wait_for("gannet_requests_waiting", 1.0);
        let (second, third) = (get("/seen"), get("/seen"));
        let before_ns = now_ns();
        client.send(&second[..1]);
        let first_byte_ns = now_ns();
        for byte in &second[1..] {
            client.send(&[*byte]);
            now_ns(); // it was seen by itself
        }
        let whole_ns = now_ns();
        client.send(&third);
        let third_ns = now_ns();
        disk.write_all(&[b'x'; 4096]).unwrap();
        assert_eq!(client.response().body, "xxxxxxxx");
        let seen: [u64; 2] = std::array::from_fn(|_| client.response().body.parse().unwrap());
        assert!((before_ns..=first_byte_ns).contains(&seen[0]), "{before_ns} {seen:?} {first_byte_ns}");
        assert!((whole_ns..=third_ns).contains(&seen[1]), "{whole_ns} {seen:?} {third_ns}");
        assert!(before_ns < first_byte_ns && first_byte_ns < whole_ns && whole_ns < third_ns, "each a turn of its own");
    }
}

/// However many pieces a body comes in, what is pipelined behind it was seen when it came.
#[test]
fn the_time_of_a_request_behind_a_large_body_counts_from_its_own_first_byte() {
    let (server, _) = Started::patient(NO_SPIN);
    let mut witness = server.connect();
    let mut now_ns = || {
        witness.send(&get("/seen"));
        witness.response().body.parse::<u64>().unwrap()
    };
    let mut client = server.connect();
    let body = vec![b'x'; 100];
    client.send(format!("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", 200 * body.len()).as_bytes());
    for _ in 0..199 {
        client.send(&body);
        now_ns(); // it was seen by itself
    }
    let before_ns = now_ns();
    client.send(&[body, get("/seen")].concat());
    assert_eq!(client.response().body.len(), 200 * 100);
    let seen_ns: u64 = client.response().body.parse().unwrap();
    assert!(before_ns < seen_ns, "{before_ns} {seen_ns}");
}

/// A connection that was quiet for nearly as long as it may be, and then asks for what takes a while, is not idle.
#[test]
fn a_request_that_waits_is_not_idle() {
    let idle = |limits: &mut Limits| limits.idle_time_max = Duration::from_millis(300);
    let (server, seen) = Started::patient_within(idle, NO_SPIN);
    let mut client = server.connect();
    client.send(&post("first"));
    assert_eq!(client.response().body, "first");
    client.send(&get(&format!("/wait/{NEVER_US}/1500000")));
    assert_eq!(client.response().body, "patience");
    assert_eq!(seen.abandoned.load(Ordering::Relaxed), 0);
    server.wait_for("gannet_connections_open", 0.0); // and now it is
}

/// One answer is sent, one waits, and a third request will never be whole: the one that waits is still owed.
#[test]
fn what_waits_is_answered_before_the_fault_behind_it() {
    for ends in [true, false] {
        let (server, seen) =
            Started::patient_within(|limits| limits.request_time_max = Duration::from_millis(300), NO_SPIN);
        let mut client = server.connect();
        let part = b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n1".to_vec();
        client.send(&[post("hot"), get(&format!("/wait/{NEVER_US}/1000000")), part].concat());
        if ends {
            client.stream().shutdown(Shutdown::Write).unwrap();
        }
        assert_eq!(client.response().body, "hot");
        assert_eq!(client.response().body, "patience");
        assert_eq!(client.response().status, if ends { 400 } else { 408 });
        assert_eq!(String::from_utf8(client.rest()).unwrap(), "", "half-closed: {ends}");
        assert_eq!(seen.abandoned.load(Ordering::Relaxed), 0);
    }
}

/// A drain ends a connection also when what was rendered behind one that waits could not say that it is the last.
#[test]
fn a_drain_ends_with_what_was_behind_a_request_that_waits() {
    let (mut server, _) = Started::patient(NO_SPIN);
    let mut client = server.connect();
    client.send(&[get(&format!("/wait/{NEVER_US}/300000")), post("behind")].concat());
    server.wait_for("gannet_requests_waiting", 1.0);
    server.drain(Duration::from_secs(600));
    assert_eq!(client.response().body, "patience");
    assert_eq!(client.response().body, "behind");
    assert!(client.is_closed());
    server.join();
}

/// A file has as many large reads under way as it may, and one more waits for its turn: those of one block go on past it.
#[test]
fn large_reads_hold_up_no_small_ones() {
    let (from_disk, _disk) = std::io::pipe().unwrap(); // which never answers
    let (server, _) = Started::patient_with(from_disk.into(), NO_SPIN);
    let mut client = server.connect();
    let share = SINGLE_READS_MAX / 2;
    for _ in 0..=share {
        client.send(&get(&format!("/wait/{NEVER_US}/0/131072")));
    }
    server.wait_for("gannet_cold_reads_in_flight", f64::from(share));
    server.wait_for("gannet_cold_reads_queued", 1.0);
    client.send(&get(&format!("/wait/{NEVER_US}/0")));
    server.wait_for("gannet_cold_reads_in_flight", f64::from(share + 1));
    server.wait_for("gannet_cold_reads_queued", 1.0);
}
