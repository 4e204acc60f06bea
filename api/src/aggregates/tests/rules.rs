//! The reference's rules, one by one, with its own numbers where it gives some.

use gannet_store::ColumnType;

use super::world::{Event, Value, at, columns, everything, fold, one, row_of};
use crate::aggregates::{
    Aggregates, Aggregation, Column, FoldOptions, Function, LeadingEdge, Specification, UncheckedRow, Window,
};

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn amount(time_us: i64, amount: f64) -> Event {
    let mut values = vec![Value::Null; columns().len()];
    values[0] = Value::Float64(amount);
    Event { time_us, key: None, values }
}

/// An event that has units only.
fn units(time_us: i64, units: i64) -> Event {
    let mut values = vec![Value::Null; columns().len()];
    values[5] = Value::Int64(units);
    Event { time_us, key: None, values }
}

/// The values of `amount` alone: events of [`one`] have one column.
fn of_one(events: &[Event]) -> Vec<Event> {
    events.iter().map(|event| Event { values: vec![event.values[0].clone()], ..event.clone() }).collect()
}

#[test]
fn tiles_count_when_they_are_complete_and_until_they_leave_the_window() {
    let aggregates = Aggregates::new(&one(Some(HOUR), Function::Sum, &[Window::of(2 * HOUR)])).unwrap();
    let check = |moment_us, events: &[(i64, f64)], expected| {
        let events: Vec<Event> = events.iter().map(|(time_us, value)| amount(*time_us, *value)).collect();
        let found = fold(&aggregates, &[row_of(&aggregates, &of_one(&events))], at(moment_us));
        assert_eq!(found, [expected], "at {moment_us}: {events:?}");
    };
    let sum = Value::Float64;
    check(10 * HOUR + 5 * MINUTE, &[(8 * HOUR, 1.0), (10 * HOUR, 2.0)], sum(1.0)); // [8:00, 10:00)
    check(10 * HOUR + 5 * MINUTE, &[(8 * HOUR - 1, 1.0), (10 * HOUR - 1, 2.0)], sum(2.0));
    check(10 * HOUR, &[(8 * HOUR, 1.0), (10 * HOUR, 2.0)], sum(1.0));
    check(10 * HOUR - 1, &[(7 * HOUR, 1.0), (9 * HOUR, 2.0)], sum(1.0)); // [7:00, 9:00)
    check(10 * HOUR, &[(11 * HOUR, 1.0)], Value::Null); // the future counts when its time comes
    check(13 * HOUR, &[(11 * HOUR, 1.0)], sum(1.0));
    check(-10 * HOUR + 5, &[(-12 * HOUR, 1.0), (-12 * HOUR - 1, 2.0)], sum(1.0)); // before 1970
}

#[test]
fn continuous_windows_have_the_newer_edge_inside() {
    let aggregates = Aggregates::new(&one(None, Function::Sum, &[Window::of(HOUR)])).unwrap();
    let check = |moment_us, time_us, expected| {
        let found = fold(&aggregates, &[row_of(&aggregates, &of_one(&[amount(time_us, 1.0)]))], at(moment_us));
        assert_eq!(found, [expected], "{time_us} at {moment_us}");
    };
    check(2 * HOUR, 2 * HOUR, Value::Float64(1.0));
    check(2 * HOUR, 2 * HOUR + 1, Value::Null);
    check(2 * HOUR, HOUR + 1, Value::Float64(1.0));
    check(2 * HOUR, HOUR, Value::Null);
}

