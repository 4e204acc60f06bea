//! What aggregations are, computed from all events in the plainest way. It shares no code with what it judges.

use std::collections::BTreeSet;

use super::world::{Event, Value};
use crate::aggregates::{Function, Specification, Window};

/// What a feature's value must be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expected {
    Exactly(Value),
    /// Within rounding, relative to numbers of this size.
    About(f64, f64),
    /// A sketch's: in this range.
    Between(f64, f64),
    Each(Vec<Self>),
}

/// The feature of the aggregation at this position; of `keys_of` a window, its secondary keys.
pub(super) fn expected(specification: &Specification, at: usize, events: &[Event], moment_us: i64) -> Expected {
    let aggregation = &specification.aggregations[at];
    let column = super::world::columns().iter().position(|column| column.name == aggregation.column).unwrap();
    let events = live(specification, events);
    let counted: Vec<&Event> = events
        .into_iter()
        .filter(|event| counts(specification, aggregation.window, event.time_us, moment_us))
        .collect();
    if specification.secondary_key.is_none() {
        return folded(aggregation.function, column, &counted);
    }
    let keys: BTreeSet<&str> = counted.iter().filter_map(|event| event.key).collect();
    let of_key = |key: &&str| {
        let events: Vec<&Event> = counted.iter().copied().filter(|event| event.key == Some(*key)).collect();
        folded(aggregation.function, column, &events)
    };
    Expected::Each(keys.iter().map(of_key).collect())
}

/// The secondary keys of a window.
pub(super) fn keys(specification: &Specification, window: Window, events: &[Event], moment_us: i64) -> Expected {
    let counted = events.iter().filter(|event| counts(specification, window, event.time_us, moment_us));
    let keys: BTreeSet<&str> = counted.filter_map(|event| event.key).collect();
    Expected::Exactly(Value::List(keys.into_iter().map(|key| Value::Bytes(key.as_bytes().to_vec())).collect()))
}

/// Single events replace the one of their time and key.
fn live<'e>(specification: &Specification, events: &'e [Event]) -> Vec<&'e Event> {
    let replaced = |at: usize| {
        let same = |other: &Event| {
            other.time_us == events[at].time_us
                && (specification.secondary_key.is_none() || other.key == events[at].key)
        };
        specification.interval_us.is_none() && events[at + 1..].iter().any(same)
    };
    (0..events.len()).filter(|at| !replaced(*at)).map(|at| &events[at]).collect()
}

fn counts(specification: &Specification, window: Window, time_us: i64, moment_us: i64) -> bool {
    match (specification.interval_us, window) {
        (Some(interval_us), Window::Time { length_us, offset_us }) => {
            let mut edge_us = moment_us;
            while edge_us % interval_us != 0 {
                edge_us -= 1;
            }
            let end_us = edge_us + offset_us;
            end_us - length_us <= time_us && time_us < end_us
        }
        (None, Window::Time { length_us, offset_us }) => {
            let end_us = moment_us + offset_us;
            end_us - length_us < time_us && time_us <= end_us
        }
        (Some(interval_us), Window::Lifetime) => {
            let mut edge_us = moment_us;
            while edge_us % interval_us != 0 {
                edge_us -= 1;
            }
            specification.lifetime_start_us.unwrap() <= time_us && time_us < edge_us
        }
        (None, Window::Lifetime) => panic!("refused"),
    }
}

