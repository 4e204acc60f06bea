mod faults;
mod fold;
mod model;
mod reseed;

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use super::{BuildOptions, BuildSummary, RowSink, TableBuilder};
use crate::{
    directory::{TableEntry, disk::SystemDisk},
    error::Error,
    key::KeyWriter,
    row::RowWriter,
    schema::{ColumnType, Field, KeyPart, KeyType, Schema},
    table::Table,
    value::ValueRef,
};

/// What a test pushes: the ordinal is where it stands in the input.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Input {
    key: String,
    event_time_us: i64,
    payload: Vec<u8>,
}

/// What a table says of a key.
type Kept = BTreeMap<Vec<u8>, (i64, Vec<u8>)>;

fn schema() -> Arc<Schema> {
    Arc::new(Schema {
        key: vec![KeyPart { name: "name".into(), key_type: KeyType::String }],
        columns: vec![Field { name: "payload".into(), column_type: ColumnType::String }],
    })
}

fn options(root: &Path, memory_bytes: usize, workers: usize) -> BuildOptions {
    BuildOptions { root: root.to_owned(), table: "prod/names".into(), memory_bytes, workers, now_us: 77 }
}

fn encode<'w>(writer: &'w mut RowWriter, input: &Input) -> &'w [u8] {
    let mut key = Vec::new();
    let mut parts = KeyWriter::new(&[KeyType::String], &mut key);
    parts.string(input.key.as_bytes());
    assert!(parts.finish());
    writer.begin(&key, input.event_time_us);
    writer.string(0, std::str::from_utf8(&input.payload).unwrap());
    writer.finish().unwrap()
}

/// Deals the input out to sinks in turn, each on a thread of its own.
fn push_all(builder: &TableBuilder, inputs: &[Input], sinks: usize) -> Result<Vec<RowSink>, Error> {
    let made: Vec<RowSink> = (0..sinks).map(|_| builder.sink()).collect();
    std::thread::scope(|scope| {
        let threads = made.into_iter().enumerate().map(|(first, mut sink)| {
            scope.spawn(move || {
                let mut writer = RowWriter::new(&schema());
                for (ordinal, input) in inputs.iter().enumerate().skip(first).step_by(sinks) {
                    sink.push(encode(&mut writer, input), ordinal as u64)?;
                }
                Ok(sink)
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn build(options: BuildOptions, inputs: &[Input], sinks: usize) -> Result<(TableEntry, BuildSummary), Error> {
    let builder = TableBuilder::new_on(schema(), options, 5, Table::hash_with, Arc::new(SystemDisk)).unwrap();
    let sinks = push_all(&builder, inputs, sinks)?;
    builder.finish(sinks, &|merged, rows| assert!(merged <= rows))
}

/// What ought to be kept.
fn model(inputs: &[Input]) -> Kept {
    let mut kept = Kept::new();
    for input in inputs {
        let entry = kept.entry(input.key.as_bytes().to_vec()).or_insert((i64::MIN, Vec::new()));
        if input.event_time_us >= entry.0 {
            *entry = (input.event_time_us, input.payload.clone());
        }
    }
    kept
}

/// Opens the table, verifies it, and reads it in both ways that there are.
fn read(root: &Path, entry: &TableEntry) -> Kept {
    let table = Table::open(root, entry).unwrap();
    table.verify(&mut |_| {}).unwrap();
    let mut kept = Kept::new();
    for row in table.scan() {
        let row = row.unwrap();
        let ValueRef::String(payload) = row.value(0).unwrap() else { panic!("a string was written") };
        let before = kept.insert(row.key().to_vec(), (row.event_time_us(), payload.to_vec()));
        assert_eq!(before, None, "a key is there once");
        assert_eq!(table.lookup(row.key()).unwrap().unwrap().event_time_us(), row.event_time_us());
    }
    assert_eq!(table.rows(), kept.len() as u64);
    kept
}

/// Every file below, relative.
fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned()),
            }
        }
    }
    found.sort();
    found
}

fn numbered(count: u32, keys: u32) -> Vec<Input> {
    let input = |index: u32| Input {
        key: format!("key-{}", index.wrapping_mul(2_654_435_761) % keys),
        event_time_us: i64::from(index % 7),
        payload: format!("payload {index}").into_bytes(),
    };
    (0..count).map(input).collect()
}
