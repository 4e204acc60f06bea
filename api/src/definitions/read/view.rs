//! `[feature_views.…]`.

use toml_edit::Item;

use super::{
    aggregate,
    section::{Reader, Section},
    view_features,
};
use crate::definitions::{
    declared::ViewDeclared,
    duration,
    error::{is_invisible, quoted},
    faults::{Reported, Spanned},
    limits::{COLUMN_BYTES_MAX, ENTITIES_PER_VIEW_MAX, PATH_BYTES_MAX, TTL_DAYS_MAX},
    model::{Source, SourceFormat},
};

/// Every key of a feature view.
pub(super) const VIEW_KEYS: [&str; 14] = [
    "entity",
    "entities",
    "stream",
    "source",
    "timestamp",
    "ttl",
    "features",
    "aggregation_interval",
    "leading_edge",
    "lifetime_start",
    "secondary_key",
    "vector_position",
    "description",
    "tags",
];

/// What is spelt otherwise where definitions may come from.
const ELSEWHERE: [(&str, &str); 6] = [
    ("aggregation_leading_edge", "`leading_edge`"),
    ("aggregation_secondary_key", "`secondary_key`"),
    ("aggregations", "`features`, with a `function` each"),
    ("lifetime_start_time", "`lifetime_start`"),
    ("stream_source", "`stream`"),
    ("batch_source", "`source`"),
];

pub(super) fn read(reader: &mut Reader<'_, '_>, section: &Section<'_>, name: Spanned<String>) -> ViewDeclared {
    section.only(reader, &VIEW_KEYS, &ELSEWHERE);
    let heading = section.heading(reader, name);
    let entities = entities(reader, section).ok();
    let stream = section.string(reader, "stream", "the name of a stream source");
    let source = source(reader, section);
    let (features, features_whole) = view_features::read(reader, section);
    ViewDeclared {
        heading,
        entities,
        timestamp: timestamp(reader, section).ok().flatten(),
        source,
        stream,
        ttl_us: ttl(reader, section).ok().flatten(),
        first: first(reader, section).unwrap_or(false),
        features,
        features_whole,
        aggregation: aggregate::read_view(reader, section),
    }
}

