//! The features of a view: a table of names and types, or a list of tables.

use gannet_store::ColumnType;
use toml_edit::Item;

use super::{
    section::{NOT_YET, Reader, Section},
    view::check_column,
};
use crate::definitions::{
    error::quoted,
    faults::{Reported, Spanned},
    limits::FEATURES_PER_VIEW_MAX,
    model::Feature,
    names::NameKind,
    types,
};

/// Every key of a feature in the long form.
pub(super) const FEATURE_KEYS: [&str; 5] = ["name", "type", "column", "description", "tags"];

/// Keys of aggregates.
const LATER_KEYS: [&str; 5] = ["function", "windows", "window", "time_windows", "aggregation_interval"];

/// The features that are right, and whether those are all.
pub(super) fn read(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> (Vec<Spanned<Feature>>, bool) {
    let Some(item) = section.table.get("features") else {
        section.missing(reader, "features", EXPECTED);
        return (Vec::new(), false);
    };
    let (features, mut whole) = if let Some(table) = item.as_table_like() {
        let features = table.iter().map(|(name, item)| {
            let place = reader.key_place(table, name).unwrap_or(section.place);
            named(reader, section, Spanned { value: name.to_owned(), place }, item)
        });
        (features.collect::<Vec<_>>(), true)
    } else if let Some((tables, outcome)) = section.tables(reader, "features", item, "a feature", EXPECTED) {
        (tables.iter().map(|table| listed(reader, table)).collect(), outcome.is_ok())
    } else {
        section.unfit(reader, "features", item, EXPECTED);
        return (Vec::new(), false);
    };
    let place = section.key_place(reader, "features");
    if features.len() > FEATURES_PER_VIEW_MAX {
        let limit = ("FEATURES_PER_VIEW_MAX", FEATURES_PER_VIEW_MAX);
        reader.faults.report_limit(place, &format!("features in {}", section.owner), features.len(), limit);
        whole = false;
    }
    if features.is_empty() && whole {
        reader.faults.report(place, format!("no features in {}", section.owner), EXPECTED);
        whole = false;
    }
    let mut right: Vec<Spanned<Feature>> = Vec::new();
    let mut names = std::collections::BTreeMap::new();
    for feature in features {
        let Ok(feature) = feature else {
            whole = false;
            continue;
        };
        match names.insert(feature.value.name.clone(), feature.place) {
            Some(earlier) => {
                let found = format!("the feature {} twice in {}", quoted(&feature.value.name), section.owner);
                let expected = format!("each name once; the first is at {}", reader.faults.position(earlier));
                reader.faults.report(feature.place, found, expected);
            }
            None => right.push(feature),
        }
    }
    (right, whole)
}

/// `seats = "int64"` or `seats = { type = "int64", … }`.
fn named(
    reader: &mut Reader<'_, '_>,
    section: &Section<'_>,
    name: Spanned<String>,
    item: &Item,
) -> Result<Spanned<Feature>, Reported> {
    let owner = format!("the feature {} of {}", quoted(&name.value), section.owner);
    let Some(table) = item.as_table_like() else {
        let legal = reader.name(NameKind::Column, "a feature", &name.value, name.place);
        let text = reader.text_of(item, &owner, types::EXPECTED, name.place)?;
        let data_type = data_type(reader, &owner, &text)?;
        legal?;
        let column = name.value.clone();
        let feature =
            Feature { name: name.value, column, data_type, description: String::new(), tags: Default::default() };
        return Ok(Spanned { value: feature, place: name.place });
    };
    let inner = Section { owner, table, place: name.place };
    inner.only(reader, &FEATURE_KEYS[1..], &LATER_KEYS);
    long_form(reader, &inner, name)
}

/// `{ name = "seats", type = "int64", … }`.
fn listed(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> Result<Spanned<Feature>, Reported> {
    if let Some(key) = LATER_KEYS.iter().find(|key| section.table.contains_key(key)) {
        // an aggregate has no name and no type of its own: one error about it, not three
        let place = section.key_place(reader, key);
        return Err(reader.faults.report(place, format!("`{key}` in {}", section.owner), NOT_YET));
    }
    let name = section.required(reader, "name", "the feature's name")?;
    let owner = section.owner.replacen("a feature", &format!("the feature {}", quoted(&name.value)), 1);
    let inner = Section { owner, table: section.table, place: section.place };
    inner.only(reader, &FEATURE_KEYS, &LATER_KEYS);
    long_form(reader, &inner, name)
}

fn long_form(
    reader: &mut Reader<'_, '_>,
    section: &Section<'_>,
    name: Spanned<String>,
) -> Result<Spanned<Feature>, Reported> {
    let legal = reader.name(NameKind::Column, "a feature", &name.value, name.place);
    let text = section.required(reader, "type", types::EXPECTED);
    let data_type = text.and_then(|text| data_type(reader, &section.owner, &text));
    let column = match section.string(reader, "column", "the name of a column of the source")? {
        Some(column) => {
            check_column(reader, &column)?;
            column.value
        }
        None => name.value.clone(),
    };
    let (description, tags) = (section.description(reader), section.tags(reader));
    legal?;
    let feature = Feature { name: name.value, column, data_type: data_type?, description, tags };
    Ok(Spanned { value: feature, place: name.place })
}

fn data_type(reader: &mut Reader<'_, '_>, owner: &str, text: &Spanned<String>) -> Result<ColumnType, Reported> {
    types::parse(&text.value).map_err(|fault| {
        let place = reader.within(text, fault.at);
        let found = format!("{} for {owner}", fault.found);
        reader.faults.report_with_help(place, found, fault.expected, fault.help)
    })
}

const EXPECTED: &str = "names and types, such as `features = { seats = \"int64\" }`, or a list of tables";
