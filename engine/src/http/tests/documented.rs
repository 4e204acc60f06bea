//! The page that operators read says what the code does.

use crate::{http::Fault, limits::*};

const PAGE: &str = include_str!("../../../../docs/http.md");

/// Cells of the table row that begins with this cell.
fn row(first: &str) -> Vec<&'static str> {
    let start = format!("| {first} |");
    let mut rows = PAGE.lines().filter(|line| line.starts_with(&start));
    let row = rows.next().unwrap_or_else(|| panic!("no row for {first}"));
    assert_eq!(rows.next(), None, "two rows for {first}");
    row.split('|').map(str::trim).collect()
}

fn shown(n: u64) -> String {
    let digits = n.to_string();
    let (mut text, count) = (String::new(), digits.len());
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (count - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[test]
fn each_setting_stands_there_with_default_and_range() {
    for setting in Limits::default().settings() {
        let cells = row(&format!("`{}`", setting.name));
        assert_eq!(cells[2], shown(setting.value), "{}", setting.name);
        assert_eq!(cells[3], format!("{} – {}", shown(setting.min), shown(setting.max)), "{}", setting.name);
    }
}

#[test]
fn each_fixed_bound_stands_there() {
    for (name, value) in [
        ("empty lines before a request", EMPTY_LINES_BYTES_MAX as u64 / 2),
        ("method", METHOD_BYTES_MAX as u64),
        ("digits of Content-Length", CONTENT_LENGTH_DIGITS_MAX as u64),
        ("digits of a chunk size", u64::from(CHUNK_SIZE_DIGITS_MAX)),
        ("extension of one chunk", u64::from(CHUNK_EXTENSION_BYTES_MAX)),
        ("extensions of one body", u64::from(CHUNK_EXTENSIONS_BYTES_MAX)),
        ("minimum rate of a body", BODY_BYTES_PER_SECOND_MIN),
        ("window of that rate", BODY_RATE_WINDOW.as_secs()),
        ("lingering close, time", LINGER_TIME_MAX.as_secs()),
        ("lingering close, bytes", LINGER_BYTES_MAX as u64),
    ] {
        let cell = row(name)[2];
        let number = cell.split_whitespace().next().unwrap_or_default();
        assert_eq!(number, shown(value), "{name}");
    }
}

#[test]
fn each_fault_stands_there_with_its_status() {
    for fault in Fault::ALL {
        assert_eq!(row(fault.label())[2], fault.status().0.to_string(), "{}", fault.label());
    }
}

#[test]
fn each_label_belongs_to_one_fault() {
    for (index, fault) in Fault::ALL.iter().enumerate() {
        assert_eq!(fault.index(), index);
        assert_eq!(Fault::ALL.iter().filter(|other| other.label() == fault.label()).count(), 1);
    }
}
