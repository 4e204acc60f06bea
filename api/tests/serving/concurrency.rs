//! Limits of what may be in progress, and what admission is told of a request before it is taken on.

use std::{num::NonZeroU32, time::Duration};

use gannet_api::{
    LatencyBudget,
    auth::{KeyRecord, KeyTable},
};
use gannet_engine::{
    Answer, Asked, Finished, Limited, Now, Service, Ticket, Waiting,
    admission::{Criticality, Reason},
    http::{Head, Method, Request, Unclear},
};
use gannet_store::Value::Int64;

use crate::{
    fixture::{GET_FEATURES, World, head},
    users::{definitions, row, turn},
};

const SERVICES: &str = r#"
[feature_services.free]
features = ["v"]
[feature_services.narrow]
features = ["v"]
concurrency_max = 3
"#;

/// Everything is in memory.
fn world() -> World {
    let world = World::new(&definitions(&[("v", "x = \"int64\"")], SERVICES), vec![("v", row(vec![Int64(1)]))]);
    world.bring_in();
    world
}

/// Every request waits for its row, which never comes.
fn slow_world() -> World {
    let world = world();
    world.slow_down(&[("v", Duration::from_secs(60))]);
    world
}

fn key(key: &str, concurrency_max: u32) -> KeyRecord {
    let mut record = KeyRecord::of(key, "", 0);
    record.concurrency_max = NonZeroU32::new(concurrency_max);
    record
}

fn keys(world: &World, records: Vec<KeyRecord>) {
    world.shared.set_keys(KeyTable::new(records).unwrap());
}

