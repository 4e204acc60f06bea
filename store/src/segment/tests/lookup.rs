//! Sound segments: every key is found, no other key is.

use proptest::prelude::*;

use super::*;
use crate::{
    limits::{KEY_BYTES_MAX, ROW_BYTES_MAX},
    row::tests::{schema, schema_and_values},
};

#[test]
fn every_key_is_found_and_no_other() {
    for (count, partitions) in [(0, 1), (0, 3), (1, 1), (1, 4), (6, 1), (1000, 1), (1000, 3), (100_000, 4)] {
        let folder = tempfile::tempdir().unwrap();
        let rows: Vec<TestRow> = (0..count).map(fraud_row).collect();
        let entry = build(folder.path(), &fraud_schema(), &rows, 7, partitions).unwrap();
        let table = open(folder.path(), &entry).unwrap();
        check_all(&table, &rows);
        for absent in (count..count + 1000).map(fraud_row) {
            assert_eq!(read(&table, &absent.key).unwrap(), None);
        }
        assert_eq!(table.event_time_max_us(), rows.iter().map(|row| row.event_time_us).max());
        assert_eq!(read(&table, b"").unwrap(), None);
        assert_eq!(read(&table, &[b'x'; 5000]).unwrap(), None);
    }
}

#[test]
fn every_way_of_bringing_it_in_reads_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<TestRow> = (0..5000).map(fraud_row).collect();
    let entry = build(folder.path(), &fraud_schema(), &rows, 7, 2).unwrap();
    for populate in [Populate::None, Populate::Index, Populate::All] {
        for lock in [false, true] {
            // A few hundred kilobytes are within any limit on locked memory.
            let table = Table::open(folder.path(), &entry).unwrap();
            table.bring_in(MapOptions { populate, lock, huge_pages: true }).unwrap();
            check_all(&table, &rows);
        }
    }
}

#[test]
fn once_verified_it_says_so_and_reads_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<TestRow> = (0..20_000).map(fraud_row).collect();
    let entry = build(folder.path(), &fraud_schema(), &rows, 7, 2).unwrap();
    let table = open(folder.path(), &entry).unwrap();
    assert!(table.segments().all(|info| info.verified < 0.5), "opening scans nothing");
    let mut told = Vec::new();
    table.verify(&mut |done| told.push(done)).unwrap();
    assert!(told.is_sorted());
    assert_eq!(told.last(), Some(&table.disk_bytes().0));
    assert!(table.segments().all(|info| info.verified == 1.0));
    check_all(&table, &rows);
}

#[test]
fn rows_of_all_sizes_lie_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let schema = schema(vec![ColumnType::String, ColumnType::Int64]);
    let overhead = 2 + KEY_BYTES_MAX + 8 + 1 + 8 + 4;
    let texts = [0, 1, 100, 300, 480, 500, 510, 520, 1000, 4000, 4096, 5000, 70_000, ROW_BYTES_MAX - overhead];
    let row = |(number, text): (usize, &usize)| TestRow {
        key: format!("{number:0width$}", width = [KEY_BYTES_MAX, 1, 31, 32][number % 4]).into_bytes(),
        event_time_us: i64::MIN + i64::try_from(number).unwrap(),
        values: vec![Value::String("t".repeat(*text)), Value::Int64(-1)],
    };
    let rows: Vec<TestRow> = texts.iter().cycle().take(texts.len() * 5).enumerate().map(row).collect();
    let mut rows = rows;
    rows.sort_by(|one, other| one.key.cmp(&other.key));
    rows.dedup_by(|one, other| one.key == other.key);
    let entry = build(folder.path(), &schema, &rows, 7, 1).unwrap();
    check_all(&open(folder.path(), &entry).unwrap(), &rows);
}

#[test]
fn the_empty_key_is_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [TestRow { key: Vec::new(), event_time_us: 0, values: Vec::new() }];
    let entry = build(folder.path(), &schema(vec![]), &rows, 0, 1).unwrap();
    check_all(&open(folder.path(), &entry).unwrap(), &rows);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn tables_of_any_schema_come_back(
        (schema, values) in schema_and_values(),
        keys in proptest::collection::btree_set(proptest::collection::vec(any::<u8>(), 0..40), 0..60),
        seed in any::<u64>(),
        partitions in 1_u32..4,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let row = |key: &Vec<u8>| TestRow { key: key.clone(), event_time_us: 0, values: values.clone() };
        let rows: Vec<TestRow> = keys.iter().map(row).collect();
        let entry = build(folder.path(), &schema, &rows, seed, partitions).unwrap();
        let table = open(folder.path(), &entry).unwrap();
        for row in &rows {
            // Printed, because `NaN` is not equal to itself.
            prop_assert_eq!(format!("{:?}", read(&table, &row.key).unwrap()), format!("{:?}", Some(row)));
        }
        prop_assert_eq!(table.scan().filter(Result::is_ok).count(), rows.len());
        prop_assert_eq!(read(&table, &[7; 41]).unwrap(), None);
    }
}