/// Interval 1 h, last event 10:30, request 13:05.
#[test]
fn leading_edges_are_those_of_the_references_example() {
    let (now_us, watermark_us) = (13 * HOUR + 5 * MINUTE, 10 * HOUR + 30 * MINUTE);
    let tiled = Aggregates::new(&one(Some(HOUR), Function::Sum, &[Window::of(HOUR)])).unwrap();
    let continuous = Aggregates::new(&one(None, Function::Sum, &[Window::of(HOUR)])).unwrap();
    let edge = |aggregates: &Aggregates, edge: LeadingEdge| {
        aggregates.effective_time_us(edge.moment_us(now_us, Some(watermark_us)).unwrap(), &[])
    };
    assert_eq!(edge(&tiled, LeadingEdge::WallClock), 13 * HOUR);
    assert_eq!(edge(&tiled, LeadingEdge::LatestEventTime), 10 * HOUR);
    assert_eq!(edge(&continuous, LeadingEdge::WallClock), now_us);
    assert_eq!(edge(&continuous, LeadingEdge::LatestEventTime), watermark_us);
    assert_eq!(LeadingEdge::LatestEventTime.moment_us(now_us, None), None);
    let ahead = Some(now_us + DAY);
    assert_eq!(LeadingEdge::LatestEventTime.moment_us(now_us, ahead), Some(now_us), "later events wait for their time");
    assert_eq!(LeadingEdge::default(), LeadingEdge::WallClock);
}

/// Continuous 1 h sum of ones, watermark 02:31, request 03:00: wall clock 1, latest event 3.
#[test]
fn the_second_example_of_leading_edges_holds() {
    let aggregates = Aggregates::new(&one(None, Function::Sum, &[Window::of(HOUR)])).unwrap();
    let ones = [92, 115, 130].map(|minute| amount(minute * MINUTE, 1.0));
    let row = row_of(&aggregates, &of_one(&ones));
    let sum = |edge: LeadingEdge| {
        let moment_us = edge.moment_us(180 * MINUTE, Some(151 * MINUTE));
        fold(&aggregates, std::slice::from_ref(&row), FoldOptions { moment_us, coerce_null_counts_to_zero: false })
    };
    assert_eq!(sum(LeadingEdge::WallClock), [Value::Float64(1.0)]);
    assert_eq!(sum(LeadingEdge::LatestEventTime), [Value::Float64(3.0)]);
}

#[test]
fn a_window_can_end_before_the_leading_edge() {
    let windows = [Window::of(DAY), Window::Time { length_us: DAY, offset_us: -DAY }];
    let aggregates = Aggregates::new(&one(Some(DAY), Function::Sum, &windows)).unwrap();
    let names: Vec<&str> = aggregates.features().iter().map(|feature| feature.name.as_str()).collect();
    assert_eq!(names, ["amount_sum_1d_1d", "amount_sum_1d_1d_offset_1d"]);
    let days = of_one(&[amount(0, 1.0), amount(DAY, 2.0), amount(2 * DAY, 4.0)]);
    let row = row_of(&aggregates, &days);
    assert_eq!(fold(&aggregates, &[row], at(3 * DAY)), [Value::Float64(4.0), Value::Float64(2.0)]);
}

