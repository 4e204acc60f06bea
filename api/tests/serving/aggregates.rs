//! Aggregates as they are answered: folded of all rows of a key, at the moment that view and request say.

use gannet_api::{
    aggregates::{Aggregates, Aggregation, Column, Function, Input, LeadingEdge, Specification, Window},
    definitions::model::{self, Definitions, Feature},
};
use gannet_engine::http::Method;
use gannet_store::{
    ColumnType,
    Value::{self, Binary, Int64},
    value::ValueLayout,
};

use crate::{
    allocation::warm_statuses,
    fixture::{Rows, head, text},
    store::Store,
    users::definitions,
};

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// 2024-01-01T00:00:00Z, a day's beginning.
const START: i64 = 1_704_067_200_000_000;

/// What views of these tests aggregate, in the order of their names.
fn columns() -> Vec<Column> {
    let column = |name: &str, column_type| Column { name: name.to_owned(), column_type };
    vec![
        column("ad", ColumnType::String),
        column("amount", ColumnType::Float64),
        column("tags", ColumnType::Array(Box::new(ColumnType::Int64))),
        column("units", ColumnType::Int64),
    ]
}

fn specification(interval_us: Option<i64>, features: &[(&str, &str, Window)]) -> Specification {
    let aggregation = |(column, function, window): &(&str, &str, Window)| Aggregation {
        column: (*column).to_owned(),
        function: Function::parse(function).unwrap(),
        window: *window,
        name: None,
    };
    Specification {
        interval_us,
        join_keys: vec!["user_id".to_owned()],
        columns: columns(),
        aggregations: features.iter().map(aggregation).collect(),
        ..Specification::default()
    }
}

/// A view `v` that aggregates so. Only batches fill it unless it takes a stream.
struct View {
    specification: Specification,
    leading_edge: LeadingEdge,
    is_stream: bool,
}

impl View {
    fn stream(specification: Specification) -> Self {
        Self { specification, leading_edge: LeadingEdge::WallClock, is_stream: true }
    }

    fn aggregates(&self) -> Aggregates {
        Aggregates::new(&self.specification).unwrap()
    }

    fn define(&self, definitions: &mut Definitions) {
        let view = definitions.workspaces.get_mut("prod").unwrap().feature_views.get_mut("v").unwrap();
        let feature = |feature: &gannet_api::aggregates::Feature| Feature {
            name: feature.name.clone(),
            column: String::new(),
            data_type: feature.data_type.clone(),
            description: String::new(),
            tags: Default::default(),
        };
        view.features = self.aggregates().features().iter().map(feature).collect();
        view.stream = self.is_stream.then(|| "events".to_owned());
        view.aggregation =
            Some(model::Aggregation { specification: self.specification.clone(), leading_edge: self.leading_edge });
    }

    /// `base` is the row of the user `u`.
    fn serve(&self, base: &[Event]) -> Store {
        let rows: Rows = match base {
            [] => vec![],
            events => vec![(vec![text("u")], newest(events), vec![self.tiles(events)])],
        };
        let base = if rows.is_empty() && self.is_stream { vec![] } else { vec![("v", rows)] };
        Store::changed(&definitions(&[("v", "x = \"int64\"")], ""), |definitions| self.define(definitions), base)
    }

    fn tiles(&self, events: &[Event]) -> Value {
        let aggregates = self.aggregates();
        let mut builder = aggregates.builder();
        for event in events {
            let tags = event.tags.as_ref().map(|tags| {
                let mut bytes = Vec::new();
                ValueLayout::new(&columns()[2].column_type).write(tags, &mut bytes);
                bytes
            });
            let of = |column: &Column| match column.name.as_str() {
                "ad" => event.ad.map_or(Input::Null, |ad| Input::Bytes(ad.as_bytes())),
                "amount" => event.amount.map_or(Input::Null, Input::Float64),
                "tags" => tags.as_deref().map_or(Input::Null, Input::Bytes),
                _ => event.units.map_or(Input::Null, Input::Int64),
            };
            let values: Vec<Input<'_>> = aggregates.columns().iter().map(of).collect();
            builder.add(event.time_us, event.ad.map(str::as_bytes), &values);
        }
        let mut bytes = Vec::new();
        builder.encode(&mut bytes).unwrap();
        Binary(bytes)
    }

