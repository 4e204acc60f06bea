//! Lookups served from reads of the file: they agree with those in memory, and damage in what was read is told as such.

use std::{
    borrow::Cow,
    fs::File,
    os::{fd::AsFd, unix::fs::FileExt},
};

use proptest::prelude::*;

use super::{damage::Sample, *};
use crate::{
    disk::AlignedBuffer,
    error::Corrupt,
    limits::{BLOCK_BYTES, ROW_BYTES_MAX},
    row::{Row, tests::schema, tests::schema_and_values},
    table::{ColdRead, Lock, Probed, Resumed},
};

/// Looks a key up without reading any row in place; `serve` reads. Returns how many reads it took, too.
pub(super) fn read_cold<'i>(
    table: &Table,
    key: &[u8],
    mut serve: impl FnMut(&ColdRead) -> Cow<'i, [u8]>,
) -> Result<(Option<TestRow>, usize), Corrupt> {
    let (mut step, mut reads_row) = match table.probe(table.hash(key))? {
        Probed::Absent => return Ok((None, 0)),
        Probed::At(probe) => (table.cold_row(probe), true),
        Probed::Cold(step) => (step, false),
    };
    let (mut reads, mut row_bytes) = (0, 0);
    loop {
        let read = table.cold_read(step);
        assert!(read.offset.is_multiple_of(BLOCK_BYTES as u64) && read.length > 0);
        assert!((read.length as usize).is_multiple_of(BLOCK_BYTES));
        assert!(read.length as usize <= ROW_BYTES_MAX + BLOCK_BYTES);
        // The bucket's block, if it is read, comes first.
        if reads_row {
            assert!(std::mem::replace(&mut row_bytes, read.length) < read.length, "a longer row each time");
        } else {
            assert_eq!((reads, read.length as usize), (0, BLOCK_BYTES));
        }
        let bytes = serve(&read);
        reads += 1;
        reads_row = true;
        match table.resume(step, key, &bytes)? {
            Resumed::Absent => return Ok((None, reads)),
            Resumed::At(probe) => step = table.cold_row(probe),
            Resumed::Again(next) => step = next,
            Resumed::Row(row) => {
                check_cached(table, key, row);
                return Ok((Some(stated(table, row)?), reads));
            }
        }
    }
}

/// What a cache would keep of a row reads as the row.
fn check_cached(table: &Table, key: &[u8], row: Row<'_>) {
    let hash = table.hash(key);
    let kept = row.encoded().to_vec();
    let cached = table.cached_row(hash, key, &kept).unwrap().unwrap();
    assert_eq!((cached.encoded(), cached.key()), (row.encoded(), key));
    assert!(table.cached_row(hash, b"another key", &kept).unwrap().is_none());
    assert!(table.cached_row(hash, key, &kept[..kept.len() - 1]).is_err());
}

/// Reads from the file, as a serving core's ring does.
fn from_file(read: &ColdRead) -> Cow<'static, [u8]> {
    let file = File::from(read.file.as_fd().try_clone_to_owned().unwrap());
    let mut buffer = AlignedBuffer::new(read.length as usize);
    let bytes = buffer.bytes_mut();
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], read.offset + done as u64).unwrap() {
            0 => break,
            more => done += more,
        }
    }
    Cow::Owned(bytes[..done].to_vec())
}

/// Reads from bytes that stand for the file.
pub(super) fn from_image<'i>(image: &'i [u8]) -> impl Fn(&ColdRead) -> Cow<'i, [u8]> {
    |read| {
        let start = usize::try_from(read.offset).unwrap().min(image.len());
        let end = (start + read.length as usize).min(image.len());
        Cow::Borrowed(&image[start..end])
    }
}

/// Rows from a few bytes to the longest there may be.
fn rows_of_many_lengths() -> (Schema, Vec<TestRow>) {
    let schema = schema(vec![ColumnType::String, ColumnType::Int64]);
    let texts = [0, 1, 300, 480, 510, 520, 1000, 3000, 4000, 4096, 5000, 70_000, ROW_BYTES_MAX - 2000];
    let row = |(number, text): (usize, &usize)| TestRow {
        key: format!("key {number:07}").into_bytes(),
        event_time_us: i64::try_from(number).unwrap(),
        values: vec![if *text == 1 { Value::Null } else { Value::String("t".repeat(*text)) }, Value::Int64(-1)],
    };
    (schema, texts.iter().cycle().take(texts.len() * 7).enumerate().map(row).collect())
}

#[test]
fn cold_and_warm_lookups_agree() {
    let fraud = |count| (fraud_schema(), (0..count).map(fraud_row).collect::<Vec<_>>());
    for ((schema, rows), partitions) in
        [(fraud(0), 1), (fraud(1), 4), (fraud(3000), 3), (rows_of_many_lengths(), 1), (rows_of_many_lengths(), 2)]
    {
        let folder = tempfile::tempdir().unwrap();
        let entry = build(folder.path(), &schema, &rows, 7, partitions).unwrap();
        let table = open(folder.path(), &entry).unwrap();
        for populate in [Populate::None, Populate::Index, Populate::All] {
            table.bring_in(MapOptions { populate, lock: false, huge_pages: false }).unwrap();
            for row in &rows {
                let (found, reads) = read_cold(&table, &row.key, from_file).unwrap();
                assert_eq!(found.as_ref(), Some(row));
                assert!(reads <= 2 + usize::from(populate == Populate::None), "{reads} reads for {:?}", row.key);
            }
            for absent in (1_000_000..1_000_050).map(fraud_row) {
                assert_eq!(read_cold(&table, &absent.key, from_file).unwrap().0, None);
            }
        }
    }
}