fn with_key(key: &'static str) -> Head<'static> {
    Head { authorization: Some(key.as_bytes()), ..head(Method::Post, GET_FEATURES) }
}

fn asking(service: &str) -> String {
    format!(
        r#"{{"params":{{"featureServiceName":"{service}","joinKeyMap":{{"user_id":"u"}},"requestOptions":{{"latencyBudgetMs":10}}}}}}"#
    )
}

fn begin(world: &mut World, head: Head<'_>, service: &str) -> Ticket {
    let mut body = asking(service).into_bytes();
    world.core.begin(world.now, Request { head, body: &mut body, seen_ns: world.now.monotonic_ns, asked: false })
}

/// One turn with one request.
fn one(world: &mut World, head: Head<'_>, service: &str) -> Finished {
    turn(world, head, &asking(service)).0
}

#[track_caller]
fn waits(finished: Finished) -> Waiting {
    let Finished::Waits { waiting, .. } = finished else { panic!("{finished:?}") };
    waiting
}

#[track_caller]
fn refused(finished: Finished, expected: Reason) {
    let Finished::Answer(Answer { status, limited: Some(Limited { reason, .. }), .. }) = finished else {
        panic!("{finished:?}")
    };
    assert_eq!((status.0, reason), (429, expected));
}

fn conclude(world: &mut World, waiting: Waiting) {
    let end = Now { monotonic_ns: world.now.monotonic_ns + 10_000_000, ..world.now };
    assert_eq!(world.core.conclude(end, waiting, &mut Vec::new()).status.0, 200);
    world.core.turned(end);
}

#[test]
fn requests_that_wait_count_against_their_key_until_they_are_answered_or_abandoned() {
    let mut world = slow_world();
    keys(&world, vec![key("narrow", 2), key("wide", 0)]);
    let narrow = with_key("Bearer narrow");
    let first = waits(one(&mut world, narrow, "free"));
    let second = waits(one(&mut world, narrow, "free"));
    refused(one(&mut world, narrow, "free"), Reason::KeyConcurrency);
    let other = waits(one(&mut world, with_key("Bearer wide"), "free"));
    conclude(&mut world, first);
    let third = waits(one(&mut world, narrow, "free"));
    refused(one(&mut world, narrow, "free"), Reason::KeyConcurrency);
    world.core.abandon(second);
    let fourth = waits(one(&mut world, narrow, "free"));
    refused(one(&mut world, narrow, "free"), Reason::KeyConcurrency);
    for waiting in [other, third, fourth] {
        world.core.abandon(waiting);
    }
    world.core.abandon(fourth); // twice frees nothing twice
    waits(one(&mut world, narrow, "free"));
    waits(one(&mut world, narrow, "free"));
    refused(one(&mut world, narrow, "free"), Reason::KeyConcurrency);
}

#[test]
fn a_service_is_limited_whoever_asks_and_others_are_not() {
    let mut world = slow_world();
    keys(&world, vec![key("a", 0), key("b", 2)]);
    let (a, b) = (with_key("Bearer a"), with_key("Bearer b"));
    let held = [a, a, b].map(|head| waits(one(&mut world, head, "narrow")));
    refused(one(&mut world, a, "narrow"), Reason::ServiceConcurrency);
    refused(one(&mut world, b, "narrow"), Reason::ServiceConcurrency);
    // What its service refused does not count against its key.
    waits(one(&mut world, b, "free"));
    refused(one(&mut world, b, "free"), Reason::KeyConcurrency);
    conclude(&mut world, held[0]);
    waits(one(&mut world, a, "narrow"));
}

#[test]
fn requests_of_one_turn_are_in_progress_together_and_gone_after_it() {
    let mut world = world();
    keys(&world, vec![key("k", 5)]);
    for _ in 0..100 {
        world.core.turn(world.now);
        let tickets: Vec<_> = (0..8).map(|_| begin(&mut world, with_key("Bearer k"), "free")).collect();
        world.core.gather(world.now);
        let mut statuses = Vec::new();
        for ticket in tickets {
            let Finished::Answer(answer) = world.core.finish(world.now, ticket, &mut Vec::new()) else { panic!() };
            statuses.push(answer.status.0);
        }
        assert_eq!(statuses, [200, 200, 200, 200, 200, 429, 429, 429]);
        world.core.turned(world.now);
    }
    // Those that are refused for what they ask hold nothing either.
    for _ in 0..100 {
        let Finished::Answer(answer) = one(&mut world, with_key("Bearer k"), "nowhere") else { panic!() };
        assert_eq!(answer.status.0, 404);
    }
}

#[test]
fn a_reload_of_keys_or_definitions_forgets_nobody_who_is_in_progress() {
    let mut world = slow_world();
    let narrow = with_key("Bearer narrow");
    keys(&world, vec![key("x", 1), key("narrow", 2)]);
    let held = [waits(one(&mut world, narrow, "narrow")), waits(one(&mut world, narrow, "narrow"))];
    keys(&world, vec![key("new", 1), key("narrow", 3), key("x", 1)]);
    world.slow_down(&[("v", Duration::from_secs(60))]); // publishes another catalog
    waits(one(&mut world, narrow, "narrow"));
    refused(one(&mut world, narrow, "free"), Reason::KeyConcurrency);
    refused(one(&mut world, with_key("Bearer x"), "narrow"), Reason::ServiceConcurrency);
    for waiting in held {
        conclude(&mut world, waiting);
    }
    waits(one(&mut world, narrow, "narrow"));
}

/// A core follows between two turns; looking each key up among all others would hold it up for seconds here.
#[test]
fn many_keys_in_another_order_are_followed() {
    let mut world = slow_world();
    let others = || (0..40_000).map(|n| key(&format!("other-{n}"), 1));
    keys(&world, others().chain([key("narrow", 1)]).collect());
    let narrow = with_key("Bearer narrow");
    let held = waits(one(&mut world, narrow, "free"));
    keys(&world, [key("narrow", 1)].into_iter().chain(others().collect::<Vec<_>>().into_iter().rev()).collect());
    refused(one(&mut world, narrow, "free"), Reason::KeyConcurrency);
    conclude(&mut world, held);
    waits(one(&mut world, narrow, "free"));
}

/// Every way out, thousands of times: after it the key is as free as at first.
#[test]
fn thousands_of_waits_leave_no_permit_behind() {
    let mut world = slow_world();
    keys(&world, vec![key("k", 64)]);
    let head = with_key("Bearer k");
    let mut refusals = 0;
    for round in 0..200 {
        let mut waiting = Vec::new();
        for n in 0..80 {
            match one(&mut world, head, if n % 8 == 0 { "narrow" } else { "free" }) {
                Finished::Waits { waiting: place, .. } => waiting.push(place),
                Finished::Answer(answer) => {
                    assert!(answer.limited.is_some());
                    refusals += 1;
                }
            }
        }
        assert_eq!(waiting.len(), 64, "round {round}");
        for (n, place) in waiting.into_iter().enumerate() {
            if (n + round) % 3 == 0 { world.core.abandon(place) } else { conclude(&mut world, place) }
        }
    }
    assert_eq!(refusals, 200 * 16);
}

#[test]
fn what_admission_is_told_is_the_keys_and_the_heads() {
    let mut world = slow_world();
    let mut important = key("important", 0);
    important.criticality = Some(Criticality::Critical);
    important.latency_budget = Some(LatencyBudget { us: 5000, cap: false });
    let mut batch = key("batch", 0);
    batch.criticality = Some(Criticality::Sheddable);
    batch.latency_budget = Some(LatencyBudget { us: 5000, cap: true });
    keys(&world, vec![important, batch, key("plain", 0)]);
    world.core.turn(world.now);
    let now = world.now;
    let mut check = |key, said, budget: &str, expected, expected_us: Option<u64>| {
        let latency_budget_ms = (!budget.is_empty()).then_some(budget.as_bytes());
        let head = Head { criticality: said, latency_budget_ms, ..with_key(key) };
        let budget_ns = expected_us.map(|us| us * 1000);
        assert_eq!(world.core.asks(now, &head), Asked::Features { criticality: expected, budget_ns }, "{key} {said:?}");
    };
    let (critical, default, sheddable) = (Criticality::Critical, Criticality::Default, Criticality::Sheddable);
    check("Bearer plain", None, "", default, None);
    check("Bearer plain", Some(critical), "7.5", critical, Some(7500));
    check("Bearer plain", None, "soon", default, None);
    // A default that is no cap: the body may set a longer one.
    check("Bearer important", None, "", critical, None);
    check("Bearer important", Some(sheddable), "9", sheddable, Some(9000));
    check("Bearer batch", Some(critical), "9", sheddable, Some(5000));
    check("Bearer batch", None, "1", sheddable, Some(1000));
    check("Bearer nobody", Some(critical), "1", sheddable, None);
    for (method, path) in [(Method::Get, "/metrics"), (Method::Get, "/v1/observability/metrics"), (Method::Get, "/")] {
        assert_eq!(world.core.asks(now, &head(method, path)), Asked::Operation);
    }
}

/// The outcome of a key check is never another request's.
#[test]
fn what_was_found_of_a_key_is_used_for_the_request_that_was_asked_about_and_no_other() {
    let mut world = slow_world();
    keys(&world, vec![key("known", 0)]);
    let (known, unknown) = (with_key("Bearer known"), with_key("Bearer unknown"));
    let status = |world: &mut World, asked_about: Option<Head<'_>>, head: Head<'_>, asked: bool| {
        world.core.turn(world.now);
        if let Some(asked_about) = asked_about {
            world.core.asks(world.now, &asked_about);
        }
        let mut body = br#"{"params":{"featureServiceName":"nowhere"}}"#.to_vec();
        let request = Request { head, body: &mut body, seen_ns: world.now.monotonic_ns, asked };
        let ticket = world.core.begin(world.now, request);
        let Finished::Answer(answer) = world.core.finish(world.now, ticket, &mut Vec::new()) else { panic!() };
        world.core.turned(world.now);
        answer.status.0
    };
    assert_eq!(status(&mut world, Some(known), known, true), 404);
    assert_eq!(status(&mut world, Some(unknown), unknown, true), 401);
    // The one that was asked about is held, and another one begins.
    assert_eq!(status(&mut world, Some(known), unknown, false), 401);
    assert_eq!(status(&mut world, Some(unknown), known, false), 404);
    // What is left of a turn before is nobody's.
    world.core.asks(world.now, &known);
    assert_eq!(status(&mut world, None, unknown, false), 401);
    assert_eq!(status(&mut world, None, unknown, true), 401, "it was used up or dropped");
}

/// The field is a budget as the one in the body is, which has the last word.
#[test]
fn a_budget_in_the_head_counts_where_the_body_sets_none() {
    let mut world = slow_world();
    keys(&world, vec![key("k", 0)]);
    let mut until_us = |field: &'static str, options: &str| {
        let body = format!(
            r#"{{"params":{{"featureServiceName":"free","joinKeyMap":{{"user_id":"u"}},"requestOptions":{{{options}}}}}}}"#
        );
        let head = Head { latency_budget_ms: Some(field.as_bytes()), ..with_key("Bearer k") };
        let (finished, told) = turn(&mut world, head, &body);
        match finished {
            Finished::Waits { waiting, until_ns } => {
                world.core.abandon(waiting);
                Ok((until_ns - world.now.monotonic_ns) / 1000)
            }
            Finished::Answer(answer) => Err((answer.status.0, told)),
        }
    };
    assert_eq!(until_us("20", ""), Ok(19_950));
    assert_eq!(until_us("7.5", ""), Ok(7450));
    assert_eq!(until_us("20", "\"latencyBudgetMs\":30"), Ok(29_950));
    for bad in ["", "soon", "0", "60001", "-1", "20ms", "\u{e9}"] {
        let (status, body) = until_us(bad, "").unwrap_err();
        assert_eq!(status, 400, "{bad}");
        assert!(
            body.contains(&format!(
                "\"Gannet-Latency-Budget-Ms must be a number of milliseconds from 0.1 to 60000, and is `{bad}`.\""
            )),
            "{body}"
        );
    }
    let (_, body) = until_us("20", "\"latencyBudgetMs\":0").unwrap_err();
    assert!(body.contains("\"latencyBudgetMs must be a number of milliseconds from 0.1 to 60000.\""), "{body}");
}