/// `events` are in the order in which they were written.
fn folded(function: Function, column: usize, events: &[&Event]) -> Expected {
    let mut values: Vec<(i64, usize, &Value)> = Vec::new();
    for (written, event) in events.iter().enumerate() {
        if event.values[column] != Value::Null {
            values.push((event.time_us, written, &event.values[column]));
        }
    }
    if values.is_empty() {
        return Expected::Exactly(Value::Null);
    }
    values.sort_by_key(|(time_us, written, _)| (*time_us, *written));
    let newest: Vec<&Value> = values.iter().map(|(_, _, value)| *value).collect();
    values.sort_by_key(|(time_us, written, _)| (*time_us, usize::MAX - *written));
    let oldest: Vec<&Value> = values.iter().map(|(_, _, value)| *value).collect();
    let numbers: Vec<f64> = newest.iter().map(|value| number(value)).collect();
    let count = numbers.len() as f64;
    let size = numbers.iter().fold(1.0, |size: f64, number| size.max(number.abs()));
    let list = |values: Vec<&Value>| Expected::Exactly(Value::List(values.into_iter().cloned().collect()));
    let last = |values: &[&Value], n: u16| {
        values[values.len().saturating_sub(usize::from(n))..].iter().map(|v| (*v).clone()).collect()
    };
    match function {
        Function::Count => Expected::Exactly(Value::Int64(numbers.len().try_into().unwrap())),
        Function::Sum if matches!(newest[0], Value::Int64(_)) => {
            let sum: i128 = newest.iter().map(|value| integer(value)).sum();
            Expected::Exactly(i64::try_from(sum).map_or(Value::Null, Value::Int64))
        }
        Function::Sum => Expected::About(numbers.iter().sum(), size * count),
        Function::Mean => Expected::About(mean(&newest), size),
        Function::Min => {
            Expected::Exactly(newest.iter().copied().min_by(|one, other| compare(one, other)).unwrap().clone())
        }
        Function::Max => {
            Expected::Exactly(newest.iter().copied().max_by(|one, other| compare(one, other)).unwrap().clone())
        }
        Function::VarSamp | Function::StddevSamp if numbers.len() == 1 => Expected::Exactly(Value::Null),
        Function::VarSamp | Function::VarPop | Function::StddevSamp | Function::StddevPop => {
            let mean = mean(&newest);
            let squares: f64 = numbers.iter().map(|number| (number - mean) * (number - mean)).sum();
            let sample = matches!(function, Function::VarSamp | Function::StddevSamp);
            let variance = squares / if sample { count - 1.0 } else { count };
            match function {
                Function::VarSamp | Function::VarPop => Expected::About(variance, size * size * 4.0),
                _ => Expected::About(variance.sqrt(), size * 4000.0), // a root halves the digits of what is nearly zero
            }
        }
        Function::Last => Expected::Exactly(newest[newest.len() - 1].clone()),
        Function::First => Expected::Exactly(oldest[0].clone()),
        Function::LastN(n) => Expected::Exactly(Value::List(last(&newest, n))),
        Function::FirstN(n) => list(oldest.into_iter().take(usize::from(n)).collect()),
        Function::LastDistinct(n) => {
            let mut seen: Vec<&Value> = Vec::new();
            for value in newest.iter().rev() {
                if !seen.contains(value) && seen.len() < usize::from(n) {
                    seen.push(value);
                }
            }
            seen.reverse();
            list(seen)
        }
        Function::FirstDistinct(n) => {
            let mut seen: Vec<&Value> = Vec::new();
            for value in oldest {
                if !seen.contains(&value) && seen.len() < usize::from(n) {
                    seen.push(value);
                }
            }
            list(seen)
        }
        Function::ApproxCountDistinct { precision } => {
            let different: BTreeSet<String> = newest.iter().map(|value| format!("{value:?}")).collect();
            let exact = different.len() as f64;
            // Six standard errors; those of few values are exact but for collisions.
            let margin = exact * 6.0 * 1.04 / f64::from(1u32 << precision).sqrt() + 0.5;
            Expected::Between((exact - margin).max(1.0), exact + margin)
        }
        Function::ApproxPercentile { percentile, precision } => {
            let mut finite: Vec<f64> = numbers.into_iter().filter(|number| number.is_finite()).collect();
            if finite.is_empty() {
                return Expected::Exactly(Value::Null);
            }
            finite.sort_by(f64::total_cmp);
            // Within one value and some share of all: digests of many values are coarse in the middle.
            let slack = 1.0 + finite.len() as f64 * 4.0 / f64::from(precision);
            let rank = percentile.share() * (finite.len() - 1) as f64;
            let within = |at: &usize| (*at as f64 - rank).abs() <= slack.ceil();
            let near: Vec<f64> = (0..finite.len()).filter(within).map(|at| finite[at]).collect();
            Expected::Between(near[0], near[near.len() - 1])
        }
    }
}

fn mean(values: &[&Value]) -> f64 {
    match values[0] {
        Value::Int64(_) => values.iter().map(|value| integer(value)).sum::<i128>() as f64 / values.len() as f64,
        _ => values.iter().map(|value| number(value)).sum::<f64>() / values.len() as f64,
    }
}

fn integer(value: &Value) -> i128 {
    match value {
        Value::Int64(value) => i128::from(*value),
        _ => panic!("no integer"),
    }
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Int64(value) => *value as f64,
        Value::Float32(value) => f64::from(*value),
        Value::Float64(value) => *value,
        _ => 0.0,
    }
}

fn compare(one: &Value, other: &Value) -> std::cmp::Ordering {
    match (one, other) {
        (Value::Int64(one), Value::Int64(other)) => one.cmp(other),
        (Value::Float64(one), Value::Float64(other)) => one.partial_cmp(other).unwrap(),
        (Value::Bytes(one), Value::Bytes(other)) => one.cmp(other),
        _ => panic!("not ordered"),
    }
}

/// Whether a value is what is expected.
pub(super) fn holds(expected: &Expected, found: &Value) -> bool {
    match (expected, found) {
        (Expected::Exactly(Value::Float64(expected)), Value::Float64(found)) => expected == found,
        (Expected::Exactly(expected), found) => expected == found,
        (Expected::About(expected, size), Value::Float64(found)) => {
            (expected - found).abs() <= size * 1e-12 || expected.is_nan() && found.is_nan() || expected == found
        }
        (Expected::Between(from, to), Value::Float64(found)) => from <= found && found <= to,
        (Expected::Between(from, to), Value::Int64(found)) => *from <= *found as f64 && *found as f64 <= *to,
        (Expected::Each(expected), Value::List(found)) => {
            expected.len() == found.len() && expected.iter().zip(found).all(|(expected, found)| holds(expected, found))
        }
        _ => false,
    }
}