    /// Writes the user's row.
    fn put(&self, store: &mut Store, events: &[Event]) {
        store.put("v", &[text("u")], newest(events), &[self.tiles(events)]);
    }
}

#[derive(Debug, Clone, Default)]
struct Event {
    time_us: i64,
    ad: Option<&'static str>,
    amount: Option<f64>,
    tags: Option<Value>,
    units: Option<i64>,
}

fn newest(events: &[Event]) -> i64 {
    events.iter().map(|event| event.time_us).max().unwrap()
}

fn units(time_us: i64, units: i64) -> Event {
    Event { time_us, units: Some(units), ..Event::default() }
}

/// The user's answer at a moment, with these request options: values, then the first feature's effective time and status.
#[track_caller]
fn check(store: &mut Store, unix_us: i64, options: &str, values: &str, effective: Option<&str>, status: &str) {
    store.world.now.unix_us = unix_us;
    for round in ["as it was", "in memory"] {
        let (answered, body) = store.world.get_features(&format!(
            "{{\"params\":{{\"featureViewName\":\"v\",\"joinKeyMap\":{{\"user_id\":\"u\"}},\"requestOptions\":{{{options}}},\
             \"metadataOptions\":{{\"includeEffectiveTimes\":true,\"includeServingStatus\":true}}}}}}"
        ));
        let shown: serde_json::Value = serde_json::from_str(&body).unwrap();
        let item = &shown["metadata"]["features"][0];
        assert_eq!(answered, 200);
        assert!(body.starts_with(&format!("{{\"result\":{{\"features\":[{values}]}}")), "{round}: {body}");
        assert_eq!((item["effectiveTime"].as_str(), item["status"].as_str().unwrap()), (effective, status), "{round}");
        store.world.bring_in();
    }
}

const PRESENT: &str = "PRESENT";
const MISSING: &str = "MISSING_DATA";

