//! Names, types and what is refused.

use gannet_store::ColumnType;

use super::world::{columns, functions, one};
use crate::aggregates::{Aggregates, Aggregation, Fault, Function, Percentile, Specification, Window};

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

fn parsed(text: &str) -> Function {
    Function::parse(text).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn names_follow_the_reference() {
    let check = |column: &str, function: &str, window: Window, interval_us: Option<i64>, expected: &str| {
        let aggregation = Aggregation { column: column.to_owned(), function: parsed(function), window, name: None };
        let specification = Specification {
            interval_us,
            lifetime_start_us: Some(0),
            columns: columns(),
            aggregations: vec![aggregation],
            ..Specification::default()
        };
        let aggregates = Aggregates::new(&specification).unwrap_or_else(|faults| panic!("{expected}: {faults:?}"));
        assert_eq!(aggregates.features()[0].name, expected);
    };
    let minutes = |minutes: i64| minutes * 60_000_000;
    check("amount", "sum", Window::of(DAY), Some(minutes(10)), "amount_sum_1d_10m");
    check("shop", "last(3)", Window::of(DAY), Some(DAY), "shop_last_3_1d_1d");
    check("units", "count", Window::of(7 * DAY), None, "units_count_7d_continuous");
    check(
        "amount",
        "approx_percentile(0.5)",
        Window::of(minutes(90)),
        Some(minutes(30)),
        "amount_approx_percentile_p0_5_1h30m_30m",
    );
    check("amount", "approx_percentile(1, 20)", Window::of(DAY), Some(DAY), "amount_approx_percentile_p1_0_1d_1d");
    check("shop", "first_distinct(12)", Window::of(DAY), Some(500_000), "shop_first_distinct_12_1d_500ms");
    check("shop", "approx_count_distinct(12)", Window::of(DAY), Some(DAY), "shop_approx_count_distinct_1d_1d");
    check("amount", "stddev", Window::Lifetime, Some(DAY), "amount_stddev_samp_lifetime");
    let late = Window::Time { length_us: DAY, offset_us: -HOUR };
    check("amount", "variance", late, None, "amount_var_samp_1d_continuous_offset_1h");
}

#[test]
fn functions_are_read_as_they_are_written() {
    let check = |text: &str, expected: Option<Function>| assert_eq!(Function::parse(text), expected, "{text}");
    let percentile =
        |share, precision| Function::ApproxPercentile { percentile: Percentile::new(share).unwrap(), precision };
    check("last", Some(Function::Last));
    check("last(1)", Some(Function::LastN(1)));
    check("last( 10 )", Some(Function::LastN(10)));
    check("approx_count_distinct", Some(Function::ApproxCountDistinct { precision: 8 }));
    check("approx_percentile(0.25)", Some(percentile(0.25, 100)));
    check("approx_percentile(0.25, 200)", Some(percentile(0.25, 200)));
    for text in [
        "",
        "sums",
        "sum()",
        "sum(1)",
        "last(",
        "last(x)",
        "last(1,2)",
        "last_distinct",
        "approx_percentile",
        "approx_percentile(1.5)",
        "approx_percentile(nan)",
        "approx_percentile(0.5, 1, 2)",
        "last(70000)",
    ] {
        check(text, None);
    }
    assert_eq!(Percentile::new(-0.0).map(|percentile| percentile.share().to_bits()), Some(0));
}

#[test]
fn types_are_those_of_the_reference() {
    use ColumnType::{Array, Boolean, Float32, Float64, Int64, String, Timestamp};
    let list = |element: &ColumnType| Array(Box::new(element.clone()));
    let all = [Boolean, Int64, Float32, Float64, String, Timestamp, list(&Int64)];
    let check = |function: &str, outputs: [Option<ColumnType>; 7]| {
        for (input, output) in all.iter().zip(outputs) {
            assert_eq!(parsed(function).output(input), output, "{function} of {input:?}");
        }
    };
    let some = Some;
    check("count", std::array::from_fn(|_| some(Int64)));
    check("sum", [None, some(Int64), None, some(Float64), None, None, None]);
    check("mean", [None, some(Float64), None, some(Float64), None, None, None]);
    check("stddev_pop", [None, some(Float64), None, some(Float64), None, None, None]);
    check("max", [None, some(Int64), None, some(Float64), some(String), None, None]);
    check("last", [some(Boolean), some(Int64), some(Float32), some(Float64), some(String), None, some(list(&Int64))]);
    let lists = [Boolean, Int64, Float32, Float64, String].map(|element| some(list(&element)));
    let [boolean, int64, float32, float64, string] = lists;
    check("first(2)", [boolean, int64.clone(), float32, float64, string.clone(), None, some(list(&list(&Int64)))]);
    check("last_distinct(2)", [None, int64, None, None, string, None, None]);
    check("approx_count_distinct", [None, some(Int64), None, None, some(Int64), None, None]);
    check("approx_percentile(0.5)", [None, some(Float64), some(Float64), some(Float64), None, None, None]);
}

#[test]
fn all_faults_are_told_at_once_with_their_places() {
    let aggregation = |column: &str, function: &str, window| Aggregation {
        column: column.to_owned(),
        function: parsed(function),
        window,
        name: None,
    };
    let specification = Specification {
        interval_us: Some(HOUR),
        secondary_key: Some("amount".to_owned()),
        join_keys: vec!["amount".to_owned()],
        lifetime_start_us: Some(5),
        columns: columns(),
        aggregations: vec![
            aggregation("nothing", "sum", Window::of(HOUR)),
            aggregation("shop", "sum", Window::of(90 * 60_000_000)),
            aggregation("units", "last(1001)", Window::of(0)),
            aggregation("units", "approx_count_distinct(3)", Window::Time { length_us: HOUR, offset_us: 1 }),
            aggregation("units", "approx_percentile(0.5, 501)", Window::Time { length_us: HOUR, offset_us: -1 }),
            aggregation("amount", "sum", Window::Lifetime),
            aggregation("units", "min", Window::of(HOUR)),
            aggregation("units", "min", Window::of(HOUR)),
        ],
    };
    let faults = Aggregates::new(&specification).unwrap_err();
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "the secondary key `amount` is no string column of the source",
            "the secondary key `amount` is a join key",
            "the lifetime start is no multiple of the aggregation interval 1h since 1970-01-01",
            "there is no column `nothing`",
            "column `shop` has a type that `sum` cannot aggregate",
            "the window 1h30m is no multiple of the aggregation interval 1h",
            "`last_1001` has n 1001; expected 1 to 1000",
            "the window is 0s; expected more than 0s and at most 36500d",
            "`approx_count_distinct` has precision 3; expected 4 to 16",
            "the offset is 1us; expected 0s or less, and at least -36500d",
            "`approx_percentile_p0_5` has precision 501; expected 20 to 500",
            "the offset -1us is no multiple of the aggregation interval 1h",
            "the secondary key `amount` is aggregated, too",
            "two features are named `units_min_1h_1h`",
        ]
    );
    assert_eq!(faults[3], Fault::UnknownColumn { at: 0, column: "nothing".to_owned() });

    let check = |specification: Specification, expected: &str| {
        assert_eq!(Aggregates::new(&specification).unwrap_err()[0].to_string(), expected);
    };
    check(one(None, Function::Sum, &[Window::Lifetime]), "a lifetime window needs an aggregation interval");
    check(one(Some(DAY), Function::Sum, &[Window::Lifetime]), "a lifetime window needs the view's lifetime start");
    check(
        one(Some(-1), Function::Sum, &[Window::of(DAY)]),
        "the aggregation interval is -1us; expected more than 0s and at most 36500d",
    );
    check(one(Some(DAY), Function::Sum, &[]), "there are 0 aggregations; expected 1 to 1024 (AGGREGATIONS_MAX)");
    check(
        one(None, Function::Sum, &[Window::of(i64::MIN)]),
        &format!("the window is -{}; expected more than 0s and at most 36500d", "106751991d4h54s775ms807us"),
    );
}

