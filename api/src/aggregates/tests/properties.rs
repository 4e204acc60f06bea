//! Whatever the events, their order, the windows, and the rows they are spread over: the oracle agrees.

use proptest::{collection::vec, prelude::*};

use super::{
    oracle::{expected, holds, keys},
    world::{Event, Value, at, everything, fold, row_of},
};
use crate::aggregates::{Aggregates, Specification, UncheckedRow, Window};

pub(super) const INTERVAL_US: i64 = 10;

fn value() -> [BoxedStrategy<Value>; 6] {
    let amounts = prop_oneof![(-1e6f64..1e6), (-3i32..3).prop_map(f64::from), Just(1e9)];
    let units = prop_oneof![8 => -5i64..5, 1 => Just(i64::MAX), 1 => Just(i64::MIN)];
    let texts = prop::sample::select(vec!["", "a", "b", "ab", "Ω", "long enough to be no word"]);
    let tags = prop::sample::select(vec![&b""[..], b"\0\xff", b"tags"]);
    [
        amounts.prop_map(Value::Float64).boxed(),
        any::<bool>().prop_map(Value::Boolean).boxed(),
        texts.prop_map(|text| Value::Bytes(text.as_bytes().to_vec())).boxed(),
        (-4i8..4).prop_map(|value| Value::Float32(f32::from(value) / 2.0)).boxed(),
        tags.prop_map(|tags| Value::Bytes(tags.to_vec())).boxed(),
        units.prop_map(Value::Int64).boxed(),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let values = value().map(|value| prop_oneof![5 => value, 1 => Just(Value::Null)]);
    let [amount, flag, shop, small, tags, units] = values;
    let key = prop::sample::select(vec![Some("k1"), Some("k10"), Some("k2"), Some(""), None]);
    (-60i64..60, key, (amount, flag, shop, small, tags, units)).prop_map(|(time_us, key, values)| {
        let (amount, flag, shop, small, tags, units) = values;
        Event { time_us, key, values: vec![amount, flag, shop, small, tags, units] }
    })
}

fn window(tiled: bool) -> impl Strategy<Value = Window> {
    let unit = if tiled { INTERVAL_US } else { 1 };
    let time = (1i64..12, -6i64..=0).prop_map(move |(length, offset)| Window::Time {
        length_us: length * unit * if tiled { 1 } else { 7 },
        offset_us: offset * unit,
    });
    prop_oneof![4 => time, 1 => Just(if tiled { Window::Lifetime } else { Window::of(40) })]
}

/// Events, where they are cut into rows, and what is asked.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) specification: Specification,
    pub(super) events: Vec<Event>,
    pub(super) cuts: Vec<usize>,
    pub(super) moment_us: i64,
}

pub(super) fn case() -> impl Strategy<Value = Case> {
    let shape = (any::<bool>(), any::<bool>()).prop_flat_map(|(tiled, grouped)| {
        let windows = vec(window(tiled), 1..3);
        (Just(tiled), Just(grouped), windows)
    });
    (shape, vec(event(), 0..60), vec(0usize..60, 0..3), -70i64..90).prop_map(|(shape, events, cuts, moment_us)| {
        let (tiled, grouped, mut windows) = shape;
        windows.dedup();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(events.len())).collect();
        cuts.sort_unstable();
        Case { specification: everything(tiled.then_some(INTERVAL_US), &windows, grouped), events, cuts, moment_us }
    })
}

impl Case {
    fn rows(&self, aggregates: &Aggregates) -> Vec<Vec<u8>> {
        let bounds = [0].into_iter().chain(self.cuts.iter().copied()).chain([self.events.len()]);
        let bounds: Vec<usize> = bounds.collect();
        bounds.windows(2).map(|pair| row_of(aggregates, &self.events[pair[0]..pair[1]])).collect()
    }

    pub(super) fn check(&self, aggregates: &Aggregates, rows: &[Vec<u8>]) -> Result<(), TestCaseError> {
        let values = fold(aggregates, rows, at(self.moment_us));
        let found = |name: &str| {
            let feature = aggregates.features().iter().position(|feature| feature.name == name);
            &values[feature.unwrap()]
        };
        for (position, aggregation) in self.specification.aggregations.iter().enumerate() {
            let expected = expected(&self.specification, position, &self.events, self.moment_us);
            let found = found(aggregation.name.as_ref().unwrap());
            prop_assert!(holds(&expected, found), "{aggregation:?}: expected {expected:?}, found {found:?}");
        }
        if self.specification.secondary_key.is_some() {
            for aggregation in &self.specification.aggregations {
                let expected = keys(&self.specification, aggregation.window, &self.events, self.moment_us);
                let found = found(&self.specification.keys_name("ad", aggregation.window));
                prop_assert!(holds(&expected, found), "expected {expected:?}, found {found:?}");
            }
        }
        Ok(())
    }
}

