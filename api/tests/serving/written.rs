//! Rows wherever they are: in the overlay, in a delta, in the base; the newest is served, a deleted one is not.

use gannet_engine::{
    Finished, Service,
    http::{Method, Request},
};
use gannet_store::Value::{self, Int64};
use proptest::prelude::*;

use crate::{
    allocation::warm_statuses,
    fixture::{GET_FEATURES, bytes_of, head, text},
    store::Store,
    users::definitions,
};

fn world(base: &[(i64, i64)]) -> Store {
    let rows = base.iter().map(|(key, value)| (vec![text(&format!("u{key}"))], *value, vec![Int64(*value)])).collect();
    Store::new(&definitions(&[("v", "a = \"int64\"")], ""), vec![("v", rows)])
}

fn params(key: &str) -> String {
    format!(
        r#"{{"featureViewName":"v","joinKeyMap":{{"user_id":"{key}"}},
        "metadataOptions":{{"includeEffectiveTimes":true,"includeServingStatus":true,"includeSloInfo":true}}}}"#
    )
}

/// What is written of a key at one place: nothing, a row, or a tombstone, with its event time.
type Wrote = Option<(i64, bool)>;

/// Rows of a key in base, delta, the frozen part of the overlay and the current one: none, one of an earlier time, one of a later that
/// others have as well, or a tombstone. All of them, each as a key's.
fn combinations() -> Vec<[Wrote; 4]> {
    let choices = [None, Some((1, true)), Some((2, true)), Some((2, false))];
    let digit = |number: usize, place: u32| choices[number / 4_usize.pow(place) % 4];
    (0..256).map(|number| [0, 1, 2, 3].map(|place| digit(number, place))).collect()
}

#[test]
fn the_newest_row_is_served_wherever_it_is() {
    let keys = combinations();
    let mut store = world(&[(7, 7)]);
    let write = |store: &mut Store, place: usize, value: i64| {
        for (number, rows) in keys.iter().enumerate() {
            let key = [text(&format!("key {number}"))];
            match rows[place] {
                Some((time, true)) => store.put("v", &key, time, &[Int64(value)]),
                Some((time, false)) => store.delete("v", &key, time),
                None => {}
            }
        }
    };
    write(&mut store, 0, 0);
    store.flush_all();
    store.compact("v", i64::MIN);
    write(&mut store, 1, 1);
    store.flush_all();
    write(&mut store, 2, 2);
    let frozen = store.freeze();
    write(&mut store, 3, 3);
    for round in ["as it was", "in memory"] {
        for (number, rows) in keys.iter().enumerate() {
            // Of equal times the upper one's.
            let newest = (0..4).filter_map(|place| Some((rows[place]?, place))).max_by_key(|((time, _), _)| *time);
            let expected = match newest {
                Some(((time, true), place)) => format!(
                    "{{\"result\":{{\"features\":[\"{place}\"]}},\"metadata\":{{\"features\":[\
                     {{\"effectiveTime\":\"1970-01-01T00:00:00.00000{time}Z\",\"status\":\"PRESENT\"}}]"
                ),
                _ => r#"{"result":{"features":[null]},"metadata":{"features":[{"status":"MISSING_DATA"}]"#.to_owned(),
            };
            let (status, body) =
                store.world.get_features(&format!("{{\"params\":{}}}", params(&format!("key {number}"))));
            assert!(status == 200 && body.starts_with(&expected), "{round}, {rows:?}: {body}");
        }
        store.world.bring_in();
    }
    drop(frozen);
}

#[test]
fn all_rows_that_were_read_count_for_the_size_of_an_answer() {
    let mut store = world(&[(0, 5)]);
    store.world.bring_in();
    let bytes = |store: &mut Store| {
        let (_, body) = store.world.get_features(&format!("{{\"params\":{}}}", params("u0")));
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        body["metadata"]["sloInfo"]["storeResponseSizeBytes"].as_u64().unwrap()
    };
    let one = bytes(&mut store);
    assert!(one > 0);
    store.put("v", &[text("u0")], 4, &[Int64(1)]);
    assert_eq!(bytes(&mut store), 2 * one, "the base's may be newer than the overlay's");
    store.put("v", &[text("u0")], 5, &[Int64(1)]);
    assert_eq!(bytes(&mut store), one, "nothing in files can be newer");
}

