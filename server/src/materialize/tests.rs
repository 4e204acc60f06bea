//! Blocks that are cut anywhere, by any number of threads, come to the same rows.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, sync::Arc};

use csv::{ByteRecord, ReaderBuilder, Terminator};
use gannet_api::definitions::{check as check_definitions, model::FeatureView};
use gannet_store::{KeyType, Table, ValueRef, build::BuildOptions, key::KeyWriter};
use proptest::prelude::*;
use tempfile::TempDir;

use super::{
    Job,
    blocks::{Block, Blocks, Body, Ends},
    csv::for_each_record,
    fault::SHOWN_MAX,
    in_blocks,
};

/// A record's cells, and the number of the line that it starts in.
type Numbered = (u64, Vec<Vec<u8>>);

fn cells(record: &ByteRecord) -> Vec<Vec<u8>> {
    record.iter().map(<[u8]>::to_vec).collect()
}

/// All of a file's bytes in one go; lines are counted by hand.
fn whole(text: &[u8]) -> Vec<Numbered> {
    let mut builder = ReaderBuilder::new();
    let after_a_header = [b"-\n", text].concat();
    let mut reader = builder.flexible(true).terminator(Terminator::Any(b'\n')).from_reader(after_a_header.as_slice());
    let mut records = Vec::new();
    for record in reader.byte_records() {
        let record = record.unwrap();
        let start = usize::try_from(record.position().unwrap().byte()).unwrap();
        let empty = after_a_header[start..].iter().take_while(|byte| **byte == b'\n').count();
        let line = after_a_header[..start + empty].iter().filter(|byte| **byte == b'\n').count();
        if record != vec!["\r"] {
            records.push((line as u64, cells(&record)));
        }
    }
    records
}

fn blocks(path: &Path, ends: Ends, block_bytes: usize, record_bytes_max: usize) -> Blocks {
    let body = Body { path: path.to_owned(), first_byte: 0, first_line: 1 };
    Blocks::new(vec![body], ends, block_bytes, record_bytes_max)
}

/// Block after block, which together must be the file.
fn by_blocks(path: &Path, text: &[u8], block_bytes: usize) -> Vec<Numbered> {
    let blocks = blocks(path, Ends::Unquoted, block_bytes, 1000);
    let (mut block, mut records, mut seen) = (Block::default(), Vec::new(), Vec::new());
    while blocks.next(&mut block).unwrap() {
        for_each_record(&block, |record, line| {
            records.push((line, cells(record)));
            Ok(())
        })
        .unwrap();
        seen.extend_from_slice(&block.bytes);
    }
    assert_eq!(seen, text);
    records
}

/// Whatever size blocks have.
#[track_caller]
fn check_records(text: &[u8]) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let expected = whole(text);
    for block_bytes in 1..=text.len() + 1 {
        let found = by_blocks(file.path(), text, block_bytes);
        assert_eq!(found, expected, "{:?} in blocks of {block_bytes}", String::from_utf8_lossy(text));
    }
}

#[test]
fn csv_records_that_are_easily_cut_wrongly() {
    for text in [
        "",
        "\n",
        "\n\n\na,b\n\n\nc,d",
        "a,b\r\n\r\nc,d\r\n",
        "a,\"1\n2\n\n3\"\nb,2\n",
        "a,\"x\"\"\n\"\"y\"\nb,\"\"\n",
        "a,\"\"\"\n\"\"\"\r\nb,\"\"\"\"\r\nc",
        "a\"b,c\nd\"e,f\n",
        "a\"b\nc,\"d\ne\"\nf\n",
        "a, \"b\nc\",d\n",
        "\"a\"b\"\n\"c\"\r\n",
        "a,\"never closed\nb,c\n",
        "a,b\n\u{feff}c,d\n\u{feff}\"e\nf\"\n",
        "\"\n\"\"\n\",\"\n\n\"\nz",
    ] {
        check_records(text.as_bytes());
    }
}

proptest! {
    #[test]
    fn csv_records_are_the_same_however_the_file_is_cut(
        parts in prop::collection::vec(prop::sample::select(vec!["a", "é", "\"", "\"", ",", "\n", "\n", "\r\n", "\"\"", "\u{feff}"]), 0..40)
    ) {
        check_records(parts.concat().as_bytes());
    }
}

/// Of each block its first line, its bytes and whether it is the beginning of a line that is too long.
#[track_caller]
fn check_lines(text: &str, block_bytes: usize, line_bytes_max: usize, expected: &[(u64, &str, bool)]) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let blocks = blocks(file.path(), Ends::Line, block_bytes, line_bytes_max);
    let (mut block, mut found, mut taken) = (Block::default(), Vec::new(), 0);
    while blocks.next(&mut block).unwrap() {
        found.push((block.first_line, String::from_utf8(block.bytes.clone()).unwrap(), block.is_too_long));
        taken += block.taken;
    }
    let found: Vec<_> = found.iter().map(|(line, bytes, too_long)| (*line, bytes.as_str(), *too_long)).collect();
    assert_eq!(found, expected, "{text:?} in blocks of {block_bytes}");
    assert_eq!(taken, text.len() as u64);
}

