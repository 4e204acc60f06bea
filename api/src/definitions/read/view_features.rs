//! The features of a view: a table of names and types, or a list of tables; plain columns, or aggregates.

use gannet_store::ColumnType;
use toml_edit::Item;

use super::{
    aggregate,
    section::{Reader, Section},
    view::check_column,
};
use crate::definitions::{
    declared::{AggregateDeclared, FeaturesDeclared},
    error::quoted,
    faults::{Reported, Spanned},
    limits::FEATURES_PER_VIEW_MAX,
    model::Feature,
    names::NameKind,
    types,
};

/// Every key of a feature in the long form.
pub(super) const FEATURE_KEYS: [&str; 5] = ["name", "type", "column", "description", "tags"];

/// One entry of `features`.
#[derive(Debug)]
enum Entry {
    Plain(Spanned<Feature>),
    Aggregate(Box<AggregateDeclared>),
}

/// The features that are right, and whether those are all.
pub(super) fn read(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> (FeaturesDeclared, bool) {
    let nothing = FeaturesDeclared::Plain(Vec::new());
    let Some(item) = section.table.get("features") else {
        section.missing(reader, "features", EXPECTED);
        return (nothing, false);
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
        return (nothing, false);
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
    let (mut plain, mut aggregates) = (Vec::new(), Vec::new());
    for feature in features {
        match feature {
            Ok(Entry::Plain(feature)) => plain.push(feature),
            Ok(Entry::Aggregate(aggregate)) => aggregates.push(*aggregate),
            Err(_) => whole = false,
        }
    }
    if aggregates.is_empty() {
        return (FeaturesDeclared::Plain(unique(reader, section, plain)), whole);
    }
    for feature in plain {
        let found = format!("the feature {} without a function in {}", quoted(&feature.value.name), section.owner);
        reader.faults.report(feature.place, found, "a `function` for each of a view's features, or for none");
        whole = false;
    }
    (FeaturesDeclared::Aggregates(aggregates), whole)
}

/// The first of each name; others are reported.
fn unique(
    reader: &mut Reader<'_, '_>,
    section: &Section<'_>,
    features: Vec<Spanned<Feature>>,
) -> Vec<Spanned<Feature>> {
    let mut right: Vec<Spanned<Feature>> = Vec::new();
    let mut names = std::collections::BTreeMap::new();
    for feature in features {
        match names.insert(feature.value.name.clone(), feature.place) {
            Some(earlier) => {
                let found = format!("the feature {} twice in {}", quoted(&feature.value.name), section.owner);
                let expected = format!("each name once; the first is at {}", reader.faults.position(earlier));
                reader.faults.report(feature.place, found, expected);
            }
            None => right.push(feature),
        }
    }
    right
}

/// `seats = "int64"` or `seats = { type = "int64", … }`.
fn named(
    reader: &mut Reader<'_, '_>,
    section: &Section<'_>,
    name: Spanned<String>,
    item: &Item,
) -> Result<Entry, Reported> {
    let owner = format!("the feature {} of {}", quoted(&name.value), section.owner);
    let Some(table) = item.as_table_like() else {
        let legal = reader.name(NameKind::Column, "a feature", &name.value, name.place);
        let text = reader.text_of(item, &owner, types::EXPECTED, name.place)?;
        let data_type = data_type(reader, &owner, &text)?;
        legal?;
        let column = name.value.clone();
        let feature =
            Feature { name: name.value, column, data_type, description: String::new(), tags: Default::default() };
        return Ok(Entry::Plain(Spanned { value: feature, place: name.place }));
    };
    let inner = Section { owner, table, place: name.place };
    if aggregate::is_one(&inner) {
        return aggregate::read(reader, &inner, Some(name)).map(Box::new).map(Entry::Aggregate);
    }
    inner.only(reader, &FEATURE_KEYS[1..], &[]);
    long_form(reader, &inner, name).map(Entry::Plain)
}

/// `{ name = "seats", type = "int64", … }`.
fn listed(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> Result<Entry, Reported> {
    if aggregate::is_one(section) {
        return aggregate::read(reader, section, None).map(Box::new).map(Entry::Aggregate);
    }
    let name = section.required(reader, "name", "the feature's name")?;
    let owner = section.owner.replacen("a feature", &format!("the feature {}", quoted(&name.value)), 1);
    let inner = Section { owner, table: section.table, place: section.place };
    inner.only(reader, &FEATURE_KEYS, &[]);
    long_form(reader, &inner, name).map(Entry::Plain)
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

pub(super) fn data_type(
    reader: &mut Reader<'_, '_>,
    owner: &str,
    text: &Spanned<String>,
) -> Result<ColumnType, Reported> {
    types::parse(&text.value).map_err(|fault| {
        let place = reader.within(text, fault.at);
        let found = format!("{} for {owner}", fault.found);
        reader.faults.report_with_help(place, found, fault.expected, fault.help)
    })
}

const EXPECTED: &str = "names and types, such as `features = { seats = \"int64\" }`, or a list of tables";
