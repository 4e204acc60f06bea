//! Folding the tiles of one key: one feature over 1,000 tiles, each with some events; and building and merging such rows.
//!
//! Goal: count, sum, mean, min, max and variance at most 1.5 µs each. Not the goals: sketches and lists, which are shown; finding the row; rows
//! of many windows.
#![expect(clippy::unwrap_used, reason = "a bench fails loudly")]

use divan::{Bencher, black_box};
use gannet_api::aggregates::{
    Aggregates, Aggregation, Column, FoldOptions, Folded, Function, Input, Specification, UncheckedRow, Window,
};
use gannet_benches::Random;
use gannet_store::ColumnType;

const TILES: i64 = 1000;
const EVENTS_PER_TILE: i64 = 5;
const INTERVAL_US: i64 = 3_600_000_000;
const OPTIONS: FoldOptions = FoldOptions { moment_us: Some(TILES * INTERVAL_US), coerce_null_counts_to_zero: false };

fn main() {
    divan::main();
}

/// One aggregation of a column of this type over all tiles.
fn one(column_type: ColumnType, function: &str, interval_us: Option<i64>) -> Aggregates {
    let aggregation = Aggregation {
        column: "amount".to_owned(),
        function: Function::parse(function).unwrap(),
        window: Window::of(TILES * INTERVAL_US),
        name: None,
    };
    let specification = Specification {
        interval_us,
        columns: vec![Column { name: "amount".to_owned(), column_type }],
        aggregations: vec![aggregation],
        ..Specification::default()
    };
    Aggregates::new(&specification).unwrap()
}

fn row(aggregates: &Aggregates, tiles: std::ops::Range<i64>) -> Vec<u8> {
    let mut random = Random::new(7);
    let mut builder = aggregates.builder();
    let integer = aggregates.columns()[0].column_type == ColumnType::Int64;
    for event in tiles.start * EVENTS_PER_TILE..tiles.end * EVENTS_PER_TILE {
        let value = i64::try_from(random.below(10_000)).unwrap();
        let value = if integer { Input::Int64(value) } else { Input::Float64(value as f64 / 100.0) };
        builder.add(event * INTERVAL_US / EVENTS_PER_TILE, None, &[value]);
    }
    let mut out = Vec::new();
    builder.encode(&mut out).unwrap();
    out
}

fn fold(bencher: Bencher<'_, '_>, column_type: ColumnType, function: &str, interval_us: Option<i64>) {
    let aggregates = one(column_type, function, interval_us);
    let bytes = row(&aggregates, 0..TILES);
    let mut folded = Folded::default();
    let mut check = || {
        let row = aggregates.row(UncheckedRow::new(black_box(&bytes))).unwrap();
        aggregates.fold(&[row], OPTIONS, &mut folded).unwrap();
        folded.values()[0]
    };
    assert_ne!(check(), gannet_api::aggregates::Item::Null);
    bencher.bench_local(check);
}

#[divan::bench(args = ["count", "sum", "mean", "min", "max", "var_samp", "last(10)", "approx_percentile(0.5)"])]
fn tiles_of_floats(bencher: Bencher<'_, '_>, function: &str) {
    fold(bencher, ColumnType::Float64, function, Some(INTERVAL_US));
}

#[divan::bench(args = ["count", "sum", "mean", "min", "max", "var_samp", "last_distinct(10)", "approx_count_distinct"])]
fn tiles_of_integers(bencher: Bencher<'_, '_>, function: &str) {
    fold(bencher, ColumnType::Int64, function, Some(INTERVAL_US));
}

/// 5,000 events.
#[divan::bench(args = ["count", "sum", "min", "var_samp"])]
fn single_events(bencher: Bencher<'_, '_>, function: &str) {
    fold(bencher, ColumnType::Float64, function, None);
}

#[divan::bench]
fn encode(bencher: Bencher<'_, '_>) {
    let aggregates = one(ColumnType::Float64, "var_samp", Some(INTERVAL_US));
    let bytes = row(&aggregates, 0..TILES);
    let mut builder = aggregates.builder();
    builder.absorb(&aggregates.row(UncheckedRow::new(&bytes)).unwrap()).unwrap();
    let mut out = Vec::new();
    bencher.bench_local(|| {
        out.clear();
        builder.encode(&mut out).unwrap();
        out.len()
    });
}

/// A row of a thousand tiles and one of ten that overlap, read, put together and written.
#[divan::bench]
fn merge(bencher: Bencher<'_, '_>) {
    let aggregates = one(ColumnType::Float64, "var_samp", Some(INTERVAL_US));
    let rows = [row(&aggregates, 0..TILES), row(&aggregates, TILES - 5..TILES + 5)];
    let mut out = Vec::new();
    bencher.bench_local(|| {
        let mut builder = aggregates.builder();
        for bytes in &rows {
            builder.absorb(&aggregates.row(UncheckedRow::new(bytes)).unwrap()).unwrap();
        }
        out.clear();
        builder.encode(&mut out).unwrap();
        out.len()
    });
}

/// One event into a builder of a thousand tiles.
#[divan::bench]
fn add(bencher: Bencher<'_, '_>) {
    let aggregates = one(ColumnType::Float64, "var_samp", Some(INTERVAL_US));
    let mut builder = aggregates.builder();
    let mut random = Random::new(3);
    bencher.bench_local(|| {
        let tile = i64::try_from(random.below(TILES.unsigned_abs())).unwrap();
        builder.add(tile * INTERVAL_US, None, &[Input::Float64(1.0)]);
    });
}