#[test]
fn a_line_that_is_too_long_is_passed_over() {
    check_lines("a\nb\nc", 2, 9, &[(1, "a\n", false), (2, "b\n", false), (3, "c", false)]);
    check_lines("a\nb\nc", 3, 9, &[(1, "a\n", false), (2, "b\nc", false)]);
    check_lines("\"\na\n", 9, 9, &[(1, "\"\na\n", false)]);
    for block_bytes in 1..=4 {
        check_lines("12345\n", block_bytes, 5, &[(1, "12345\n", false)]);
        check_lines("123456\n", block_bytes, 5, &[(1, "123456", true)]);
        check_lines("123456", block_bytes, 5, &[(1, "123456", true)]);
    }
    let long = "x".repeat(50);
    for block_bytes in [1, 2, 7, 40] {
        check_lines(&format!("{long}\n"), block_bytes, 5, &[(1, "xxxxxx", true)]);
    }
    check_lines(&format!("a\n{long}\nb\n"), 4, 5, &[(1, "a\n", false), (2, "xxxxxx", true), (3, "b\n", false)]);
}

#[test]
fn a_csv_record_that_is_too_long_ends_reading_for_everybody() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for (text, is_too_long) in [("a\n\"3456789\"\n", false), ("a\n\"34567890\"\n", true), ("a\n\"bc\nde\nfg", false)] {
        std::fs::write(file.path(), text).unwrap();
        for block_bytes in [1, 3, 9] {
            let blocks = blocks(file.path(), Ends::Unquoted, block_bytes, 9);
            let mut block = Block::default();
            let failed = std::iter::repeat_with(|| blocks.next(&mut block)).find(|next| !matches!(next, Ok(true)));
            let told = failed.and_then(Result::err).map(|e| e.to_string()).unwrap_or_default();
            assert_eq!(told.contains("a record has more than 9 bytes"), is_too_long, "{text:?}: {told}");
            assert!(!blocks.next(&mut Block::default()).unwrap());
        }
    }
}

/// Source files of one view, with what must become of them.
struct Expected {
    definitions: String,
    files: Vec<String>,
    /// Of each key, the event time and the value of the row that stays.
    rows: BTreeMap<String, (i64, String)>,
    rows_read: u64,
    /// The file and line of each bad row.
    bad: Vec<(usize, u64)>,
}

/// Rows of few keys and few event times, so that most are superseded and ties are many.
fn csv_source(choices: &[u32], line_end: &str) -> Expected {
    let mut expected = Expected::new("csv");
    for (file, choices) in choices.chunks(choices.len().div_ceil(2)).enumerate() {
        let (mut text, mut line) = (format!("value,\"key\",at,\"of no\nuse\"{line_end}"), 3);
        for (at, choice) in choices.iter().enumerate() {
            let (key, time, value) = expected.choose(file, at, *choice);
            let (row, value) = match choice % 7 {
                0 => (format!("{value},{key}"), None),
                1 => (format!("{value},,{time},"), None),
                2 => (format!("\"{value}\n\n\"\"é\"\"\",{key},{time},"), Some(format!("{value}\n\n\"é\""))),
                3 => (format!("{value}\"x,\"{key}\",{time},"), Some(format!("{value}\"x"))),
                _ => (format!("{value},{key},{time},\"\n\""), Some(value)),
            };
            expected.add(file, line, &key, time, value);
            write!(text, "{row}{line_end}").unwrap();
            if choice % 5 == 0 {
                text.push_str(line_end);
            }
            line = 1 + text.matches('\n').count() as u64;
        }
        expected.files.push(text);
    }
    expected
}

fn ndjson_source(choices: &[u32], line_end: &str) -> Expected {
    let mut expected = Expected::new("ndjson");
    for (file, choices) in choices.chunks(choices.len().div_ceil(2)).enumerate() {
        let (mut text, mut line) = (String::new(), 1);
        for (at, choice) in choices.iter().enumerate() {
            let (key, time, value) = expected.choose(file, at, *choice);
            let (row, value) = match choice % 7 {
                0 => (format!("{{\"key\":\"{key}\""), None),
                1 => (format!("{{\"at\":\"{time}\",\"value\":\"{value}\"}}"), None),
                2 => (
                    format!("{{\"key\":\"{key}\",\"at\":\"{time}\",\"value\":\"{value}\\n\\\"\"}}"),
                    Some(format!("{value}\n\"")),
                ),
                _ => (format!("{{\"value\":\"{value}\",\"key\":\"{key}\",\"at\":\"{time}\"}}"), Some(value)),
            };
            expected.add(file, line, &key, time, value);
            write!(text, "{row}{line_end}").unwrap();
            if choice % 5 == 0 {
                write!(text, "  {line_end}").unwrap();
            }
            line = 1 + text.matches('\n').count() as u64;
        }
        text.truncate(text.trim_end().len()); // the last line need not end
        expected.files.push(text);
    }
    expected
}