#[test]
fn tiles_of_batch_and_stream_are_folded_together_wherever_they_are() {
    let hours = |n: i64| Window::of(n * HOUR);
    let view = View::stream(specification(
        Some(HOUR),
        &[
            ("units", "count", hours(2)),
            ("units", "last(3)", hours(4)),
            ("units", "sum", hours(4)),
            ("units", "mean", hours(1)),
        ],
    ));
    let mut store = view.serve(&[units(START, 1), units(START + HOUR, 2)]);
    let at = |store: &mut Store, hours: i64, values: &str| {
        let effective = format!("2024-01-01T0{hours}:00:00Z");
        check(store, START + hours * HOUR + 5 * MINUTE, "", values, Some(&effective), PRESENT);
    };
    at(&mut store, 2, r#""2",["1","2"],2,"3""#);
    view.put(&mut store, &[units(START + 2 * HOUR, 4)]);
    at(&mut store, 3, r#""2",["1","2","4"],4,"7""#);
    store.flush_all();
    at(&mut store, 3, r#""2",["1","2","4"],4,"7""#);
    view.put(&mut store, &[units(START + HOUR + MINUTE, 8), units(START + 3 * HOUR, 16)]);
    at(&mut store, 3, r#""3",["2","8","4"],4,"15""#); // the tile from 03:00 is not over
    at(&mut store, 4, r#""2",["8","4","16"],16,"31""#);
    let frozen = store.freeze();
    at(&mut store, 4, r#""2",["8","4","16"],16,"31""#);
    drop(frozen);
}

/// What was frozen counts once: before a generation has it, beside the one that has it, and when it is gone.
#[test]
fn answers_are_the_same_at_every_step_of_a_flush() {
    let hours = |n: i64| Window::of(n * HOUR);
    let features = [("units", "count", hours(9)), ("units", "last(9)", hours(9)), ("units", "sum", hours(9))];
    let view = View::stream(specification(Some(HOUR), &features));
    let mut store = view.serve(&[units(START, 1)]);
    #[track_caller]
    fn answers(store: &mut Store, count: i64, list: &str, sum: i64) {
        let values = format!("\"{count}\",[{list}],\"{sum}\"");
        check(store, START + 8 * HOUR, "", &values, Some("2024-01-01T08:00:00Z"), PRESENT);
    }
    view.put(&mut store, &[units(START + HOUR, 2)]);
    store.flush_all();
    view.put(&mut store, &[units(START + 2 * HOUR, 4)]);
    view.put(&mut store, &[units(START + 2 * HOUR + 1, 8)]);
    let before = (4, r#""1","2","4","8""#, 15);
    let at_each = |store: &mut Store, (count, list, sum)| answers(store, count, list, sum);
    at_each(&mut store, before);
    let frozen = store.freeze();
    at_each(&mut store, before); // base, delta, frozen
    view.put(&mut store, &[units(START + 3 * HOUR, 16)]);
    let after = (5, r#""1","2","4","8","16""#, 31);
    at_each(&mut store, after); // and current
    store.flush(&frozen);
    at_each(&mut store, after); // the delta has what is still to be seen as frozen
    store.compact("v", i64::MIN);
    at_each(&mut store, after); // and so has the base
    store.drop_frozen(frozen);
    at_each(&mut store, after);
    assert!(store.is_frozen_gone());
    at_each(&mut store, after);
    store.flush_all();
    at_each(&mut store, after);
    store.compact("v", i64::MIN);
    at_each(&mut store, after);
}

#[test]
fn windows_end_at_the_edge_of_view_or_request() {
    let features = [("units", "sum", Window::of(HOUR))];
    let (wall, latest) = (
        "\"aggregationLeadingEdge\":\"AGGREGATION_MODE_WALL_CLOCK_TIME\"",
        "\"aggregation_leading_edge\":\"AGGREGATION_MODE_LATEST_EVENT_TIME\"",
    );
    let unspecified = "\"aggregationLeadingEdge\":\"AGGREGATION_MODE_UNSPECIFIED\"";
    let mut view = View::stream(specification(Some(HOUR), &features));
    // The last event at 10:30, asked at 13:05.
    let events = [units(START + 9 * HOUR, 9), units(START + 10 * HOUR + 30 * MINUTE, 10)];
    for leading_edge in [LeadingEdge::WallClock, LeadingEdge::LatestEventTime] {
        view.leading_edge = leading_edge;
        let mut store = view.serve(&[]);
        view.put(&mut store, &events);
        let mut check = |options: &str, edge: LeadingEdge| {
            let (value, effective) = match edge {
                LeadingEdge::WallClock => ("null", "2024-01-01T13:00:00Z"),
                LeadingEdge::LatestEventTime => ("\"9\"", "2024-01-01T10:00:00Z"),
            };
            check(&mut store, START + 13 * HOUR + 5 * MINUTE, options, value, Some(effective), PRESENT);
        };
        check("", leading_edge);
        check(unspecified, leading_edge);
        check(wall, LeadingEdge::WallClock);
        check(latest, LeadingEdge::LatestEventTime);
    }
    // Without tiles windows end at the microsecond, and the effective time is that of the key's newest event.
    let view = View::stream(specification(None, &features));
    let mut store = view.serve(&[]);
    view.put(&mut store, &events);
    let newest = Some("2024-01-01T10:30:00Z");
    check(&mut store, START + 11 * HOUR, "", "\"10\"", newest, PRESENT);
    check(&mut store, START + 13 * HOUR, "", "null", newest, PRESENT);
    check(&mut store, START + 13 * HOUR, latest, "\"10\"", newest, PRESENT);
}

/// A sender's clock that runs ahead moves the edge to the request's time, and no further.
#[test]
fn an_event_of_the_future_counts_when_time_has_come_that_far_and_empties_no_window() {
    for interval_us in [Some(HOUR), None] {
        let mut view = View::stream(specification(interval_us, &[("units", "sum", Window::of(2 * HOUR))]));
        view.leading_edge = LeadingEdge::LatestEventTime;
        let mut store = view.serve(&[]);
        view.put(&mut store, &[units(START + HOUR, 1), units(START + 101 * HOUR - 1, 2)]);
        let check = |store: &mut Store, hours: i64, value: &str| {
            store.world.now.unix_us = START + hours * HOUR;
            let params = r#"{"featureViewName":"v","joinKeyMap":{"user_id":"u"}}"#;
            store.world.check(params, 200, &format!(r#"{{"result":{{"features":[{value}]}}}}"#));
        };
        check(&mut store, 2, "\"1\"");
        check(&mut store, 50, "null");
        check(&mut store, 100, "null");
        store.flush_all();
        view.put(&mut store, &[units(START + 101 * HOUR, 4)]);
        check(&mut store, 102, if interval_us.is_some() { "\"2\"" } else { "\"6\"" });
    }
}

#[test]
fn a_view_that_only_batches_fill_ends_with_its_data() {
    let features = [("units", "sum", Window::of(DAY))];
    let wall = "\"aggregationLeadingEdge\":\"AGGREGATION_MODE_WALL_CLOCK_TIME\"";
    for leading_edge in [LeadingEdge::WallClock, LeadingEdge::LatestEventTime] {
        let view = View { specification: specification(Some(DAY), &features), leading_edge, is_stream: false };
        let check = |last_us: i64, value: &str, effective: &str| {
            let mut store = view.serve(&[units(START, 1), units(last_us, 2)]);
            for options in ["", wall] {
                check(&mut store, START + 5 * DAY, options, value, Some(effective), PRESENT);
            }
        };
        check(START + DAY - 1, "\"3\"", "2024-01-02T00:00:00Z");
        check(START + DAY, "\"2\"", "2024-01-03T00:00:00Z");
        check(START + DAY + HOUR, "\"2\"", "2024-01-03T00:00:00Z");
    }
}

#[test]
fn deletes_do_not_move_the_moment_of_a_view_that_only_batches_fill() {
    let features = [("units", "sum", Window::of(2 * DAY))];
    let specification = specification(Some(DAY), &features);
    let view = View { specification, leading_edge: LeadingEdge::WallClock, is_stream: false };
    let row = |user: &str, time_us: i64| (vec![text(user)], time_us, vec![view.tiles(&[units(time_us, 1)])]);
    let rows: Rows = vec![row("u", START), row("newest", START + DAY + HOUR)];
    let definitions = definitions(&[("v", "x = \"int64\"")], "");
    let mut store = Store::changed(&definitions, |definitions| view.define(definitions), vec![("v", rows)]);
    let as_ever = |store: &mut Store| {
        check(store, START + 20 * DAY, "", "\"1\"", Some("2024-01-03T00:00:00Z"), PRESENT);
    };
    as_ever(&mut store);
    store.delete("v", &[text("newest")], START + 10 * DAY);
    as_ever(&mut store);
    store.flush_all();
    as_ever(&mut store);
    for tombstones_until_us in [i64::MIN, i64::MAX] {
        store.compact("v", tombstones_until_us);
        as_ever(&mut store);
    }
}

#[test]
fn counts_of_nothing_are_null_or_zero_as_the_request_says() {
    let view = View::stream(specification(
        Some(HOUR),
        &[("amount", "count", Window::of(HOUR)), ("units", "sum", Window::of(HOUR))],
    ));
    let mut store = view.serve(&[]);
    let now = START + 3 * HOUR;
    let effective = Some("2024-01-01T03:00:00Z");
    let (coerced, not) = ("\"coerceNullCountsToZero\":true", "\"coerce_null_counts_to_zero\":false");
    // No row, or one that has expired: the status stays.
    check(&mut store, now, "", "null,null", None, MISSING);
    check(&mut store, now, coerced, "\"0\",null", None, MISSING);
    view.put(&mut store, &[units(START, 1)]);
    check(&mut store, now, "", "null,null", effective, PRESENT);
    check(&mut store, now, not, "null,null", effective, PRESENT);
    check(&mut store, now, coerced, "\"0\",null", effective, PRESENT);
    let after = START + 8 * DAY + 2 * HOUR;
    check(&mut store, after, "", "null,null", None, MISSING);
    check(&mut store, after, coerced, "\"0\",null", None, MISSING);
}

/// A key is there until its last tile's start + interval + longest window + 7 days.
#[test]
fn a_key_is_present_for_as_long_as_a_tile_of_it_lives() {
    let view = View::stream(specification(Some(DAY), &[("units", "sum", Window::of(45 * DAY))]));
    let mut store = view.serve(&[]);
    view.put(&mut store, &[units(START + HOUR, 1)]);
    let after = START + 53 * DAY; // 2024-02-23
    check(&mut store, after - 1, "", "null", Some("2024-02-22T00:00:00Z"), PRESENT);
    check(&mut store, after, "", "null", None, MISSING);
}

/// The reference's example, with windows that have no events beside those that have.
#[test]
fn secondary_keys_give_lists_of_one_length() {
    let day = |function| ("units", function, Window::of(DAY));
    let mut specification = specification(
        Some(DAY),
        &[
            day("count"),
            ("units", "count", Window::of(7 * DAY)),
            day("sum"),
            ("units", "sum", Window::of(7 * DAY)),
            day("last(2)"),
        ],
    );
    specification.secondary_key = Some("ad".to_owned());
    let view = View::stream(specification);
    let event = |time_us, ad, value| Event { ad: Some(ad), ..units(time_us, value) };
    let mut store = view.serve(&[
        event(START, "ad_1", 1),
        event(START, "ad_1", 1),
        event(START + 12 * HOUR, "ad_1", 2),
        event(START + DAY - 1, "ad_1", 3),
    ]);
    view.put(
        &mut store,
        &[
            event(START + DAY, "ad_2", 4),
            event(START + DAY + 12 * HOUR, "ad_3", 5),
            event(START + 2 * DAY - 1, "ad_4", 6),
        ],
    );
    let effective = Some("2024-01-03T00:00:00Z");
    check(
        &mut store,
        START + 2 * DAY,
        "",
        r#"["ad_2","ad_3","ad_4"],["ad_1","ad_2","ad_3","ad_4"],["1","1","1"],["4","1","1","1"],[["4"],["5"],["6"]],["4","5","6"],["7","4","5","6"]"#,
        effective,
        PRESENT,
    );
    let later = START + 5 * DAY;
    let values = r#"[],["ad_1","ad_2","ad_3","ad_4"],[],["4","1","1","1"],[],[],["7","4","5","6"]"#;
    check(&mut store, later, "\"coerceNullCountsToZero\":true", values, Some("2024-01-06T00:00:00Z"), PRESENT);
    let expired = START + 40 * DAY;
    let nulls = "null,null,null,null,null,null,null";
    check(&mut store, expired, "\"coerceNullCountsToZero\":true", nulls, None, MISSING);
}

#[test]
fn values_of_every_type_are_spelt_as_those_of_rows_are() {
    let day = Window::of(DAY);
    let view = View::stream(specification(
        Some(DAY),
        &[
            ("ad", "last", day),
            ("ad", "last_distinct(2)", day),
            ("amount", "last", day),
            ("amount", "last(2)", day),
            ("tags", "last", day),
            ("tags", "last(2)", day),
            ("units", "max", day),
        ],
    ));
    let mut store = view.serve(&[]);
    let first = Event { amount: Some(f64::INFINITY), tags: Some(Value::Array(vec![])), ..units(START, -1) };
    let tags = Some(Value::Array(vec![Int64(7), Value::Null]));
    let second = Event { ad: Some("\"x\""), amount: Some(0.5), tags, ..units(START + 1, i64::MIN) };
    view.put(&mut store, &[first, second]);
    check(
        &mut store,
        START + DAY,
        "",
        r#""\"x\"",["\"x\""],0.5,["Infinity",0.5],["7",null],[[],["7",null]],"-1""#,
        Some("2024-01-02T00:00:00Z"),
        PRESENT,
    );
}

#[test]
fn what_is_deleted_hides_all_below_and_what_comes_later_counts_alone() {
    let view = View::stream(specification(Some(HOUR), &[("units", "sum", Window::of(9 * HOUR))]));
    let now = START + 5 * HOUR;
    let effective = Some("2024-01-01T05:00:00Z");
    let mut store = view.serve(&[units(START, 1)]);
    view.put(&mut store, &[units(START + HOUR, 2)]);
    store.flush_all();
    check(&mut store, now, "", "\"3\"", effective, PRESENT);
    store.delete("v", &[text("u")], now);
    check(&mut store, now, "", "null", None, MISSING);
    store.flush_all();
    check(&mut store, now, "", "null", None, MISSING);
    // In the overlay over a tombstone that is in a file.
    view.put(&mut store, &[units(START + 2 * HOUR, 4)]);
    check(&mut store, now, "", "\"4\"", effective, PRESENT);
}

#[test]
fn a_sum_that_does_not_fit_is_null_and_counted() {
    let view = View::stream(specification(Some(HOUR), &[("units", "sum", Window::of(HOUR))]));
    let mut store = view.serve(&[units(START, i64::MAX)]);
    view.put(&mut store, &[units(START + 1, 1)]);
    check(&mut store, START + HOUR, "", "null", Some("2024-01-01T01:00:00Z"), PRESENT);
    let (_, metrics) = store.world.ask(head(Method::Get, "/metrics"), b"");
    assert!(metrics.contains("\ngannet_aggregate_sum_overflows_total 2\n"), "{metrics}"); // asked twice
}

#[test]
fn warm_requests_for_aggregates_allocate_nothing() {
    let windows = [Window::of(HOUR), Window::of(2 * HOUR)];
    let functions = ["count", "sum", "mean", "max", "var_samp", "last", "last(3)", "last_distinct(3)"];
    let features: Vec<_> =
        windows.iter().flat_map(|window| functions.map(|function| ("units", function, *window))).collect();
    for secondary_key in [None, Some("ad".to_owned())] {
        let mut view = View::stream(Specification { secondary_key, ..specification(Some(MINUTE), &features) });
        view.leading_edge = LeadingEdge::LatestEventTime;
        let event = |minute: i64, ad| Event { ad: Some(ad), ..units(START + minute * MINUTE, minute) };
        let mut store = view.serve(&[event(0, "a"), event(3, "b"), event(10, "a")]);
        view.put(&mut store, &[event(11, "a"), event(20, "c")]);
        store.flush_all();
        view.put(&mut store, &[event(21, "a"), event(50, "b")]);
        store.world.bring_in();
        store.world.now.unix_us = START + HOUR;
        let body = |n: usize| {
            let (user, coerce) = (["u", "nobody"][n % 2], n.is_multiple_of(3));
            format!(
                "{{\"params\":{{\"featureViewName\":\"v\",\"joinKeyMap\":{{\"user_id\":\"{user}\"}},\
                 \"requestOptions\":{{\"coerceNullCountsToZero\":{coerce}}}}}}}"
            )
        };
        let bodies: Vec<_> = (0..12).map(|n| body(n).into_bytes()).collect();
        assert_eq!(warm_statuses(&mut store.world, &bodies), [0, 0, 12, 0, 0, 0]);
    }
}

/// Nothing is folded of half the rows.
#[test]
fn a_row_that_comes_too_late_makes_the_whole_view_late() {
    let view = View::stream(specification(Some(HOUR), &[("units", "sum", Window::of(9 * HOUR))]));
    let mut store = view.serve(&[units(START, 1)]);
    view.put(&mut store, &[units(START + HOUR, 2)]);
    store.world.slow_down(&[("v", std::time::Duration::from_millis(30))]);
    let coerced = "\"latencyBudgetMs\":1,\"coerceNullCountsToZero\":true";
    check(&mut store, START + 2 * HOUR, coerced, "null", None, "TIME_OUT");
}

#[test]
fn tiles_that_are_none_are_an_error_and_never_a_value() {
    let view = View::stream(specification(Some(HOUR), &[("units", "sum", Window::of(HOUR))]));
    let mut store = view.serve(&[]);
    store.put("v", &[text("u")], START, &[Binary(vec![1, 2, 3])]);
    let params = r#"{"featureViewName":"v","joinKeyMap":{"user_id":"u"}}"#;
    store.world.check_error(params, 500, 13, "Internal server error");
}

/// A file of tiles of another shape is nobody's.
#[test]
fn rows_of_another_shape_are_not_read() {
    let before = View::stream(specification(Some(HOUR), &[("units", "sum", Window::of(HOUR))]));
    let after = View::stream(specification(Some(HOUR), &[("units", "max", Window::of(HOUR))]));
    let mut store = before.serve(&[units(START, 1)]);
    check(&mut store, START + HOUR, "", "\"1\"", Some("2024-01-01T01:00:00Z"), PRESENT);
    store.redefine(|definitions| after.define(definitions));
    check(&mut store, START + HOUR, "", "null", None, MISSING);
    after.put(&mut store, &[units(START, 2)]);
    check(&mut store, START + HOUR, "", "\"2\"", Some("2024-01-01T01:00:00Z"), PRESENT);
}
