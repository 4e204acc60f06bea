//! The overlay against a map, against many orders of the same writes, and against its readers.

mod combined;
mod memory;
mod model;
mod order;
mod readers;

use super::*;
use crate::{
    log::Sequence,
    row::{Row, tests::schema},
    row::{RowLayout, RowWriter, write_tombstone},
    schema::ColumnType,
    value::Value,
};

const TABLE: TableId = TableId(1);

/// The smallest that there is: 64 buckets to begin with, eight chunks for each part.
const SMALL: OverlaySettings = OverlaySettings { budget_bytes: OVERLAY_BUDGET_BYTES_MIN, seed: 7 };

/// A row with one string in it, or a tombstone.
fn row(key: &[u8], event_time_us: i64, text: Option<&str>) -> Vec<u8> {
    let Some(text) = text else {
        let mut bytes = Vec::new();
        write_tombstone(key, event_time_us, &mut bytes).unwrap();
        return bytes;
    };
    let mut writer = RowWriter::new(&schema(vec![ColumnType::String]));
    writer.begin(key, event_time_us);
    writer.string(0, text);
    writer.finish().unwrap().to_vec()
}

/// What a reader says of a key: event time, and the text unless it is deleted.
fn read(reader: &OverlayReader, pin: &Pin, table: TableId, key: &[u8]) -> Option<(i64, Option<String>)> {
    let mut copied = vec![[0xee; 8]; 3];
    let found = reader.lookup(pin, table, key, &mut copied)?;
    assert!(copied[..3] == [[0xee; 8]; 3] && found.bytes.start >= 24, "what was there stays");
    let bytes = copied.as_flattened();
    let layout = RowLayout::new(&schema(vec![ColumnType::String]), "a test");
    let row = Row::parse(&layout, &bytes[found.bytes.clone()]).unwrap();
    assert_eq!((row.key(), row.bytes(), row.event_time_us()), (key, found.bytes.len(), found.event_time_us));
    assert_eq!(row.is_tombstone(), found.is_tombstone);
    let text = (!row.is_tombstone()).then(|| match row.value(0).unwrap().to_value().unwrap() {
        Value::String(text) => text,
        other => panic!("{other:?}"),
    });
    Some((row.event_time_us(), text))
}