impl Expected {
    fn new(format: &str) -> Self {
        let definitions = format!(
            r#"
workspace = "prod"
[entities.thing]
join_keys = {{ key = "string" }}
[feature_views.things]
entity = "thing"
timestamp = "at"
source = {{ {format} = "*.{format}" }}
features = {{ value = "string" }}
"#
        );
        Self { definitions, files: Vec::new(), rows: BTreeMap::new(), rows_read: 0, bad: Vec::new() }
    }

    fn choose(&self, file: usize, at: usize, choice: u32) -> (String, String, String) {
        (format!("k{}", choice / 7 % 9), format!("2024-01-0{}", 1 + choice / 63 % 3), format!("v{file}.{at}"))
    }

    /// A row without a value is a bad one.
    fn add(&mut self, file: usize, line: u64, key: &str, time: String, value: Option<String>) {
        self.rows_read += 1;
        let time_us = super::text::timestamp(&time).unwrap();
        match value {
            None => self.bad.push((file, line)),
            Some(value) => {
                let newest = self.rows.entry(key.to_owned()).or_insert((i64::MIN, String::new()));
                if time_us >= newest.0 {
                    *newest = (time_us, value);
                }
            }
        }
    }

    /// Reads the files with so many threads in blocks of such a size.
    #[track_caller]
    fn check(&self, workers: usize, block_bytes: usize) {
        let folder = TempDir::new().unwrap();
        let definitions = check_definitions(&[("d.toml".to_owned(), self.definitions.clone())]).unwrap();
        let view: &FeatureView = &definitions.workspaces["prod"].feature_views["things"];
        let schema = Arc::new(view.schema());
        let files: Vec<_> = (0..self.files.len()).map(|at| folder.path().join(at.to_string())).collect();
        for (path, text) in files.iter().zip(&self.files) {
            std::fs::write(path, text).unwrap();
        }
        let root = folder.path().to_owned();
        let build = BuildOptions { root, table: "prod/things".to_owned(), memory_bytes: 1 << 20, workers, now_us: 0 };
        let format = view.source.as_ref().unwrap().format;
        let job = Job { name: "prod/things".to_owned(), view, schema, format, files, now_us: 0, build };
        let (entry, mut report) = in_blocks(job, block_bytes).unwrap();

        let what = format!("{workers} workers, blocks of {block_bytes}");
        assert_eq!(report.rows_read, self.rows_read, "{what}");
        assert_eq!(report.bad.total(), self.bad.len() as u64, "{what}");
        let places = report.bad_lines();
        for (place, (file, line)) in places.iter().zip(&self.bad).take(SHOWN_MAX) {
            assert!(place.contains(&format!("/{file}, line {line}: ")), "{what}: line {line}: {place}");
        }
        assert!(places.len() >= self.bad.len().min(SHOWN_MAX), "{what}: {places:?}");
        let table = Table::open(folder.path(), &entry).unwrap();
        let mut rows = BTreeMap::new();
        for row in table.scan() {
            let row = row.unwrap();
            let ValueRef::String(value) = row.value(0).unwrap() else { panic!("no string") };
            let value = String::from_utf8(value.to_vec()).unwrap();
            rows.insert(row.key().to_vec(), (row.event_time_us(), value));
        }
        let expected: BTreeMap<_, _> = self.rows.iter().map(|(key, row)| (encoded(key), row.clone())).collect();
        assert_eq!(rows, expected, "{what}");
    }

    fn check_all(&self) {
        for (workers, block_bytes) in [(1, 1 << 20), (1, 1), (2, 1), (3, 37), (2, 100), (4, 1000)] {
            self.check(workers, block_bytes);
        }
    }
}

fn encoded(key: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut parts = KeyWriter::new(&[KeyType::String], &mut bytes);
    parts.string(key.as_bytes());
    assert!(parts.finish());
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn several_threads_make_the_same_table_of_a_csv_file(choices in prop::collection::vec(any::<u32>(), 1..120), cr in any::<bool>()) {
        csv_source(&choices, if cr { "\r\n" } else { "\n" }).check_all();
    }

    #[test]
    fn several_threads_make_the_same_table_of_an_ndjson_file(choices in prop::collection::vec(any::<u32>(), 1..120), cr in any::<bool>()) {
        ndjson_source(&choices, if cr { "\r\n" } else { "\n" }).check_all();
    }
}
