//! Where an answer's time went, for those who ask; the moments are the test's own.

use std::time::Duration;

use gannet_api::Settings;
use gannet_engine::{
    Answer, Finished, Now, ServerTiming, Service,
    http::{Head, Method, Request},
};
use gannet_store::Value::Int64;

use crate::{
    fixture::{GET_FEATURES, World, head},
    users::{definitions, row},
};

fn world(settings: Settings) -> World {
    let definitions = definitions(&[("v", "c = \"int64\"")], "[feature_services.fs]\nfeatures = [\"v\"]\n");
    let world = World::with_settings(settings, &definitions, vec![("v", row(vec![Int64(7)]))]);
    world.bring_in();
    world
}

fn body(options: &str) -> String {
    format!(
        r#"{{"params":{{"featureServiceName":"fs","joinKeyMap":{{"user_id":"u"}},"requestOptions":{{{options}}}}}}}"#
    )
}

fn plain() -> Head<'static> {
    head(Method::Post, GET_FEATURES)
}

fn asking() -> Head<'static> {
    Head { server_timing: true, ..plain() }
}

/// The fixture gathers 20 µs after a turn's start and finishes 30 µs later.
const FOUND: ServerTiming =
    ServerTiming { queue_us: 0, parse_us: 20, lookup_us: 30, cold_us: 0, render_us: 0, from_ns: 1_050_000 };

#[test]
fn only_those_who_ask_are_told() {
    let check = |settings: Settings, head: Head<'_>, options: &str, told: bool| {
        let (answer, answered) = world(settings).ask(head, body(options).as_bytes());
        assert_eq!(answered, r#"{"result":{"features":["7"]}}"#, "the body is the same");
        assert_eq!(answer.server_timing, told.then_some(FOUND), "{options}");
    };
    let off = Settings::default;
    check(off(), plain(), "", false);
    check(off(), asking(), "", true);
    check(off(), plain(), "\"serverTiming\":true", true);
    check(off(), plain(), "\"server_timing\":true", true);
    check(off(), plain(), "\"serverTiming\":false", false);
    check(off(), plain(), "\"serverTiming\":null", false);
    check(off(), asking(), "\"serverTiming\":false", true);
    check(Settings { server_timing: true, ..off() }, plain(), "", true);
}

#[test]
fn refusals_are_timed_as_well() {
    let check = |head: Head<'_>, body: &str, status: u16| {
        let (answer, _) = world(Settings::default()).ask(head, body.as_bytes());
        assert_eq!((answer.status.0, answer.server_timing), (status, Some(FOUND)), "{body}");
    };
    check(asking(), "{", 400);
    check(asking(), &body("\"latencyBudgetMs\":0"), 400);
    check(plain(), &body("\"serverTiming\":true,\"latencyBudgetMs\":0"), 400);
    check(asking(), &body("").replace("fs", "nope"), 404);
    check(Head { authorization: None, ..asking() }, &body(""), 401);
    check(Head { method: Method::Get, ..asking() }, "", 405);
}

#[test]
fn what_waited_says_how_long() {
    let mut world = world(Settings::default());
    world.slow_down(&[("v", Duration::from_millis(30))]);
    for (options, status, at_ns) in [
        ("\"latencyBudgetMs\":5", 200, 4_950_000),
        ("\"latencyBudgetMs\":\"1\"", 200, 950_000),
        ("", 504, 2_000_000_000),
    ] {
        let (answer, _) = world.ask(asking(), body(options).as_bytes());
        let cold_us = u32::try_from(at_ns / 1000).unwrap() - 50;
        let expected = ServerTiming { cold_us, from_ns: world.now.monotonic_ns + at_ns, ..FOUND };
        assert_eq!((answer.status.0, answer.server_timing), (status, Some(expected)), "{options}");
        let (answer, _) = world.ask(plain(), body(options).as_bytes());
        assert_eq!(answer.server_timing, None, "the place that waited is used again");
    }
}

/// Two requests of one turn: the first was seen a turn earlier, the second is rendered after it.
#[test]
fn stages_follow_one_another() {
    let mut world = world(Settings::default());
    let at = |us: u64| Now { monotonic_ns: 1_000_000 + us * 1000, unix_us: 0 };
    world.core.turn(at(0));
    let mut begin = |seen_us: u64| {
        let mut body = body("").into_bytes();
        let request =
            Request { head: asking(), body: &mut body, seen_ns: at(seen_us).monotonic_ns - 100_000, asked: false };
        world.core.begin(at(0), request)
    };
    let tickets = [begin(60), begin(100)];
    world.core.gather(at(7));
    let mut told =
        tickets.into_iter().zip([9, 12]).map(|(ticket, us)| match world.core.finish(at(us), ticket, &mut Vec::new()) {
            Finished::Answer(Answer { server_timing: Some(timing), .. }) => timing,
            other => panic!("{other:?}"),
        });
    let first =
        ServerTiming { queue_us: 40, parse_us: 7, lookup_us: 2, cold_us: 0, render_us: 0, from_ns: at(9).monotonic_ns };
    assert_eq!(told.next(), Some(first));
    let second = ServerTiming { queue_us: 0, render_us: 3, from_ns: at(12).monotonic_ns, ..first };
    assert_eq!(told.next(), Some(second));
}
