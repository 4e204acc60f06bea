//! Layout 1 to the byte: what was written once is read, and written again as it was.

use std::fmt::Write as _;

use super::world::{Event, Value, at, everything, fold, row_of};
use crate::aggregates::{Aggregates, UncheckedRow, Window};

/// One row a line: its name, then its bytes.
const FIXTURE: &str = include_str!("../../../fixtures/tile-rows-v1.txt");

fn rows() -> Vec<(&'static str, Aggregates, Vec<u8>)> {
    let event = |at: i64| Event {
        time_us: at * 7,
        key: Some(if at % 2 == 0 { "a" } else { "b" }),
        values: vec![
            Value::Float64(at as f64 / 4.0),
            Value::Boolean(at % 2 == 0),
            Value::Bytes(format!("shop {}", at % 3).into_bytes()),
            if at % 4 == 0 { Value::Null } else { Value::Float32(at as f32) },
            Value::Bytes(vec![0xff, 0x00]),
            Value::Int64(if at == 3 { i64::MAX } else { at }),
        ],
    };
    let events: Vec<Event> = (-2..9).map(event).collect();
    let many: Vec<Event> = (0..400).map(|at| Event { time_us: 3, ..event(at) }).collect();
    let tiled = [Window::of(30), Window::Lifetime];
    let row = |name, interval_us: Option<i64>, grouped, events: &[Event]| {
        let windows = if interval_us.is_some() { &tiled[..] } else { &tiled[..1] };
        let aggregates = Aggregates::new(&everything(interval_us, windows, grouped)).unwrap();
        let bytes = row_of(&aggregates, events);
        (name, aggregates, bytes)
    };
    vec![
        row("empty", Some(10), false, &[]),
        row("tiles", Some(10), false, &events),
        row("tiles-by-key", Some(10), true, &events),
        row("events", None, false, &events),
        row("events-by-key", None, true, &events),
        row("wide", Some(10), false, &many),
        anew(&events[..2]),
    ]
}

/// Written after the key had been deleted.
fn anew(events: &[Event]) -> (&'static str, Aggregates, Vec<u8>) {
    let aggregates = Aggregates::new(&everything(Some(10), &[Window::of(30)], false)).unwrap();
    let mut builder = aggregates.builder();
    builder.begin_anew();
    for event in events {
        let values: Vec<_> = event.values.iter().map(Value::input).collect();
        builder.add(event.time_us, None, &values);
    }
    let mut row = Vec::new();
    builder.encode(&mut row).unwrap();
    assert!(aggregates.row(UncheckedRow::new(&row)).unwrap().begins_anew());
    ("anew", aggregates, row)
}

#[test]
fn rows_are_written_as_ever() {
    let mut written = String::new();
    for (name, _, bytes) in rows() {
        write!(written, "{name} ").unwrap();
        bytes.iter().for_each(|byte| write!(written, "{byte:02x}").unwrap());
        written.push('\n');
    }
    if written != FIXTURE {
        for (line, expected) in written.lines().zip(FIXTURE.lines()) {
            assert_eq!(line, expected);
        }
        panic!("not as many rows as in the fixture:\n{written}");
    }
}

#[test]
fn rows_written_once_are_read() {
    for ((name, aggregates, row), line) in rows().into_iter().zip(FIXTURE.lines()) {
        let hex = line.strip_prefix(name).unwrap().trim();
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        aggregates.row(UncheckedRow::new(&bytes)).unwrap();
        assert_eq!(fold(&aggregates, &[bytes], at(40)), fold(&aggregates, &[row], at(40)), "{name}");
    }
}
