//! `[stream_sources.…]`.

use gannet_store::{ColumnType, Field};

use super::{
    section::{Reader, Section},
    view::check_column,
    view_features::data_type,
};
use crate::definitions::{
    declared::StreamSourceDeclared,
    error::quoted,
    faults::{Reported, Spanned},
    limits::FIELDS_PER_STREAM_SOURCE_MAX,
    suggest, types,
};

/// Every key of a stream source.
pub(super) const STREAM_SOURCE_KEYS: [&str; 4] = ["timestamp", "fields", "description", "tags"];

/// What is spelt otherwise where definitions may come from.
const ELSEWHERE: [(&str, &str); 3] =
    [("schema", "`fields`"), ("timestamp_field", "`timestamp`"), ("timestamp_key", "`timestamp`")];

pub(super) fn read(reader: &mut Reader<'_, '_>, section: &Section<'_>, name: Spanned<String>) -> StreamSourceDeclared {
    section.only(reader, &STREAM_SOURCE_KEYS, &ELSEWHERE);
    let fields = fields(reader, section).ok();
    let timestamp = timestamp(reader, section, fields.as_deref()).ok();
    StreamSourceDeclared { heading: section.heading(reader, name), timestamp, fields }
}

/// Sorted by name.
fn fields(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> Result<Vec<Field>, Reported> {
    let Some(item) = section.table.get("fields") else { return Err(section.missing(reader, "fields", EXPECTED)) };
    let Some(table) = item.as_table_like() else { return Err(section.unfit(reader, "fields", item, EXPECTED)) };
    let place = section.key_place(reader, "fields");
    if table.len() > FIELDS_PER_STREAM_SOURCE_MAX {
        let limit = ("FIELDS_PER_STREAM_SOURCE_MAX", FIELDS_PER_STREAM_SOURCE_MAX);
        return Err(reader.faults.report_limit(place, &format!("fields in {}", section.owner), table.len(), limit));
    }
    let (mut fields, mut outcome) = (Vec::new(), Ok(()));
    for (name, item) in table.iter() {
        let place = reader.key_place(table, name).unwrap_or(place);
        let owner = format!("the field {} of {}", quoted(name), section.owner);
        let legal = check_column(reader, &Spanned { value: name.to_owned(), place });
        let text = reader.text_of(item, &owner, types::EXPECTED, place);
        match (legal, text.and_then(|text| data_type(reader, &owner, &text))) {
            (Ok(()), Ok(column_type)) => fields.push(Field { name: name.to_owned(), column_type }),
            (Err(reported), _) | (_, Err(reported)) => outcome = Err(reported),
        }
    }
    outcome?;
    if fields.is_empty() {
        return Err(reader.faults.report(place, format!("no fields in {}", section.owner), EXPECTED));
    }
    fields.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(fields)
}

fn timestamp(
    reader: &mut Reader<'_, '_>,
    section: &Section<'_>,
    fields: Option<&[Field]>,
) -> Result<Spanned<String>, Reported> {
    const EXPECTED: &str = "the name of the field with the event time";
    let timestamp = section.required(reader, "timestamp", EXPECTED)?;
    let Some(fields) = fields else { return Ok(timestamp) };
    let found = format!("the timestamp {} of {}", quoted(&timestamp.value), section.owner);
    match fields.iter().find(|field| field.name == timestamp.value) {
        Some(field) if field.column_type == ColumnType::Timestamp => Ok(timestamp),
        Some(field) => {
            let found = format!("{found}, a field of type {}", types::text(&field.column_type));
            Err(reader.faults.report(timestamp.place, found, "a field of type timestamp"))
        }
        None => {
            let moments = || fields.iter().filter(|field| field.column_type == ColumnType::Timestamp);
            let help = suggest::did_you_mean(&timestamp.value, moments().map(|field| field.name.as_str()));
            Err(reader.faults.report_with_help(timestamp.place, found, "a field of type timestamp", help))
        }
    }
}

const EXPECTED: &str = "names and types, such as `fields = { user_id = \"string\", at = \"timestamp\" }`";
