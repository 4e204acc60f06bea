//! Requests that another thread makes ready: the shard is woken for them, whether it sleeps, spins or is at work.

use std::{sync::atomic::Ordering, time::Duration};

use crate::client::{Started, get, post};

/// Longer than any test runs: whoever is answered was woken for it.
const NEVER_US: u64 = 600_000_000;

const SPINS: [Duration; 2] = [Duration::ZERO, Duration::from_millis(1)];

#[test]
fn a_request_is_answered_when_another_thread_has_made_it_ready() {
    for spin in SPINS {
        let (server, late) = Started::handing(spin);
        let mut client = server.connect();
        for _ in 0..500 {
            client.send(&get(&format!("/hand/{NEVER_US}/back")));
            assert_eq!(client.response().body, "back");
        }
        assert_eq!(late.load(Ordering::Relaxed), 0);
        server.wait_for("gannet_requests_waiting", 0.0);
    }
}

/// One wake for many, which come back in the reverse order; each connection gets its answers in its own.
#[test]
fn one_wake_answers_all_that_are_ready() {
    for spin in SPINS {
        let (server, _) = Started::handing(spin);
        let mut clients: Vec<_> = (0..8).map(|_| server.connect()).collect();
        for _ in 0..20 {
            for client in &mut clients {
                let mut bytes = get(&format!("/hand/{NEVER_US}/together")).repeat(7);
                bytes.extend_from_slice(&post("behind"));
                client.send(&bytes);
            }
            server.wait_for("gannet_requests_waiting", 56.0);
            let mut last = server.connect();
            last.send(&get(&format!("/hand/{NEVER_US}/release")));
            assert_eq!(last.response().body, "back");
            for client in &mut clients {
                for _ in 0..7 {
                    assert_eq!(client.response().body, "back");
                }
                assert_eq!(client.response().body, "behind");
            }
        }
    }
}

#[test]
fn what_never_comes_is_answered_at_its_deadline_and_what_comes_late_is_nobodys() {
    for spin in SPINS {
        let (server, late) = Started::handing(spin);
        let mut client = server.connect();
        client.send(&get("/hand/1000/never"));
        assert_eq!(client.response().body, "late");
        client.send(&get("/hand/1000/together"));
        assert_eq!(client.response().body, "late");
        client.send(&get(&format!("/hand/{NEVER_US}/release")));
        assert_eq!(client.response().body, "back");
        assert_eq!(late.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn who_hangs_up_is_forgotten_before_it_comes_back() {
    let (server, late) = Started::handing(Duration::ZERO);
    let mut gone = server.connect();
    gone.send(&get(&format!("/hand/{NEVER_US}/together")));
    server.wait_for("gannet_requests_waiting", 1.0);
    gone.send_and_reset(b"");
    server.wait_for("gannet_requests_waiting", 0.0);
    let mut client = server.connect();
    client.send(&get(&format!("/hand/{NEVER_US}/release")));
    assert_eq!(client.response().body, "back");
    assert_eq!(late.load(Ordering::Relaxed), 1);
}
