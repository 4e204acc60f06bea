//! Builds that fold: every row of a key, in order, whatever the memory, the threads and the hashes.

use super::{
    super::{Fold, Folder},
    reseed::{COLLIDING, few_hashes},
    *,
};
use crate::{
    error::Corrupt,
    row::{Row, RowLayout},
    table::KeyHash,
};

/// Puts the payloads of a key behind each other; a key whose payloads come to nothing has no row.
#[derive(Debug)]
struct Joined;

struct Joining {
    layout_writer: RowWriter,
    key: Vec<u8>,
    joined: String,
    event_time_us: i64,
    newest_of_all_us: i64,
}

impl Fold for Joined {
    fn folder(&self, event_time_max_us: i64) -> Box<dyn Folder + '_> {
        let (key, joined) = (Vec::new(), String::new());
        let layout_writer = RowWriter::new(&schema());
        Box::new(Joining { layout_writer, key, joined, event_time_us: 0, newest_of_all_us: event_time_max_us })
    }
}

impl Folder for Joining {
    fn add(&mut self, row: &Row<'_>) -> Result<(), Corrupt> {
        let ValueRef::Int64(number) = row.value(0)? else { panic!("a number was pushed") };
        self.key = row.key().to_vec();
        self.joined.push_str(&format!("{number},"));
        self.event_time_us = row.event_time_us();
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<bool, Corrupt> {
        let joined = std::mem::take(&mut self.joined);
        self.layout_writer.begin(&self.key, self.event_time_us);
        self.layout_writer.string(0, &format!("{joined} of {}", self.newest_of_all_us));
        out.extend_from_slice(self.layout_writer.finish().unwrap());
        Ok(!joined.starts_with("0,"))
    }
}

fn pushed() -> Schema {
    let columns = vec![Field { name: "number".into(), column_type: ColumnType::Int64 }];
    Schema { columns, ..Schema::clone(&schema()) }
}

/// Numbers of keys, each once: with times that repeat and go back and forth.
fn check(count: u32, keys: u32, memory_bytes: usize, sinks: usize, hash: fn(u64, &[u8]) -> KeyHash) {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path(), memory_bytes, 2);
    let mut builder = TableBuilder::folding(schema(), options, &pushed(), Arc::new(Joined)).unwrap();
    let build = Arc::get_mut(&mut builder.build).unwrap();
    (build.seed, build.hash) = (COLLIDING, hash);
    let mut made: Vec<RowSink> = (0..sinks).map(|_| builder.sink()).collect();
    let mut expected: BTreeMap<String, Vec<(i64, u32)>> = BTreeMap::new();
    let mut writer = RowWriter::new(&pushed());
    for number in 0..count {
        let (key, time) = (format!("key-{}", number % keys), i64::from(number.wrapping_mul(2_654_435_761) % 5));
        let mut bytes = Vec::new();
        let mut parts = KeyWriter::new(&[KeyType::String], &mut bytes);
        parts.string(key.as_bytes());
        assert!(parts.finish());
        writer.begin(&bytes, time);
        writer.int64(0, i64::from(number));
        made[number as usize % sinks].push(writer.finish().unwrap(), u64::from(number)).unwrap();
        expected.entry(key).or_default().push((time, number));
    }
    let (entry, summary) = builder.finish(made, &|_, _| {}).unwrap();
    assert_eq!(summary.rows_in, u64::from(count));
    let table = Table::open(folder.path(), &entry).unwrap();
    let mut found = BTreeMap::new();
    let layout = RowLayout::new(&schema(), "");
    for row in table.scan() {
        let row = row.unwrap().encoded();
        let row = Row::parse(&layout, row).unwrap();
        let ValueRef::String(text) = row.value(0).unwrap() else { panic!("a string was written") };
        found.insert(row.key().to_vec(), (row.event_time_us(), String::from_utf8(text.to_vec()).unwrap()));
    }
    let mut joined = BTreeMap::new();
    let newest = expected.values().flatten().map(|(time, _)| *time).max().unwrap();
    for (key, mut numbers) in expected {
        numbers.sort_unstable();
        if numbers[0].1 == 0 {
            continue; // comes to nothing
        }
        let mut bytes = Vec::new();
        let mut parts = KeyWriter::new(&[KeyType::String], &mut bytes);
        parts.string(key.as_bytes());
        assert!(parts.finish());
        let text: String = numbers.iter().map(|(_, number)| format!("{number},")).collect();
        joined.insert(bytes, (numbers[numbers.len() - 1].0, format!("{text} of {newest}")));
    }
    assert_eq!(found, joined);
}

#[test]
fn all_rows_of_a_key_are_folded_in_the_order_of_their_times() {
    check(1, 1, 1 << 20, 1, Table::hash_with);
    check(2000, 7, 1 << 20, 3, Table::hash_with);
    check(2000, 300, 1 << 20, 1, Table::hash_with);
}

#[test]
fn little_memory_changes_nothing() {
    check(5000, 40, 20_000, 2, Table::hash_with);
    check(5000, 5000, 20_000, 2, Table::hash_with);
}

#[test]
fn keys_that_collide_are_folded_apart() {
    for memory_bytes in [20_000, 1 << 20] {
        check(900, 300, memory_bytes, 2, few_hashes);
    }
}