#[test]
fn rows_as_long_as_most_take_one_read() {
    let schema = schema(vec![ColumnType::String]);
    let row = |number: u32| TestRow {
        key: number.to_be_bytes().to_vec(),
        event_time_us: 0,
        values: vec![Value::String("t".repeat(6000))],
    };
    let rows: Vec<TestRow> = (0..200).map(row).collect();
    let folder = tempfile::tempdir().unwrap();
    let table = open(folder.path(), &build(folder.path(), &schema, &rows, 7, 1).unwrap()).unwrap();
    table.bring_in_index(Lock::Never, false).unwrap();
    for row in &rows {
        assert_eq!(read_cold(&table, &row.key, from_file).unwrap(), (Some(row.clone()), 1));
    }
}

#[test]
fn nothing_is_read_where_there_are_no_rows() {
    let folder = tempfile::tempdir().unwrap();
    let table = open(folder.path(), &build(folder.path(), &fraud_schema(), &[], 7, 2).unwrap()).unwrap();
    assert_eq!(table.probe(table.hash(b"anyone")).unwrap(), Probed::Absent);
}

#[test]
fn every_flipped_byte_of_what_is_read_is_noticed_or_harmless() {
    let sample = Sample::new(12);
    let table = sample.open().unwrap();
    let mut image = std::fs::read(sample.path()).unwrap();
    let mut refused = 0;
    for at in 0..image.len() {
        image[at] ^= 0x5a;
        for row in &sample.rows {
            match read_cold(&table, &row.key, from_image(&image)) {
                Ok((found, _)) => assert_eq!(found.as_ref(), Some(row), "byte {at}"),
                Err(damage) => {
                    assert_eq!(damage.offset, (at / BLOCK_BYTES * BLOCK_BYTES) as u64);
                    refused += 1;
                }
            }
        }
        image[at] ^= 0x5a;
    }
    // All rows are in one block, and all lines in another: a byte of either is every lookup's.
    assert_eq!(refused, 2 * BLOCK_BYTES * sample.rows.len());
}

#[test]
fn blocks_of_another_place_are_not_taken() {
    let sample = Sample::new(400);
    let table = sample.open().unwrap();
    let mut image = std::fs::read(sample.path()).unwrap();
    let (one, other) = image[BLOCK_BYTES..3 * BLOCK_BYTES].split_at_mut(BLOCK_BYTES);
    one.swap_with_slice(other);
    let refused = sample.rows.iter().filter(|row| match read_cold(&table, &row.key, from_image(&image)) {
        Ok((found, _)) => found.as_ref() != Some(row) && panic!("{row:?} was read as {found:?}"),
        Err(_) => true,
    });
    assert!(refused.count() > 100);
}

#[test]
fn fewer_bytes_than_asked_for_are_damage() {
    let (schema, rows) = rows_of_many_lengths();
    let folder = tempfile::tempdir().unwrap();
    let entry = build(folder.path(), &schema, &rows, 7, 1).unwrap();
    let table = open(folder.path(), &entry).unwrap();
    let image = std::fs::read(folder.path().join(&entry.segments[0].file)).unwrap();
    for row in &rows {
        let reads = read_cold(&table, &row.key, from_image(&image)).unwrap().1;
        for (cut, missing) in (0..reads).flat_map(|cut| [(cut, 1), (cut, BLOCK_BYTES), (cut, usize::MAX)]) {
            let mut number = 0;
            let short = |read: &ColdRead| {
                number += 1;
                let bytes = from_image(&image)(read).into_owned();
                let left = bytes.len() - if number == cut + 1 { missing.min(bytes.len()) } else { 0 };
                Cow::Owned(bytes[..left].to_vec())
            };
            assert!(read_cold(&table, &row.key, short).is_err(), "read {cut} of {reads}, {missing} bytes short");
        }
    }
}

#[test]
fn a_file_cut_under_cold_readers_is_damage() {
    let sample = Sample::new(4000);
    let table = sample.open().unwrap();
    sample.file().set_len(60_001).unwrap();
    let refused = sample.rows.iter().filter(|row| read_cold(&table, &row.key, from_file).is_err());
    assert_eq!(refused.count(), sample.rows.len(), "the index is gone");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn tables_of_any_schema_are_read_cold(
        (schema, values) in schema_and_values(),
        keys in proptest::collection::btree_set(proptest::collection::vec(any::<u8>(), 0..1000), 0..40),
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
            let cold = read_cold(&table, &row.key, from_file).unwrap().0;
            prop_assert_eq!(format!("{cold:?}"), format!("{:?}", read(&table, &row.key).unwrap()));
            prop_assert_eq!(format!("{cold:?}"), format!("{:?}", Some(row)));
        }
        prop_assert_eq!(read_cold(&table, &[7; 1001], from_file).unwrap().0, None);
    }
}