/// Sum over 1-day windows, of which the reference asks seven at once; here each has an offset of its own.
#[test]
fn days_of_the_references_series_come_out_one_by_one() {
    let windows: Vec<Window> = (0..7).map(|day| Window::Time { length_us: DAY, offset_us: -day * DAY }).collect();
    let aggregates = Aggregates::new(&one(Some(DAY), Function::Sum, &windows)).unwrap();
    let events = [(14, 1.0), (15, 3.0), (16, 6.0), (17, 11.0), (18, 23.0)].map(|(day, value)| amount(day * DAY, value));
    let row = row_of(&aggregates, &of_one(&events));
    let check = |day: i64, expected: [f64; 7]| {
        let mut found = fold(&aggregates, std::slice::from_ref(&row), at(day * DAY));
        found.reverse(); // by name the newest comes first
        let expected = expected.map(|value| if value == 0.0 { Value::Null } else { Value::Float64(value) });
        assert_eq!(found, expected, "day {day}");
    };
    check(15, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    check(18, [0.0, 0.0, 0.0, 1.0, 3.0, 6.0, 11.0]);
    check(19, [0.0, 0.0, 1.0, 3.0, 6.0, 11.0, 23.0]);
    check(20, [0.0, 1.0, 3.0, 6.0, 11.0, 23.0, 0.0]);
    check(24, [11.0, 23.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    check(26, [0.0; 7]);
}

/// user_1 at 05-16, windows 1 d and 7 d; days count from 05-13 here.
#[test]
fn secondary_keys_are_grouped_as_in_the_references_example() {
    let ad = Column { name: "ad_id".to_owned(), column_type: ColumnType::String };
    let of = |function, days| Aggregation {
        column: "units".to_owned(),
        function,
        window: Window::of(days * DAY),
        name: None,
    };
    let specification = Specification {
        interval_us: Some(DAY),
        secondary_key: Some("ad_id".to_owned()),
        columns: columns().into_iter().chain([ad]).collect(),
        aggregations: vec![of(Function::Count, 1), of(Function::Count, 7), of(Function::Sum, 1), of(Function::Sum, 7)],
        ..Specification::default()
    };
    let aggregates = Aggregates::new(&specification).unwrap();
    let last_second = DAY - SECOND;
    let events = [
        ("ad_1", DAY, 1),
        ("ad_1", DAY, 1),
        ("ad_1", DAY + 12 * HOUR, 2),
        ("ad_1", DAY + last_second, 3),
        ("ad_2", 2 * DAY, 4),
        ("ad_3", 2 * DAY + 12 * HOUR, 5),
        ("ad_4", 2 * DAY + last_second, 6),
    ];
    let events =
        events.map(|(key, time_us, units)| Event { time_us, key: Some(key), values: vec![Value::Int64(units)] });
    let row = row_of(&aggregates, &events);
    let texts = |texts: &[&str]| Value::List(texts.iter().map(|text| Value::Bytes(text.as_bytes().to_vec())).collect());
    let integers = |integers: &[i64]| Value::List(integers.iter().copied().map(Value::Int64).collect());
    let names: Vec<&str> = aggregates.features().iter().map(|feature| feature.name.as_str()).collect();
    let in_order = [
        "ad_id_keys_1d",
        "ad_id_keys_7d",
        "units_count_1d_1d",
        "units_count_7d_1d",
        "units_sum_1d_1d",
        "units_sum_7d_1d",
    ];
    assert_eq!(names, in_order);
    assert_eq!(aggregates.features()[0].data_type, ColumnType::Array(Box::new(ColumnType::String)));
    assert_eq!(aggregates.features()[2].data_type, ColumnType::Array(Box::new(ColumnType::Int64)));
    let expected = [
        texts(&["ad_2", "ad_3", "ad_4"]),
        texts(&["ad_1", "ad_2", "ad_3", "ad_4"]),
        integers(&[1, 1, 1]),
        integers(&[4, 1, 1, 1]),
        integers(&[4, 5, 6]),
        integers(&[7, 4, 5, 6]),
    ];
    assert_eq!(fold(&aggregates, std::slice::from_ref(&row), at(3 * DAY)), expected);
    // A window without events has empty lists, whatever the other has.
    let later = fold(&aggregates, &[row], at(5 * DAY));
    assert_eq!(later[0], texts(&[]));
    assert_eq!(later[2], integers(&[]));
    assert_eq!(later[1], texts(&["ad_1", "ad_2", "ad_3", "ad_4"]));
}

#[test]
fn keys_are_sorted_by_bytes() {
    let aggregates = Aggregates::new(&everything(Some(DAY), &[Window::of(DAY)], true)).unwrap();
    let event = |key| Event { time_us: 0, key: Some(key), ..units(0, 1) };
    let row = row_of(&aggregates, &["ad_2", "ad_12", "ad_1", "ad_11", "ad_10"].map(event));
    let keys = aggregates.features().iter().position(|feature| feature.name == "ad_keys_1d").unwrap();
    let expected = ["ad_1", "ad_10", "ad_11", "ad_12", "ad_2"].map(|key| Value::Bytes(key.as_bytes().to_vec()));
    assert_eq!(fold(&aggregates, &[row], at(DAY))[keys], Value::List(expected.to_vec()));
}

#[test]
fn counts_of_nothing_are_null_unless_they_are_coerced() {
    let windows = [Window::of(DAY)];
    for (function, coerced) in [(Function::Count, Value::Int64(0)), (Function::Sum, Value::Null)] {
        let aggregates = Aggregates::new(&one(Some(DAY), function, &windows)).unwrap();
        let row = row_of(&aggregates, &[Event { time_us: 0, key: None, values: vec![Value::Null] }]);
        let found = |coerce_null_counts_to_zero| {
            let options = FoldOptions { moment_us: Some(DAY), coerce_null_counts_to_zero };
            fold(&aggregates, std::slice::from_ref(&row), options)
        };
        assert_eq!(found(false), [Value::Null]);
        assert_eq!(found(true), [coerced]);
    }
}

#[test]
fn a_sum_that_overflows_is_null_and_counted_but_not_what_comes_back() {
    let aggregates = Aggregates::new(&everything(Some(DAY), &[Window::of(2 * DAY)], false)).unwrap();
    let units = |day: i64, value| units(day * DAY, value);
    let check = |events: &[Event], expected: Value, overflows| {
        let bytes = row_of(&aggregates, events);
        let feature = aggregates.features().iter().position(|feature| feature.name.starts_with("units#")).unwrap() + 1;
        let name = &aggregates.features()[feature].name;
        let row = aggregates.row(UncheckedRow::new(&bytes)).unwrap();
        let mut folded = crate::aggregates::Folded::default();
        aggregates.fold(&[row], at(2 * DAY), &mut folded).unwrap();
        assert_eq!(folded.overflows(), overflows, "{name}");
        assert_eq!(fold(&aggregates, &[bytes], at(2 * DAY))[feature], expected, "{name}");
    };
    check(&[units(0, i64::MAX), units(1, 1)], Value::Null, 1);
    check(&[units(0, i64::MAX), units(0, 1), units(1, -1)], Value::Int64(i64::MAX), 0);
    check(&[units(0, i64::MIN), units(1, -1), units(1, 1)], Value::Int64(i64::MIN), 0);
}

#[test]
fn of_equal_times_what_was_written_last_counts() {
    let check = |function, values: &[f64], expected: Value| {
        let aggregates = Aggregates::new(&one(Some(DAY), function, &[Window::of(DAY)])).unwrap();
        let events: Vec<Event> = of_one(&values.iter().map(|value| amount(0, *value)).collect::<Vec<_>>());
        assert_eq!(fold(&aggregates, &[row_of(&aggregates, &events)], at(DAY)), std::slice::from_ref(&expected));
        // The same when every event comes in a row of its own.
        let rows: Vec<Vec<u8>> = events.iter().map(|event| row_of(&aggregates, std::slice::from_ref(event))).collect();
        assert_eq!(fold(&aggregates, &rows, at(DAY)), [expected]);
    };
    let list = |values: &[f64]| Value::List(values.iter().copied().map(Value::Float64).collect());
    check(Function::Last, &[1.0, 2.0, 3.0], Value::Float64(3.0));
    check(Function::First, &[1.0, 2.0, 3.0], Value::Float64(3.0));
    check(Function::LastN(2), &[1.0, 2.0, 3.0], list(&[2.0, 3.0]));
    check(Function::FirstN(2), &[1.0, 2.0, 3.0], list(&[3.0, 2.0]));
    // In continuous windows there is one event at a time.
    let aggregates = Aggregates::new(&one(None, Function::Sum, &[Window::of(DAY)])).unwrap();
    let rows = [1.0, 2.0].map(|value| row_of(&aggregates, &of_one(&[amount(5, value)])));
    assert_eq!(fold(&aggregates, &rows, at(DAY)), [Value::Float64(2.0)]);
}

#[test]
fn nan_is_neither_smallest_nor_largest_beside_a_number() {
    for interval_us in [Some(DAY), None] {
        let check = |function, values: &[f64], expected: f64| {
            let aggregates = Aggregates::new(&one(interval_us, function, &[Window::of(20 * DAY)])).unwrap();
            let events = values.iter().zip(1..).map(|(value, day)| amount(day * DAY, *value));
            let row = row_of(&aggregates, &of_one(&events.collect::<Vec<_>>()));
            let found = fold(&aggregates, &[row], at(15 * DAY));
            let [Value::Float64(found)] = found[..] else { panic!("{found:?}") };
            assert!(found == expected || found.is_nan() && expected.is_nan(), "{function:?}: {found}");
        };
        check(Function::Min, &[f64::NAN, 2.0, 1.0, f64::NAN], 1.0);
        check(Function::Max, &[f64::NAN, 2.0, 1.0, f64::NAN], 2.0);
        check(Function::Max, &[f64::NAN], f64::NAN);
        check(Function::Sum, &[f64::NAN, 2.0], f64::NAN);
        check(Function::Max, &[f64::INFINITY, 2.0], f64::INFINITY);
    }
}

/// 2024-01-01 + 1 d + 45 d + 7 d = 2024-02-23.
#[test]
fn tiles_live_as_long_as_the_reference_says() {
    let aggregates = Aggregates::new(&one(Some(DAY), Function::Sum, &[Window::of(45 * DAY), Window::of(DAY)])).unwrap();
    let start_us = 19_723 * DAY;
    let bytes = row_of(&aggregates, &of_one(&[amount(start_us + 5, 1.0)]));
    let row = aggregates.row(UncheckedRow::new(&bytes)).unwrap();
    let ends_us = start_us + (31 + 22) * DAY;
    for (now_us, lives) in [(start_us, true), (ends_us - 1, true), (ends_us, false)] {
        assert_eq!(aggregates.is_live(&row, now_us), lives);
        assert_eq!(aggregates.is_expired(start_us + 5, now_us), !lives);
        let mut builder = aggregates.builder();
        builder.absorb(&row).unwrap();
        aggregates.expire(&mut builder, now_us);
        assert_eq!(builder.is_empty(), !lives);
    }
}

#[test]
fn lifetime_windows_keep_what_is_past_as_one_tile() {
    let windows = [Window::Lifetime, Window::of(2 * DAY)];
    let mut specification = one(Some(DAY), Function::Sum, &windows);
    specification.lifetime_start_us = Some(0);
    let aggregates = Aggregates::new(&specification).unwrap();
    let names: Vec<&str> = aggregates.features().iter().map(|feature| feature.name.as_str()).collect();
    assert_eq!(names, ["amount_sum_2d_1d", "amount_sum_lifetime"]);
    let days: Vec<Event> = (-5..100).map(|day| amount(day * DAY, 1.0)).collect();
    let mut builder = aggregates.builder();
    let mut bytes = Vec::new();
    builder.absorb(&aggregates.row(UncheckedRow::new(&row_of(&aggregates, &of_one(&days)))).unwrap()).unwrap();
    for now_day in [50, 51, 99] {
        aggregates.expire(&mut builder, now_day * DAY);
        bytes.clear();
        builder.encode(&mut bytes).unwrap();
        let row = aggregates.row(UncheckedRow::new(&bytes)).unwrap();
        assert!(aggregates.is_live(&row, 10_000 * DAY));
        let lifetime = Value::Float64(now_day as f64);
        assert_eq!(fold(&aggregates, std::slice::from_ref(&bytes), at(now_day * DAY)), [Value::Float64(2.0), lifetime]);
    }
    // Of days 0 to 99 those from 90 on are kept by themselves: 99 - 1 (interval) - 2 (window) - 7 is the last that is not.
    assert_eq!(aggregates.row(UncheckedRow::new(&bytes)).unwrap().tiles(), 1 + 10);
}