fn entities(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> Result<Vec<Spanned<String>>, Reported> {
    const ONE: &str = "`entity = \"…\"` or `entities = [\"…\", …]`";
    let many = match (section.table.get("entity"), section.table.get("entities")) {
        (Some(_), Some(_)) => {
            let place = section.key_place(reader, "entities");
            let found = format!("both `entity` and `entities` in {}", section.owner);
            return Err(reader.faults.report(place, found, "one of the two"));
        }
        (Some(_), None) => return Ok(vec![section.required(reader, "entity", ONE)?]),
        (None, None) => return Err(section.missing(reader, "entity", ONE)),
        (None, Some(many)) => many,
    };
    let Some(array) = many.as_array().filter(|array| !array.is_empty()) else {
        return Err(section.unfit(reader, "entities", many, "a list of at least one entity's name"));
    };
    let place = section.key_place(reader, "entities");
    let mut names = Vec::new();
    let mut outcome = Ok(());
    for value in array {
        let what = format!("an entity of {}", section.owner);
        match reader.text_of(&Item::Value(value.clone()), &what, "an entity's name", place) {
            Ok(name) => names.push(name),
            Err(reported) => outcome = Err(reported),
        }
    }
    if names.len() > ENTITIES_PER_VIEW_MAX {
        let limit = ("ENTITIES_PER_VIEW_MAX", ENTITIES_PER_VIEW_MAX);
        outcome = Err(reader.faults.report_limit(place, &format!("entities in {}", section.owner), names.len(), limit));
    }
    outcome.map(|()| names)
}

fn timestamp(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> Result<Option<Spanned<String>>, Reported> {
    let Some(column) = section.string(reader, "timestamp", "the name of the event-time column")? else {
        return Ok(None);
    };
    if column.value.is_empty() {
        let found = format!("an empty `timestamp` in {}", section.owner);
        let help = Some("leave the key out when the source has no event time".to_owned());
        return Err(reader.faults.report_with_help(column.place, found, "the name of the event-time column", help));
    }
    check_column(reader, &column)?;
    Ok(Some(column))
}

/// A column's name in a source, which others chose: nearly anything.
pub(super) fn check_column(reader: &mut Reader<'_, '_>, column: &Spanned<String>) -> Result<(), Reported> {
    let bytes = column.value.len();
    if bytes > COLUMN_BYTES_MAX {
        let limit = ("COLUMN_BYTES_MAX", COLUMN_BYTES_MAX);
        return Err(reader.faults.report_limit(column.place, "bytes in a column's name", bytes, limit));
    }
    if column.value.is_empty() || column.value.chars().any(is_invisible) {
        let found = format!("the column name {}", quoted(&column.value));
        return Err(reader.faults.report(column.place, found, "visible characters"));
    }
    Ok(())
}

fn source(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> Result<Option<Source>, Reported> {
    const EXPECTED: &str = "one format and a path, such as `source = { parquet = \"planes.parquet\" }`";
    let Some(item) = section.table.get("source") else {
        if section.table.contains_key("stream") {
            return Ok(None);
        }
        let found = format!("no `source` and no `stream` in {}", section.owner);
        let expected = format!("{EXPECTED}, or the name of a stream source");
        return Err(reader.faults.report(section.place, found, expected));
    };
    let Some(table) = item.as_table_like() else { return Err(section.unfit(reader, "source", item, EXPECTED)) };
    let place = section.key_place(reader, "source");
    let inner = Section { owner: format!("the source of {}", section.owner), table, place };
    let unknown = inner.only(reader, &FORMATS.map(|(name, _)| name), &[]);
    let given: Vec<_> = FORMATS.iter().filter(|(name, _)| table.contains_key(name)).collect();
    let [(key, format)] = given[..] else {
        if let Some(reported) = unknown.filter(|_| given.is_empty()) {
            return Err(reported); // most likely the format, misspelt
        }
        let found = format!("{} formats in {}", if given.is_empty() { "no" } else { "several" }, inner.owner);
        return Err(reader.faults.report(place, found, EXPECTED));
    };
    let path = inner.required(reader, key, "a path")?;
    check_path(reader, &path)?;
    Ok(Some(Source { format: *format, path: path.value }))
}

fn check_path(reader: &mut Reader<'_, '_>, path: &Spanned<String>) -> Result<(), Reported> {
    let text = &path.value;
    let (folder, file) = text.rsplit_once('/').unwrap_or(("", text));
    if text.len() > PATH_BYTES_MAX {
        let limit = ("PATH_BYTES_MAX", PATH_BYTES_MAX);
        return Err(reader.faults.report_limit(path.place, "bytes in a path", text.len(), limit));
    }
    let found = format!("the path {}", quoted(text));
    if file.is_empty() || matches!(file, "." | "..") || text.chars().any(char::is_control) {
        return Err(reader.faults.report(path.place, found, "the path of a file"));
    }
    if folder.contains('*') {
        return Err(reader.faults.report(path.place, found, "`*` in the last part of the path only"));
    }
    Ok(())
}

fn ttl(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> Result<Option<Spanned<i64>>, Reported> {
    let Some(text) = section.string(reader, "ttl", duration::EXPECTED)? else { return Ok(None) };
    let found = format!("the ttl {} of {}", quoted(&text.value), section.owner);
    let Some(ttl_us) = duration::parse(&text.value) else {
        return Err(reader.faults.report(text.place, found, duration::EXPECTED));
    };
    if ttl_us == 0 {
        let help = Some("leave the key out for features that never expire".to_owned());
        return Err(reader.faults.report_with_help(text.place, found, "more than zero", help));
    }
    if ttl_us / 86_400_000_000 > TTL_DAYS_MAX {
        let help = Some("leave the key out for features that never expire".to_owned());
        let expected = format!("at most {TTL_DAYS_MAX}d (TTL_DAYS_MAX)");
        return Err(reader.faults.report_with_help(text.place, found, expected, help));
    }
    Ok(Some(Spanned { value: ttl_us, place: text.place }))
}

fn first(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> Result<bool, Reported> {
    const EXPECTED: &str = "\"first\" or \"by_name\"";
    let Some(text) = section.string(reader, "vector_position", EXPECTED)? else { return Ok(false) };
    match text.value.as_str() {
        "first" => Ok(true),
        "by_name" => Ok(false),
        other => {
            let found = format!("the vector position {} of {}", quoted(other), section.owner);
            Err(reader.faults.report(text.place, found, EXPECTED))
        }
    }
}

const FORMATS: [(&str, SourceFormat); 3] =
    [("parquet", SourceFormat::Parquet), ("csv", SourceFormat::Csv), ("ndjson", SourceFormat::Ndjson)];
