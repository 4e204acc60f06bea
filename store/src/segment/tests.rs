//! Whole segments: written, opened, read, damaged.

mod cold;
mod damage;
mod golden;
mod layout;
mod lookup;
mod residency;

use std::{collections::BTreeMap, path::Path};

use super::{Placement, SegmentSummary, SegmentWriter, partition_of};
use crate::{
    directory::{SegmentEntry, TableEntry},
    error::Error,
    key::KeyWriter,
    row::{Row, RowError, RowWriter, write_tombstone},
    schema::{ColumnType, Field, KeyPart, KeyType, Schema},
    table::{KeyHash, MapOptions, Populate, Table},
    value::Value,
};

/// A row as a test states it: key parts are encoded already.
#[derive(Debug, Clone, PartialEq)]
struct TestRow {
    key: Vec<u8>,
    event_time_us: i64,
    values: Vec<Value>,
}

fn field(name: &str, column_type: ColumnType) -> Field {
    Field { name: name.into(), column_type }
}

/// What a fraud model asks for: a user, and how much was spent.
fn fraud_schema() -> Schema {
    Schema {
        key: vec![KeyPart { name: "user_id".into(), key_type: KeyType::String }],
        columns: vec![field("amount_mean_1d", ColumnType::Float64), field("transactions_1d", ColumnType::Int64)],
    }
}

fn fraud_row(number: u64) -> TestRow {
    let mut key = Vec::new();
    let schema = fraud_schema();
    let types: Vec<KeyType> = schema.key.iter().map(|part| part.key_type).collect();
    let mut writer = KeyWriter::new(&types, &mut key);
    writer.string(format!("user_{number:06}").as_bytes());
    assert!(writer.finish());
    let amount = if number.is_multiple_of(7) { Value::Null } else { Value::Float64(number as f64 / 8.0) };
    let values = vec![amount, Value::Int64(i64::try_from(number).unwrap())];
    TestRow { key, event_time_us: 1_000_000 * i64::try_from(number).unwrap(), values }
}

/// What stands for the values of a deleted row.
fn deleted() -> Vec<Value> {
    vec![Value::Map(vec![("a tombstone".into(), Value::Null)])]
}

fn encode(writer: &mut RowWriter, row: &TestRow) -> Result<Vec<u8>, RowError> {
    if row.values == deleted() {
        let mut bytes = Vec::new();
        write_tombstone(&row.key, row.event_time_us, &mut bytes)?;
        return Ok(bytes);
    }
    writer.begin(&row.key, row.event_time_us);
    for (column, value) in row.values.iter().enumerate() {
        writer.value(column, value);
    }
    writer.finish().map(<[u8]>::to_vec)
}

/// A table of these rows in `folder`, with as many segments as asked for.
fn build(folder: &Path, schema: &Schema, rows: &[TestRow], seed: u64, partitions: u32) -> Result<TableEntry, Error> {
    build_with(folder, schema, rows, seed, partitions, |_| {}).map(|(entry, _)| entry)
}

fn build_with(
    folder: &Path,
    schema: &Schema,
    rows: &[TestRow],
    seed: u64,
    partitions: u32,
    prepare: impl Fn(&mut SegmentWriter),
) -> Result<(TableEntry, Vec<SegmentSummary>), Error> {
    let mut encoder = RowWriter::new(schema);
    let mut hashed: Vec<(KeyHash, Vec<u8>)> =
        rows.iter().map(|row| (Table::hash_with(seed, &row.key), encode(&mut encoder, row).unwrap())).collect();
    hashed.sort_by_key(|(hash, _)| hash.0);
    let mut entry = TableEntry {
        schema: schema.clone(),
        seed,
        segments: Vec::new(),
        rows: rows.len() as u64,
        tombstones: 0,
        raw_bytes: 0,
        event_time_min_us: None,
        event_time_max_us: None,
        built_at_us: 0,
        holds_writes: false,
        has_deletes: false,
        newest_event_us: None,
    };
    let mut summaries = Vec::new();
    for partition in 0..partitions {
        let file = format!("{partition:04}.segment");
        let placement = Placement { seed, partition, partitions };
        let id = 0x0123_4567_89ab_cdef ^ u64::from(partition);
        let mut writer = SegmentWriter::create_with_id(&folder.join(&file), schema, placement, id)?;
        prepare(&mut writer);
        for (hash, row) in hashed.iter().filter(|(hash, _)| partition_of(*hash, partitions) == partition) {
            writer.push(*hash, row)?;
        }
        let summary = writer.finish()?;
        entry.segments.push(segment_entry(file, &summary));
        entry.raw_bytes += summary.raw_bytes;
        entry.event_time_min_us = entry.event_time_min_us.into_iter().chain(summary.event_time_min_us).min();
        entry.event_time_max_us = entry.event_time_max_us.max(summary.event_time_max_us);
        summaries.push(summary);
    }
    Ok((entry, summaries))
}

fn segment_entry(file: String, summary: &SegmentSummary) -> SegmentEntry {
    SegmentEntry { file, bytes: summary.bytes, rows: summary.rows, root: format!("{:016x}", summary.root) }
}

fn open(folder: &Path, entry: &TableEntry) -> Result<Table, Error> {
    Table::open(folder, entry)
}

/// What the table says about a key, as a test states it.
fn read(table: &Table, key: &[u8]) -> Result<Option<TestRow>, crate::error::Corrupt> {
    table.lookup(key)?.map(|row| stated(table, row)).transpose()
}

fn stated(table: &Table, row: Row<'_>) -> Result<TestRow, crate::error::Corrupt> {
    let columns = 0..table.schema().columns.len();
    if row.is_tombstone() {
        return Ok(TestRow { key: row.key().to_vec(), event_time_us: row.event_time_us(), values: deleted() });
    }
    let values = columns.map(|column| row.value(column)?.to_value()).collect::<Result<_, _>>()?;
    Ok(TestRow { key: row.key().to_vec(), event_time_us: row.event_time_us(), values })
}

/// Every row is found as it was written, and scanning finds the same rows and no others.
fn check_all(table: &Table, rows: &[TestRow]) {
    assert_eq!(table.rows() + table.tombstones(), rows.len() as u64);
    assert_eq!(table.tombstones(), rows.iter().filter(|row| row.values == deleted()).count() as u64);
    for row in rows {
        assert_eq!(read(table, &row.key).unwrap().as_ref(), Some(row));
    }
    let by_key: BTreeMap<&[u8], i64> = rows.iter().map(|row| (row.key.as_slice(), row.event_time_us)).collect();
    let scanned: Vec<_> = table.scan().map(|row| row.unwrap()).collect();
    assert_eq!(scanned.len(), by_key.len());
    assert!(scanned.iter().all(|row| by_key.get(row.key()) == Some(&row.event_time_us())));
    assert!(scanned.is_sorted_by_key(|row| table.hash(row.key()).0));
    table.check_mapping().unwrap();
}