/// What is frozen goes when nobody looks any more: a turn under way goes on to see it, and one that is over holds nothing.
#[test]
fn a_flush_that_is_published_in_the_middle_of_a_turn_loses_nothing() {
    let mut store = world(&[(7, 7)]);
    store.world.bring_in();
    store.put("v", &[text("u")], 3, &[Int64(3)]);
    let frozen = store.freeze();
    let mut body = format!("{{\"params\":{}}}", params("u")).into_bytes();
    let (now, mut out) = (store.world.now, Vec::new());
    store.world.core.turn(now);
    store.flush(&frozen);
    store.drop_frozen(frozen);
    assert!(!store.is_frozen_gone(), "a turn is under way");
    let request = Request { head: head(Method::Post, GET_FEATURES), body: &mut body, seen_ns: 0, asked: false };
    let ticket = store.world.core.begin(now, request);
    store.world.core.gather(now);
    assert!(matches!(store.world.core.finish(now, ticket, &mut out), Finished::Answer(_)));
    store.world.core.turned(now);
    assert!(String::from_utf8(out).unwrap().starts_with(r#"{"result":{"features":["3"]}"#));
    assert!(store.is_frozen_gone(), "nothing is held over a sleep");
    store.world.check(
        r#"{"featureViewName":"v","joinKeyMap":{"user_id":"u"}}"#,
        200,
        r#"{"result":{"features":["3"]}}"#,
    );
    // A turn without a request.
    store.put("v", &[text("u")], 4, &[Int64(4)]);
    let frozen = store.freeze();
    store.world.core.turn(now);
    store.flush(&frozen);
    store.drop_frozen(frozen);
    assert!(!store.is_frozen_gone());
    store.world.core.turned(now);
    assert!(store.is_frozen_gone());
}

/// A request that waits for rows keeps those that it has: what is written or flushed meanwhile changes nothing.
#[test]
fn a_request_that_waits_keeps_what_it_found_in_the_overlay() {
    let mut store = world(&[(0, 9)]);
    store.put("v", &[text("u0")], 4, &[Int64(4)]);
    store.flush_all();
    store.put("v", &[text("u0")], 5, &[Int64(5)]);
    let mut body = format!("{{\"params\":{}}}", params("u0")).into_bytes();
    let (now, mut out) = (store.world.now, Vec::new());
    store.world.core.turn(now);
    let request =
        Request { head: head(Method::Post, GET_FEATURES), body: &mut body, seen_ns: now.monotonic_ns, asked: false };
    let ticket = store.world.core.begin(now, request);
    store.world.core.gather(now);
    let Finished::Waits { waiting, .. } = store.world.core.finish(now, ticket, &mut out) else { panic!("it is cold") };
    store.world.core.turned(now);
    store.put("v", &[text("u0")], 20, &[Int64(20)]);
    store.flush_all();
    let mut reads = Vec::new();
    store.world.core.take_reads(&mut reads);
    assert_eq!(reads.len(), 2, "of the delta and of the base");
    let mut ready = None;
    while !reads.is_empty() {
        for read in std::mem::take(&mut reads) {
            assert_eq!(ready, None, "not before all is there");
            ready = store.world.core.read_over(now, read.tag, Ok(&bytes_of(&read)));
        }
        store.world.core.take_reads(&mut reads);
    }
    assert_eq!(ready, Some(waiting));
    store.world.core.conclude(now, waiting, &mut out);
    assert!(String::from_utf8(out).unwrap().starts_with(r#"{"result":{"features":["9"]}"#), "the base's is the newest");
}

#[test]
fn a_view_that_takes_a_stream_is_served_before_it_has_a_file() {
    let stream = |definitions: &mut gannet_api::definitions::model::Definitions| {
        let views = &mut definitions.workspaces.get_mut("prod").unwrap().feature_views;
        views.get_mut("v").unwrap().stream = Some("clicks".to_owned());
    };
    let two = definitions(&[("v", "a = \"int64\""), ("w", "b = \"int64\"")], "");
    let mut store = Store::changed(&two, stream, vec![]);
    let missing = r#"{"result":{"features":[null]}}"#;
    let ask = |view: &str| format!("{{\"featureViewName\":\"{view}\",\"joinKeyMap\":{{\"user_id\":\"u\"}}}}");
    store.world.check(&ask("v"), 200, missing);
    store.put("v", &[text("u")], 1, &[Int64(1)]);
    store.world.check(&ask("v"), 200, r#"{"result":{"features":["1"]}}"#);
    let message = "Cannot retrieve features. FeatureView: w has no materialized data in the online store.";
    store.world.check_error(&ask("w"), 404, 5, message);
    store.delete("w", &[text("u")], 1);
    store.flush_all();
    store.world.check_error(&ask("w"), 404, 5, message);
    store.world.check(&ask("v"), 200, r#"{"result":{"features":["1"]}}"#);
}

#[test]
fn warm_requests_for_rows_in_several_places_allocate_nothing() {
    let mut store = world(&[(0, 1), (1, 1), (2, 1)]);
    store.put("v", &[text("u1")], 2, &[Int64(2)]);
    store.flush_all();
    store.put("v", &[text("u2")], 3, &[Int64(3)]);
    store.delete("v", &[text("u0")], 3);
    store.world.bring_in();
    let bodies: Vec<_> =
        (0..64).map(|n| format!("{{\"params\":{}}}", params(&format!("u{}", n % 4))).into_bytes()).collect();
    assert_eq!(warm_statuses(&mut store.world, &bodies), [0, 0, 64, 0, 0, 0]);
}

#[derive(Debug, Clone)]
enum Step {
    Put {
        key: u8,
        time: i64,
    },
    Delete {
        key: u8,
        time: i64,
    },
    Flush,
    /// Writes and reads go on while a part is flushed.
    FlushAround {
        key: u8,
        time: i64,
    },
    Compact,
    BringIn,
}

fn step() -> impl Strategy<Value = Step> {
    let (key, time) = (|| 0..6_u8, || 1..9_i64);
    prop_oneof![
        12 => (key(), time()).prop_map(|(key, time)| Step::Put { key, time }),
        3 => (key(), time()).prop_map(|(key, time)| Step::Delete { key, time }),
        2 => Just(Step::Flush),
        2 => (key(), time()).prop_map(|(key, time)| Step::FlushAround { key, time }),
        1 => Just(Step::Compact),
        1 => Just(Step::BringIn),
    ]
}

fn verify(store: &mut Store, model: &[Option<(i64, Option<i64>)>]) {
    for (key, expected) in model.iter().enumerate() {
        let params = format!("{{\"featureViewName\":\"v\",\"joinKeyMap\":{{\"user_id\":\"u{key}\"}}}}");
        let (_, body) = store.world.get_features(&format!("{{\"params\":{params}}}"));
        let value =
            expected.and_then(|(_, value)| value).map_or_else(|| "null".to_owned(), |value| format!("\"{value}\""));
        assert_eq!(body, format!("{{\"result\":{{\"features\":[{value}]}}}}"), "key {key}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn any_writes_flushes_and_compactions_read_like_a_map(steps in proptest::collection::vec(step(), 1..40)) {
        let mut store = world(&[(0, 3), (1, 5)]);
        let mut model: Vec<Option<(i64, Option<i64>)>> = vec![None; 7];
        (model[0], model[1]) = (Some((3, Some(3))), Some((5, Some(5))));
        let write = |store: &mut Store, model: &mut Vec<Option<(i64, Option<i64>)>>, key: u8, time: i64, value: Option<i64>| {
            let parts: [Value; 1] = [text(&format!("u{key}"))];
            match value {
                Some(value) => store.put("v", &parts, time, &[Int64(value)]),
                None => store.delete("v", &parts, time),
            }
            let known = &mut model[usize::from(key)];
            if known.is_none_or(|(before, _)| before <= time) {
                *known = Some((time, value));
            }
        };
        for (number, step) in (100..).zip(steps) {
            match step {
                Step::Put { key, time } => write(&mut store, &mut model, key, time, Some(number)),
                Step::Delete { key, time } => write(&mut store, &mut model, key, time, None),
                Step::Flush => store.flush_all(),
                Step::FlushAround { key, time } => {
                    let frozen = store.freeze();
                    verify(&mut store, &model);
                    write(&mut store, &mut model, key, time, Some(number));
                    verify(&mut store, &model);
                    store.flush(&frozen);
                    verify(&mut store, &model);
                    store.drop_frozen(frozen);
                    prop_assert!(store.is_frozen_gone());
                }
                Step::Compact => store.compact("v", i64::MIN),
                Step::BringIn => store.world.bring_in(),
            }
            verify(&mut store, &model);
        }
    }
}
