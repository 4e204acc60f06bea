//! How a segment is laid out: groups, their seeds, and what cannot be laid out.

use super::*;
use crate::{
    format::{bucket, placement},
    limits::{BLOCK_BYTES, ENTRIES_BUFFERED_MAX, INDEX_ATTEMPTS_MAX},
    segment::{
        entries::Entry,
        index::{GroupSearch, IndexFault},
    },
};

/// As many hashes as asked for, spread as a sound hash spreads them.
fn entries(count: u64, seed: u64) -> Vec<Entry> {
    (0..count).map(|number| Entry { hash: Table::hash_with(seed, &number.to_le_bytes()).0, start: 1 }).collect()
}

#[test]
fn average_groups_find_a_seed_soon_and_full_ones_in_time() {
    let mut search = GroupSearch::default();
    let mut tries = |rows: u64| -> Vec<u64> {
        let seeds = (0..200).map(|group| u64::from(search.seed(&entries(rows, group)).unwrap()) + 1);
        let mut tries: Vec<u64> = seeds.collect();
        tries.sort_unstable();
        tries
    };
    // By arithmetic one seed in 23 suits a group of 384 rows, and one in 5400 a group of 448, which is 3.3 standard
    // deviations above; half of the groups need 0.7 of that. A poor mix of hash and seed shows as more.
    let average = tries(384);
    assert!(average[100] <= 24, "half of the groups need at most {} tries", average[100]);
    assert!(average[199] <= 200, "the worst needs {}", average[199]);
    let full = tries(448);
    assert!(full[100] <= 5000, "half of the full groups need at most {} tries", full[100]);
}

#[test]
fn buckets_of_a_group_are_as_full_as_chance_makes_them() {
    let mut chi_squared = 0.0;
    for seed in 0..100 {
        let mut rows = [0_u32; placement::BUCKETS];
        for entry in entries(384, 5) {
            rows[placement::bucket(entry.hash, seed)] += 1;
        }
        chi_squared += rows.iter().map(|&rows| (f64::from(rows) - 6.0).powi(2) / 6.0).sum::<f64>();
    }
    // 63 degrees of freedom each: the mean of a hundred is 63 with a standard deviation of 1.1.
    let mean = chi_squared / 100.0;
    assert!((58.0..68.0).contains(&mean), "{mean}");
}

#[test]
fn rows_with_the_same_tag_never_share_a_bucket() {
    let mut group = entries(380, 3);
    let twin = group[0].hash;
    group.extend((1..4).map(|number: u64| Entry { hash: twin ^ (number << 30), start: 2 }));
    let mut search = GroupSearch::default();
    let seed = search.seed(&group).unwrap();
    let block = search.lines(&group, seed).to_vec();
    for entry in &group {
        let line = bucket::line_at(&block, placement::bucket(entry.hash, seed) * bucket::BUCKET_BYTES).unwrap();
        assert_eq!(bucket::find(line, placement::tag(entry.hash)), Some(entry.start));
    }
}

#[test]
fn a_group_without_a_seed_says_why() {
    let mut search = GroupSearch::default();
    let mut twice = entries(10, 0);
    twice.push(twice[4]);
    assert!(matches!(search.seed(&twice), Err(IndexFault::SameHash)));
    assert!(matches!(search.seed(&entries(641, 0)), Err(IndexFault::NoSeed)));
    assert!(matches!(search.seed(&entries(640, 0)), Err(IndexFault::NoSeed)));
    assert!(matches!(search.seed(&[]), Ok(0)));
}

fn writer(folder: &Path) -> SegmentWriter {
    let placement = Placement { seed: 9, partition: 0, partitions: 1 };
    SegmentWriter::create(&folder.join("segment"), &fraud_schema(), placement).unwrap()
}

#[test]
fn two_rows_with_one_hash_ask_for_another_seed() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path());
    let row = encode(&mut RowWriter::new(&fraud_schema()), &fraud_row(1)).unwrap();
    writer.push(KeyHash(77), &row).unwrap();
    assert!(matches!(writer.push(KeyHash(77), &row), Err(Error::Reseed { seed: 9 })));
    drop(writer);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "an unfinished segment leaves no file");
}