fn merged(aggregates: &Aggregates, rows: &[&[u8]]) -> Vec<u8> {
    let mut builder = aggregates.builder();
    for row in rows {
        builder.absorb(&aggregates.row(UncheckedRow::new(row)).unwrap()).unwrap();
    }
    let mut out = Vec::new();
    builder.encode(&mut out).unwrap();
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn rows_fold_to_what_a_scan_of_all_events_gives(case in case()) {
        let aggregates = Aggregates::new(&case.specification).unwrap();
        case.check(&aggregates, &case.rows(&aggregates))?;
    }

    #[test]
    fn rows_merge_to_what_a_scan_of_all_events_gives(case in case()) {
        let aggregates = Aggregates::new(&case.specification).unwrap();
        let rows = case.rows(&aggregates);
        let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
        let from_left = rows.iter().fold(row_of(&aggregates, &[]), |one, other| merged(&aggregates, &[&one, other]));
        let from_right = rows.iter().rev().fold(row_of(&aggregates, &[]), |one, other| merged(&aggregates, &[other, &one]));
        case.check(&aggregates, std::slice::from_ref(&from_left))?;
        case.check(&aggregates, &[from_right])?;
        // A row read and written again is the same row.
        prop_assert_eq!(merged(&aggregates, &[&from_left]), from_left);
    }

    /// Nothing but the order of events with equal times depends on the order of writing.
    #[test]
    fn order_of_arrival_carries_no_meaning(case in case(), seed in any::<u64>()) {
        let aggregates = Aggregates::new(&case.specification).unwrap();
        let mut case = case;
        let mut times = std::collections::BTreeSet::new();
        case.events.retain(|event| times.insert(event.time_us));
        let mut shuffled = case.events.clone();
        let mut state = seed | 1;
        for at in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(at, (state >> 33) as usize % (at + 1));
        }
        case.check(&aggregates, &[row_of(&aggregates, &shuffled)])?;
    }

    #[test]
    fn what_expires_is_in_no_window(case in case(), late in 0i64..200) {
        let aggregates = Aggregates::new(&case.specification).unwrap();
        let (row, now_us) = (row_of(&aggregates, &case.events), case.moment_us + 7 * 86_400_000_000 + late);
        let mut builder = aggregates.builder();
        builder.absorb(&aggregates.row(UncheckedRow::new(&row)).unwrap()).unwrap();
        aggregates.expire(&mut builder, now_us);
        let mut expired = Vec::new();
        builder.encode(&mut expired).unwrap();
        // The margin is what the request's moment may lie behind.
        let (moment_us, mut case) = (now_us - 7 * 86_400_000_000, case);
        case.moment_us = moment_us;
        case.check(&aggregates, &[expired])?;
    }
}

#[test]
fn tests_of_properties_can_fail() {
    let specification = everything(Some(INTERVAL_US), &[Window::of(50)], false);
    let aggregates = Aggregates::new(&specification).unwrap();
    let values = vec![Value::Float64(1.0), Value::Null, Value::Null, Value::Null, Value::Null, Value::Int64(1)];
    let events = vec![Event { time_us: 5, key: None, values }];
    let mut case = Case { specification, events, cuts: vec![], moment_us: 30 };
    let rows = case.rows(&aggregates);
    case.check(&aggregates, &rows).unwrap();
    case.events[0].values[5] = Value::Int64(2);
    case.check(&aggregates, &rows).unwrap_err();
}

#[test]
fn an_empty_moment_has_no_values() {
    let specification = everything(Some(INTERVAL_US), &[Window::of(50)], false);
    let aggregates = Aggregates::new(&specification).unwrap();
    let nothing = crate::aggregates::FoldOptions { moment_us: None, coerce_null_counts_to_zero: false };
    let values = fold(&aggregates, &[row_of(&aggregates, &[])], nothing);
    assert!(values.iter().all(|value| *value == Value::Null));
}
