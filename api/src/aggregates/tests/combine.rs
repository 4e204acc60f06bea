//! Rows of the store become one, in whatever grouping, with deletes between them: the oracle agrees.

use std::sync::{Arc, atomic::AtomicU64, atomic::Ordering};

use gannet_store::{
    ColumnType, Field, KeyType, Row, Schema,
    limits::ROW_BYTES_MAX,
    plane::Combine,
    row::{RowLayout, RowWriter, write_tombstone},
    schema::KeyPart,
};
use proptest::{collection::vec, prelude::*};

use super::{
    properties::{Case, case},
    world::{Event, Value, at, columns, fold, one, row_of},
};
use crate::aggregates::{
    Aggregates, CombineTiles, Function, Input, LeadingEdge, UncheckedRow, Window, add_event, limits::TILES_BYTES_MAX,
};

/// A view's table, and how its rows combine.
struct World {
    aggregates: Arc<Aggregates>,
    schema: Schema,
    layout: RowLayout,
    combine: CombineTiles,
    rows_cut: Arc<AtomicU64>,
}

impl World {
    fn new(aggregates: Aggregates, leading_edge: LeadingEdge) -> Self {
        let aggregates = Arc::new(aggregates);
        let schema = Schema {
            key: vec![KeyPart { name: "id".to_owned(), key_type: KeyType::String }],
            columns: vec![Field { name: "tiles".to_owned(), column_type: ColumnType::Binary }],
        };
        let rows_cut = Arc::new(AtomicU64::new(0));
        let of_view = (Arc::clone(&aggregates), schema.clone(), Arc::clone(&rows_cut));
        let combine = CombineTiles::new(of_view.0, leading_edge, of_view.1, "prod/v", of_view.2);
        Self { aggregates, layout: RowLayout::new(&schema, "prod/v"), schema, combine, rows_cut }
    }

    /// The row of one event; `None` if it counts nowhere.
    fn event(&self, event: &Event) -> Option<Vec<u8>> {
        let columns = self.aggregates.event_columns();
        let events = Schema { key: self.schema.key.clone(), columns: columns.clone() };
        let mut writer = RowWriter::new(&events);
        writer.begin(KEY, event.time_us);
        let secondary = event.key.map(|key| Value::Bytes(key.as_bytes().to_vec()));
        for (column, value) in event.values.iter().chain(&secondary).take(columns.len()).enumerate() {
            match value {
                Value::Null | Value::List(_) => {}
                Value::Boolean(value) => writer.boolean(column, *value),
                Value::Int64(value) => writer.int64(column, *value),
                Value::Float32(value) => writer.float32(column, *value),
                Value::Float64(value) => writer.float64(column, *value),
                Value::Bytes(value) => match columns[column].column_type {
                    ColumnType::String => writer.string(column, std::str::from_utf8(value).unwrap()),
                    _ => {
                        let numbers = value.iter().map(|byte| gannet_store::Value::String(byte.to_string()));
                        writer.value(column, &gannet_store::Value::Array(numbers.collect()));
                    }
                },
            }
        }
        let layout = RowLayout::new(&events, "an event");
        let (mut builder, mut tiles) = (self.aggregates.builder(), Vec::new());
        add_event(&self.aggregates, &mut builder, &Row::parse(&layout, writer.finish().unwrap()).unwrap()).unwrap();
        if builder.is_empty() {
            return None;
        }
        builder.encode(&mut tiles).unwrap();
        let mut writer = RowWriter::new(&self.schema);
        writer.begin(KEY, event.time_us);
        writer.binary(0, &tiles);
        Some(writer.finish().unwrap().to_vec())
    }

    fn tombstone(&self, time_us: i64) -> Vec<u8> {
        let mut row = Vec::new();
        write_tombstone(KEY, time_us, &mut row).unwrap();
        row
    }

    fn together(&self, upper: &[u8], lower: &[u8], now_us: i64) -> Vec<u8> {
        let mut out = Vec::new();
        self.combine.combine(upper, lower, now_us, &mut out).unwrap();
        out
    }

    /// Combines neighbours, chosen by `picks`, until one row is left.
    fn all_together(&self, mut rows: Vec<Vec<u8>>, picks: &[usize], now_us: i64) -> Option<Vec<u8>> {
        let mut picks = picks.iter().cycle();
        while rows.len() > 1 {
            let at = picks.next().unwrap_or(&0) % (rows.len() - 1);
            let upper = rows.remove(at + 1);
            rows[at] = self.together(&upper, &rows[at], now_us);
        }
        rows.pop()
    }

    /// The tiles of a row; none of a tombstone.
    fn tiles(&self, row: &[u8]) -> Vec<Vec<u8>> {
        let row = Row::parse(&self.layout, row).unwrap();
        if row.is_tombstone() { vec![] } else { vec![row.encoded_value(0).unwrap().unwrap().to_vec()] }
    }
}