#[test]
fn hashes_that_crowd_together_ask_for_another_seed_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path());
    let row = encode(&mut RowWriter::new(&fraud_schema()), &fraud_row(1)).unwrap();
    // All in one group, however many groups there are.
    for hash in 0..700 {
        writer.push(KeyHash(hash), &row).unwrap();
    }
    assert!(matches!(writer.finish(), Err(Error::Reseed { .. })));
    const { assert!(INDEX_ATTEMPTS_MAX > 1) };
}

#[test]
fn an_uneven_hash_gets_a_larger_index() {
    let folder = tempfile::tempdir().unwrap();
    let mut out = writer(folder.path());
    let row = encode(&mut RowWriter::new(&fraud_schema()), &fraud_row(1)).unwrap();
    // Groups of the upper half get a third more than they should: 512, for which there is no seed.
    let mut hashes: Vec<u64> = entries(384 * 10, 1).iter().map(|entry| entry.hash).collect();
    hashes.extend(entries(384 * 5, 2).iter().map(|entry| entry.hash | 1 << 63));
    hashes.sort_unstable();
    for hash in &hashes {
        out.push(KeyHash(*hash), &row).unwrap();
    }
    let summary = out.finish().unwrap();
    let groups = summary.index_bytes / BLOCK_BYTES as u64;
    assert!((16..24).contains(&groups), "{groups} groups instead of 15");
}

#[test]
fn spilled_entries_give_the_same_file() {
    let rows: Vec<TestRow> = (0..5000).map(fraud_row).collect();
    let files = [ENTRIES_BUFFERED_MAX, 1000, 1].map(|buffered_max| {
        let folder = tempfile::tempdir().unwrap();
        let prepare = |writer: &mut SegmentWriter| writer.entries_mut().set_buffered_max(buffered_max);
        let (entry, _) = build_with(folder.path(), &fraud_schema(), &rows, 7, 1, prepare).unwrap();
        check_all(&open(folder.path(), &entry).unwrap(), &rows);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "what was spilled is removed");
        std::fs::read(folder.path().join(&entry.segments[0].file)).unwrap()
    });
    assert!(files[0] == files[1] && files[1] == files[2]);
}

#[test]
fn bytes_that_are_no_row_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path());
    let mut row = encode(&mut RowWriter::new(&fraud_schema()), &fraud_row(1)).unwrap();
    row.push(0);
    assert!(matches!(writer.push(KeyHash(1), &row), Err(Error::NotARow)));
    assert!(matches!(writer.push(KeyHash(2), &row[..10]), Err(Error::NotARow)));
    assert!(matches!(writer.push(KeyHash(3), &[]), Err(Error::NotARow)));
}

#[test]
#[should_panic(expected = "ascending order")]
fn rows_out_of_order_are_a_programming_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path());
    let row = encode(&mut RowWriter::new(&fraud_schema()), &fraud_row(1)).unwrap();
    writer.push(KeyHash(2), &row).unwrap();
    let _ = writer.push(KeyHash(1), &row);
}

#[test]
fn small_rows_do_not_cross_blocks_and_large_tables_stay_small() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<TestRow> = (0..100_000).map(fraud_row).collect();
    let (entry, summaries) = build_with(folder.path(), &fraud_schema(), &rows, 7, 1, |_| {}).unwrap();
    let info = open(folder.path(), &entry).unwrap().segments().next().unwrap();
    // Key 11, event time 8, two columns of 8 of which a seventh of one is null.
    assert_eq!(entry.raw_bytes, 35 * 100_000 - 8 * 100_000_u64.div_ceil(7));
    assert_eq!((info.raw_bytes, info.bytes), (entry.raw_bytes, summaries[0].bytes));
    assert!(info.bytes * 2 <= info.raw_bytes * 3 + info.raw_bytes / 5, "{} for {}", info.bytes, info.raw_bytes);
    assert!(info.index_bytes <= 11 * info.rows, "{} index bytes", info.index_bytes);
}