/// What functions share is kept once.
#[test]
fn partials_are_shared() {
    let check = |functions: &[Function], arrays: usize| {
        let aggregation = |(at, function): (usize, &Function)| Aggregation {
            column: "units".to_owned(),
            function: *function,
            window: Window::of(DAY),
            name: Some(at.to_string()),
        };
        let specification = Specification {
            interval_us: Some(DAY),
            columns: columns(),
            aggregations: functions.iter().enumerate().map(aggregation).collect(),
            ..Specification::default()
        };
        assert_eq!(usize::from(Aggregates::new(&specification).unwrap().shape.arrays), arrays, "{functions:?}");
    };
    check(&[Function::Count], 1);
    check(&[Function::Mean, Function::Sum, Function::Count], 2);
    check(&[Function::Mean, Function::VarPop, Function::StddevSamp, Function::VarSamp, Function::StddevPop], 3);
    check(&[Function::Last, Function::LastN(3), Function::LastN(7)], 2);
    check(&[Function::Last, Function::First, Function::LastDistinct(2), Function::FirstDistinct(5)], 5);
    // All of `functions`: count, sum, squares, min, max, 4 lists, 2 distinct, 2 digests.
    let of_integers = functions().into_iter().filter(|function| function.output(&ColumnType::Int64).is_some());
    check(&of_integers.collect::<Vec<_>>(), 13);
}
