//! Numbers that the oracle's margins would let pass.

use super::{
    oracle::{expected, holds},
    world::{Event, Value, at, everything, fold, one, row_of},
};
use crate::aggregates::{Aggregates, Folded, Function, Percentile, Row, UncheckedRow, Window};

const DAY: i64 = 86_400_000_000;

fn amounts(values: impl Iterator<Item = f64>) -> Vec<Event> {
    values
        .zip(0..)
        .map(|(value, at)| Event { time_us: at * DAY / 10, key: None, values: vec![Value::Float64(value)] })
        .collect()
}

fn folded(function: Function, events: &[Event]) -> f64 {
    let aggregates = Aggregates::new(&one(Some(DAY), function, &[Window::of(1000 * DAY)])).unwrap();
    let rows = [row_of(&aggregates, &events[..events.len() / 3]), row_of(&aggregates, &events[events.len() / 3..])];
    match fold(&aggregates, &rows, at(1000 * DAY))[..] {
        [Value::Float64(value)] => value,
        [Value::Int64(value)] => value as f64,
        ref other => panic!("{other:?}"),
    }
}

/// Enough tiles for every lane of every loop, and a rest.
#[test]
fn many_tiles_fold_as_few_do() {
    let windows = [Window::of(5010), Window::Time { length_us: 2990, offset_us: -770 }];
    let mut state = 11u64;
    let mut random = |below: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        i64::try_from(state >> 33).unwrap() % below
    };
    let mut event = |time_us: i64| {
        let number = random(2000) - 1000;
        let values = vec![
            Value::Float64(number as f64 / 8.0),
            Value::Boolean(number % 2 == 0),
            Value::Bytes(format!("shop {}", number % 9).into_bytes()),
            Value::Float32(number as f32),
            Value::Bytes(vec![0; 3]),
            Value::Int64(random(2000) - 1000),
        ];
        Event { time_us, key: None, values }
    };
    let mut events: Vec<Event> = (0..2500).map(|at| event(at * 7919 % 5000)).collect();
    for (interval_us, what) in
        [(Some(10), "bytes count"), (Some(10), "words count"), (Some(10), "sums are wide"), (None, "events")]
    {
        match what {
            "words count" => events.extend((0..300).map(|_| event(4321))),
            "sums are wide" => {
                let large = |units| Event { values: vec![Value::Int64(units); 6], ..event(3) };
                events.extend([i64::MAX, i64::MAX, i64::MIN, i64::MIN].map(large).map(|mut event| {
                    event.values[..5].fill(Value::Null);
                    event
                }));
            }
            "events" => events.retain(|event| !event.values.contains(&Value::Null)),
            _ => {}
        }
        let specification = everything(interval_us, &windows, false);
        let aggregates = Aggregates::new(&specification).unwrap();
        for rows in [
            vec![row_of(&aggregates, &events)],
            vec![row_of(&aggregates, &events[..700]), row_of(&aggregates, &events[700..])],
        ] {
            let found = fold(&aggregates, &rows, at(5009));
            for (position, aggregation) in specification.aggregations.iter().enumerate() {
                let expected = expected(&specification, position, &events, 5009);
                let name = aggregation.name.as_ref().unwrap();
                let feature = aggregates.features().iter().position(|feature| feature.name == *name).unwrap();
                let found = &found[feature];
                assert!(holds(&expected, found), "{what}: {aggregation:?}: expected {expected:?}, found {found:?}");
            }
        }
    }
}

/// Squares of the values would leave no digit of their variance.
#[test]
fn variance_survives_values_far_from_zero() {
    let events = amounts((0..9000).map(|at| 1e9 + f64::from(at % 3)));
    let variance = folded(Function::VarPop, &events);
    assert!((variance - 2.0 / 3.0).abs() < 1e-6, "{variance}");
    let constant = folded(Function::StddevSamp, &amounts((0..9000).map(|_| 1e9 + 0.1)));
    assert!(constant < 1e-6, "{constant}");
}

#[test]
fn distinct_counts_keep_their_standard_error() {
    for precision in [4u8, 8, 12, 16] {
        let function = Function::ApproxCountDistinct { precision };
        let mut specification = one(Some(DAY), function, &[Window::of(1000 * DAY)]);
        specification.aggregations[0].column = "units".to_owned();
        let aggregates = Aggregates::new(&specification).unwrap();
        let event = |at: i64| Event { time_us: at % 2 * DAY, key: None, values: vec![Value::Int64(at)] };
        for exact in [1i64, 5, 20, 200, 30_000] {
            let row = row_of(&aggregates, &(0..exact).map(event).collect::<Vec<_>>());
            let [Value::Int64(found)] = fold(&aggregates, &[row], at(1000 * DAY))[..] else { panic!("no count") };
            let error = (found - exact).abs() as f64 / exact as f64;
            assert!(error <= 3.0 * 1.04 / f64::from(1u32 << precision).sqrt(), "{found} for {exact} at {precision}");
        }
    }
}

#[test]
fn percentiles_of_many_values_are_near() {
    // 0, 1, 2, … in an order that jumps about.
    let events = amounts((0..9973u32).map(|at| f64::from(at * 7919 % 9973)));
    for share in [0.0, 0.001, 0.1, 0.5, 0.9, 0.999, 1.0] {
        let percentile = Percentile::new(share).unwrap();
        let found = folded(Function::ApproxPercentile { percentile, precision: 100 }, &events) / 9972.0;
        assert!((found - share).abs() < 0.01, "{share}: {found}");
    }
    let unordered = amounts([3.0, f64::NAN, 1.0, f64::INFINITY, 2.0].into_iter());
    let percentile = Percentile::new(0.5).unwrap();
    assert_eq!(folded(Function::ApproxPercentile { percentile, precision: 20 }, &unordered), 2.0);
}

#[test]
fn folding_numbers_and_lists_allocates_nothing_once_warm() {
    for function in [Function::Sum, Function::StddevPop, Function::Max, Function::LastN(100), Function::First] {
        let aggregates =
            Aggregates::new(&one(Some(DAY), function, &[Window::of(1000 * DAY), Window::of(DAY)])).unwrap();
        let bytes = row_of(&aggregates, &amounts((0..9000).map(f64::from)));
        let rows: [Row<'_>; 1] = [aggregates.row(UncheckedRow::new(&bytes)).unwrap()];
        let mut folded = Folded::default();
        aggregates.fold(&rows, at(900 * DAY), &mut folded).unwrap();
        let info = allocation_counter::measure(|| aggregates.fold(&rows, at(900 * DAY), &mut folded).unwrap());
        assert_eq!(info.count_total, 0, "{function:?}");
    }
}
