//! Bytes that are no row, or nearly one: refused or read as something, never a panic.

use proptest::prelude::*;

use super::world::{Event, Value, at, everything, row_of};
use crate::aggregates::{Aggregates, Folded, UncheckedRow, Window};

const INTERVAL_US: i64 = 10;

fn views() -> Vec<(Aggregates, Vec<u8>)> {
    let event = |at: i64| Event {
        time_us: at * 3,
        key: Some(match at % 3 {
            0 => "a",
            1 => "b",
            _ => "cc",
        }),
        values: vec![
            Value::Float64(at as f64 * 1.5),
            Value::Boolean(at % 2 == 0),
            Value::Bytes(format!("shop {}", at % 40).into_bytes()),
            Value::Float32(0.5),
            if at % 3 == 0 { Value::Null } else { Value::Bytes(vec![1, 2, 3]) },
            Value::Int64(at % 7),
        ],
    };
    let events: Vec<Event> = (-3..9).map(event).collect();
    let tiled = [Window::Lifetime];
    let windows = [Window::of(50)];
    let mut views = Vec::new();
    for (interval_us, windows) in [(Some(INTERVAL_US), &tiled), (None, &windows)] {
        for grouped in [false, true] {
            let aggregates = Aggregates::new(&everything(interval_us, windows, grouped)).unwrap();
            let row = row_of(&aggregates, &events);
            views.push((aggregates, row));
        }
    }
    views
}

/// Does all that can be done with bytes.
fn use_all(aggregates: &Aggregates, bytes: &[u8], beside: &[u8]) {
    let Ok(row) = aggregates.row(UncheckedRow::new(bytes)) else { return };
    let beside = aggregates.row(UncheckedRow::new(beside)).unwrap();
    let mut folded = Folded::default();
    for moment_us in [i64::MIN, 55] {
        let _ = aggregates.fold(&[row], at(moment_us), &mut folded);
        if aggregates.fold(&[beside, row], at(moment_us), &mut folded).is_ok() {
            for item in folded.values().iter().flat_map(|item| folded.elements(*item)) {
                let _ = Folded::bytes(*item, &[beside, row]);
            }
        }
        aggregates.is_live(&row, moment_us);
        aggregates.effective_time_us(moment_us, &[row]);
    }
    let mut builder = aggregates.builder();
    if builder.absorb(&row).is_ok() && builder.absorb(&beside).is_ok() && builder.absorb(&row).is_ok() {
        aggregates.expire(&mut builder, 40);
        let mut out = Vec::new();
        builder.encode(&mut out).unwrap();
        aggregates.row(UncheckedRow::new(&out)).unwrap();
    }
}

#[test]
fn every_length_is_refused_but_the_right_one() {
    for (aggregates, row) in views() {
        for length in 0..row.len() {
            assert!(aggregates.row(UncheckedRow::new(&row[..length])).is_err(), "{length}");
        }
        let longer = [row.as_slice(), &[0]].concat();
        assert!(aggregates.row(UncheckedRow::new(&longer)).is_err());
        use_all(&aggregates, &row, &row);
    }
}

#[test]
fn every_byte_may_be_any_of_some() {
    for (aggregates, row) in views() {
        let mut bytes = row.clone();
        for at in 0..row.len() {
            for value in [[0, 0x7f, 0x80, 0xff][at % 4], row[at] ^ 1] {
                bytes[at] = value;
                use_all(&aggregates, &bytes, &row);
            }
            bytes[at] = row[at];
        }
    }
}

#[test]
fn rows_of_other_views_are_refused() {
    let views = views();
    for (position, (aggregates, _)) in views.iter().enumerate() {
        for (other, (_, row)) in views.iter().enumerate() {
            assert_eq!(aggregates.row(UncheckedRow::new(row)).is_ok(), position == other);
        }
    }
    // Another list's length, another interval: other rows.
    let (aggregates, row) = &views[0];
    let mut specification = everything(Some(INTERVAL_US), &[Window::Lifetime], false);
    specification.interval_us = Some(5);
    let other = Aggregates::new(&specification).unwrap();
    let damaged = other.row(UncheckedRow::new(row)).unwrap_err();
    assert_eq!((damaged.at, damaged.expected), (4, "the fingerprint of the view's aggregations"));
    let mut newer = row.clone();
    newer[0] = 2;
    assert_eq!(aggregates.row(UncheckedRow::new(&newer)).unwrap_err().expected, "version 1");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn several_bytes_may_be_any(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12), head in 0usize..4) {
        for (aggregates, row) in views() {
            let mut bytes = row.clone();
            for (at, value) in &changes {
                // Half of the time near the start, where the shape of the rest is decided.
                let length = if head == 0 { row.len() } else { row.len().min(head * 200) };
                bytes[at.index(length)] = *value;
            }
            use_all(&aggregates, &bytes, &row);
        }
    }
}
