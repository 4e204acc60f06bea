//! The format, pinned: the writer must reproduce `store/fixtures/segment-v2.bin` byte for byte, and the one before is read.
//!
//! A change that breaks this test changes the format: it needs a new version, a new fixture, and a reader for this one.

use super::*;

/// Every type, nested and null, in one table.
fn golden_schema() -> Schema {
    let point = vec![field("x", ColumnType::Float32), field("label", ColumnType::String)];
    Schema {
        key: vec![
            KeyPart { name: "tail_number".into(), key_type: KeyType::String },
            KeyPart { name: "flight".into(), key_type: KeyType::Int64 },
        ],
        columns: vec![
            field("delayed", ColumnType::Boolean),
            field("seats", ColumnType::Int64),
            field("ratio", ColumnType::Float32),
            field("delay_mean", ColumnType::Float64),
            field("carrier", ColumnType::String),
            field("departed_at", ColumnType::Timestamp),
            field("recent_delays", ColumnType::Array(Box::new(ColumnType::Float64))),
            field("airports", ColumnType::Array(Box::new(ColumnType::String))),
            field("position", ColumnType::Struct(point)),
            field("by_airport", ColumnType::Map(Box::new(ColumnType::Array(Box::new(ColumnType::Int64))))),
        ],
    }
}

fn golden_row(number: i64) -> TestRow {
    let mut key = Vec::new();
    let mut writer = KeyWriter::new(&[KeyType::String, KeyType::Int64], &mut key);
    writer.string(format!("N{number:03}").as_bytes());
    writer.int64(number);
    assert!(writer.finish());
    let small = i16::try_from(number).unwrap();
    let text = |text: &str| Value::String(text.into());
    let values = vec![
        Value::Boolean(number % 2 == 0),
        Value::Int64(number * 1_000_003),
        Value::Float32(f32::from(small) / 4.0),
        Value::Float64(f64::from(small) / 8.0),
        text(["United", "Am\u{e9}rica", ""][usize::try_from(number % 3).unwrap()]),
        Value::Timestamp(1_357_034_400_000_000 + number),
        Value::Array((0..number % 5).map(|at| if at == 2 { Value::Null } else { Value::Float64(0.5) }).collect()),
        Value::Array(vec![text("JFK"), Value::Null, text("LaGuardia")]),
        Value::Struct(vec![Value::Float32(1.5), text(&"l".repeat(usize::try_from(number * 40).unwrap()))]),
        Value::Map(vec![("EWR".into(), Value::Array(vec![Value::Int64(number)])), ("LGA".into(), Value::Null)]),
    ];
    let null = |(position, value): (i64, Value)| if (number + position) % 7 == 6 { Value::Null } else { value };
    TestRow { key, event_time_us: -number, values: (0..).zip(values).map(null).collect() }
}

/// Version 2 has tombstones: one with a key of its own length in two bytes, one in which one byte would do.
fn golden_rows() -> Vec<TestRow> {
    let long = TestRow { key: [&[40, 0][..], &[b'N'; 40], &[7; 8]].concat(), event_time_us: 8, values: deleted() };
    let short = TestRow { key: [&[1, 0][..], b"N", &[7; 8]].concat(), event_time_us: 9, values: deleted() };
    (0..40).map(golden_row).chain([long, short]).collect()
}

#[test]
fn the_writer_reproduces_the_golden_segment() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/segment-v2.bin");
    let folder = tempfile::tempdir().unwrap();
    let rows = golden_rows();
    let entry = build(folder.path(), &golden_schema(), &rows, 0x5eed, 1).unwrap();
    let written = std::fs::read(folder.path().join(&entry.segments[0].file)).unwrap();
    if std::env::var_os("GANNET_WRITE_FIXTURES").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    let golden = std::fs::read(&path).unwrap();
    let differs = golden.iter().zip(&written).position(|(golden, written)| golden != written);
    assert_eq!((golden.len(), differs), (written.len(), None));
    assert_eq!(entry.segments[0].root, ROOT);
}

#[test]
fn golden_segments_read_as_they_were_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let check = |file: &str, root: &str, rows: &[TestRow], event_time_max_us| {
        let bytes = std::fs::metadata(folder.join(file)).unwrap().len();
        let segment = SegmentEntry { file: file.into(), bytes, rows: rows.len() as u64, root: root.into() };
        let entry = TableEntry {
            schema: golden_schema(),
            seed: 0x5eed,
            segments: vec![segment],
            rows: rows.len() as u64,
            tombstones: 0,
            raw_bytes: 0,
            event_time_min_us: Some(-39),
            event_time_max_us: Some(event_time_max_us),
            built_at_us: 0,
            holds_writes: false,
            has_deletes: false,
            newest_event_us: None,
        };
        let table = open(&folder, &entry).unwrap();
        check_all(&table, rows);
        assert_eq!(table.event_time_max_us(), Some(event_time_max_us));
    };
    check("segment-v1.bin", ROOT_V1, &golden_rows()[..40], 0);
    check("segment-v2.bin", ROOT, &golden_rows(), 9);
}

const ROOT_V1: &str = "a17835c0ed02ec6f";
const ROOT: &str = "4113d33d8a41a10f";