const KEY: &[u8] = b"\x01k";
const DAY_US: i64 = 86_400_000_000;

/// Nested values are encoded as the store does it, which the oracle knows nothing of: what it is told is their encoding.
fn as_stored(world: &World, mut case: Case) -> Case {
    let tags = columns().iter().position(|column| column.name == "tags").unwrap();
    for event in &mut case.events {
        let alone = Event { time_us: 0, key: Some("k"), values: event.values.clone() };
        let Value::Bytes(_) = &event.values[tags] else { continue };
        event.values[tags] = Value::Bytes(world.encoded(&alone, tags));
    }
    case
}

impl World {
    /// The bytes of a column of an event row.
    fn encoded(&self, event: &Event, column: usize) -> Vec<u8> {
        let schema = Schema { key: vec![], columns: self.aggregates.event_columns() };
        let mut writer = RowWriter::new(&schema);
        writer.begin(b"", 0);
        let Value::Bytes(value) = &event.values[column] else { panic!("no bytes") };
        let numbers = value.iter().map(|byte| gannet_store::Value::String(byte.to_string()));
        writer.value(column, &gannet_store::Value::Array(numbers.collect()));
        let layout = RowLayout::new(&schema, "");
        let row = Row::parse(&layout, writer.finish().unwrap()).unwrap();
        row.encoded_value(column).unwrap().unwrap().to_vec()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_grouping_gives_what_a_scan_of_all_events_gives(case in case(), picks in vec(any::<usize>(), 1..9)) {
        let world = World::new(Aggregates::new(&case.specification).unwrap(), LeadingEdge::WallClock);
        let rows: Vec<_> = case.events.iter().filter_map(|event| world.event(event)).collect();
        let case = as_stored(&world, case);
        let newest = rows.iter().map(|row| Row::parse(&world.layout, row).unwrap().event_time_us()).max();
        let row = world.all_together(rows, &picks, case.moment_us);
        let tiles = row.as_deref().map(|row| world.tiles(row)).unwrap_or_default();
        case.check(&world.aggregates, &tiles)?;
        prop_assert_eq!(row.map(|row| Row::parse(&world.layout, &row).unwrap().event_time_us()), newest);
    }

    /// And so do rows that were not combined, from the last delete on.
    #[test]
    fn what_was_deleted_does_not_come_back(
        case in case(),
        deletes in vec(0usize..60, 1..4),
        picks in vec(any::<usize>(), 1..9),
        kept_apart in 0usize..4,
    ) {
        let world = World::new(Aggregates::new(&case.specification).unwrap(), LeadingEdge::WallClock);
        let mut rows = Vec::new();
        let mut counting = Vec::new();
        for (position, event) in case.events.iter().enumerate() {
            if deletes.contains(&position) {
                rows.push(world.tombstone(10));
                counting.clear();
            }
            rows.extend(world.event(event));
            counting.push(event.clone());
        }
        let expected = as_stored(&world, Case { events: counting, ..case.clone() });
        // some of the lowest stay as they are: what lies above them has to say that they do not count
        let apart = kept_apart.min(rows.len().saturating_sub(1));
        let mut levels: Vec<_> = rows.drain(..apart).collect();
        levels.extend(world.all_together(rows, &picks, case.moment_us));
        let from = levels
            .iter()
            .rposition(|row| Row::parse(&world.layout, row).unwrap().is_tombstone())
            .map_or(0, |tombstone| tombstone + 1);
        let tiles: Vec<Vec<u8>> = levels[from..].iter().flat_map(|row| world.tiles(row)).collect();
        let parsed: Vec<_> =
            tiles.iter().map(|tiles| world.aggregates.row(UncheckedRow::new(tiles)).unwrap()).collect();
        let count = Aggregates::rows_that_count(&parsed).len();
        let tiles = &tiles[tiles.len() - count..];
        expected.check(&world.aggregates, tiles)?;
    }
}

fn amounts(function: Function, interval_us: Option<i64>, windows: &[Window]) -> Aggregates {
    let mut specification = one(interval_us, function, windows);
    specification.lifetime_start_us = interval_us.map(|_| 0);
    Aggregates::new(&specification).unwrap()
}

fn amount(time_us: i64, amount: f64) -> Event {
    Event { time_us, key: None, values: vec![Value::Float64(amount)] }
}

#[test]
fn what_lies_below_a_delete_is_hidden_by_what_was_written_after_it() {
    let world = World::new(amounts(Function::Sum, Some(10), &[Window::of(100)]), LeadingEdge::WallClock);
    let [before, after] = [amount(1, 1.0), amount(2, 2.0)].map(|event| world.event(&event).unwrap());
    let begun = world.together(&after, &world.tombstone(5), 50);
    assert_eq!(Row::parse(&world.layout, &begun).unwrap().event_time_us(), 2, "that of an event, not of the delete");
    let over_before = world.together(&begun, &before, 50);
    assert_eq!(over_before, begun, "and goes on saying so");
    assert_eq!(fold(&world.aggregates, &world.tiles(&over_before), at(50)), [Value::Float64(2.0)]);
    assert_eq!(world.together(&world.tombstone(5), &before, 50), world.tombstone(5));
    assert_eq!(world.together(&world.tombstone(6), &world.tombstone(5), 50), world.tombstone(6));
}

#[test]
fn what_expired_by_the_views_leading_edge_is_left_out() {
    let check = |leading_edge, now_us: i64, expected: usize| {
        let world = World::new(amounts(Function::Sum, Some(DAY_US), &[Window::of(DAY_US)]), leading_edge);
        let [old, new] = [0, 3].map(|day| world.event(&amount(day * DAY_US, 1.0)).unwrap());
        let row = world.together(&new, &old, now_us);
        let tiles = world.tiles(&row);
        assert_eq!(world.aggregates.row(UncheckedRow::new(&tiles[0])).unwrap().tiles(), expected, "{leading_edge:?}");
    };
    check(LeadingEdge::WallClock, 4 * DAY_US, 2);
    check(LeadingEdge::WallClock, 9 * DAY_US, 1);
    check(LeadingEdge::WallClock, 400 * DAY_US, 0);
    // a replay of what happened long ago keeps what its own windows reach
    check(LeadingEdge::LatestEventTime, 400 * DAY_US, 2);
}

#[test]
fn row_that_would_be_too_long_loses_its_oldest_tiles() {
    let check = |windows: &[Window], expected: f64| {
        let world = World::new(amounts(Function::Sum, Some(10), windows), LeadingEdge::LatestEventTime);
        let halves = [0..60_000, 60_000..120_000].map(|tiles: std::ops::Range<i64>| {
            let mut writer = RowWriter::new(&world.schema);
            let events: Vec<Event> = tiles.map(|tile| amount(tile * 10, 1.0)).collect();
            writer.begin(KEY, events.last().unwrap().time_us);
            writer.binary(0, &row_of(&world.aggregates, &events));
            writer.finish().unwrap().to_vec()
        });
        let row = world.together(&halves[1], &halves[0], 0);
        assert!(row.len() < ROW_BYTES_MAX);
        let tiles = world.tiles(&row);
        let kept = world.aggregates.row(UncheckedRow::new(&tiles[0])).unwrap().tiles();
        assert!((45_000..120_000).contains(&kept), "{kept}, most of what fits");
        assert_eq!(fold(&world.aggregates, &tiles, at(1_200_000))[0], Value::Float64(expected));
        assert_eq!(world.rows_cut.load(Ordering::Relaxed), 1);
    };
    check(&[Window::of(1_000)], 100.0);
    check(&[Window::Lifetime], 120_000.0);
}

#[test]
fn newest_tile_that_does_not_fit_leaves_what_was_written_last() {
    let specification = super::world::everything(Some(10), &[Window::of(100)], false);
    let shops =
        specification.aggregations.iter().filter(|one| one.column == "shop" && one.function == Function::LastN(7));
    let aggregations = shops.cloned().collect();
    let specification = crate::aggregates::Specification { aggregations, ..specification };
    let world = World::new(Aggregates::new(&specification).unwrap(), LeadingEdge::WallClock);
    let shop = |letter: &str, bytes| {
        let values = vec![Value::Bytes(letter.repeat(bytes).into_bytes())];
        world.event(&Event { time_us: 5, key: None, values })
    };
    let (first, last) = (shop("a", 600_000).unwrap(), shop("b", 600_000).unwrap());
    let row = world.together(&last, &first, 5);
    assert_eq!(world.tiles(&row), world.tiles(&last));
    assert_eq!(world.rows_cut.load(Ordering::Relaxed), 1);
    // What is combined later has to fit with any key.
    let (mut builder, mut tiles) = (world.aggregates.builder(), Vec::new());
    builder.add(5, None, &[Input::Bytes("a".repeat(TILES_BYTES_MAX).as_bytes())]);
    let refused = builder.encode(&mut tiles).unwrap_err();
    assert!(refused.to_string().contains("more than") && tiles.is_empty(), "{refused}");
}

#[test]
fn damaged_tiles_are_told_with_their_table() {
    let world = World::new(amounts(Function::Sum, Some(10), &[Window::of(100)]), LeadingEdge::WallClock);
    let row = world.event(&amount(1, 1.0)).unwrap();
    let mut writer = RowWriter::new(&world.schema);
    writer.begin(KEY, 1);
    writer.binary(0, b"no tiles");
    let damaged = writer.finish().unwrap();
    for (upper, lower) in [(damaged, row.as_slice()), (row.as_slice(), damaged)] {
        let error = world.combine.combine(upper, lower, 0, &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("prod/v"), "{error}");
    }
}