/// Before the body is looked at or even there, and behind the key: whether it may ask comes first.
#[test]
fn a_criticality_or_budget_that_cannot_be_understood_is_refused_by_the_head() {
    let mut world = slow_world();
    keys(&world, vec![key("k", 0)]);
    let mut check = |unclear: Unclear<'static>, expected: &str| {
        let head = Head { unclear: Some(unclear), ..with_key("Bearer k") };
        let (finished, told) = turn(&mut world, head, "no JSON");
        let Finished::Answer(answer) = finished else { panic!("it waits") };
        assert_eq!(answer.status.0, 400);
        assert_eq!(told, format!(r#"{{"error":"{expected}","message":"{expected}","code":3}}"#));
        world.core.turn(world.now);
        assert!(world.core.refuse_early(world.now, &head).is_some(), "{expected}");
        world.core.turned(world.now);
        let (finished, _) = turn(&mut world, Head { authorization: None, ..head }, "");
        assert!(matches!(finished, Finished::Answer(answer) if answer.status.0 == 401), "{expected}");
        let probe = Head { unclear: Some(unclear), ..self::head(Method::Get, "/healthz") };
        assert!(matches!(turn(&mut world, probe, "").0, Finished::Answer(answer) if answer.status.0 == 200));
    };
    let high = "Gannet-Criticality must be critical, default or sheddable, and is `high`.";
    check(Unclear::Criticality(b"high"), high);
    check(Unclear::Criticality(b""), &high.replace("high", ""));
    check(
        Unclear::LatencyBudgetTwice { first: b"5", second: b"7" },
        "Gannet-Latency-Budget-Ms must be set once, to a number of milliseconds from 0.1 to 60000, and is `5` and `7`.",
    );
    let long = "x".repeat(10_000);
    let head = Head { unclear: Some(Unclear::Criticality(long.as_bytes())), ..with_key("Bearer k") };
    assert!(turn(&mut world, head, "").1.len() < 1000, "what is quoted is cut");
}
