//! `[feature_services.…]`.

use std::num::NonZeroU32;

use toml_edit::{Item, Value};

use super::{
    described,
    section::{Reader, Section},
};
use crate::{
    budget::LatencyBudget,
    definitions::{
        declared::{Rename, SelectionDeclared, ServiceDeclared},
        error::quoted,
        faults::{Reported, Spanned},
        limits::SELECTIONS_PER_SERVICE_MAX,
        names::NameKind,
    },
};

/// Every key of a feature service.
pub(super) const SERVICE_KEYS: [&str; 6] =
    ["features", "latency_budget", "budget_cap", "concurrency_max", "description", "tags"];

/// Every key of a selection in the long form.
pub(super) const SELECTION_KEYS: [&str; 4] = ["view", "as", "join_keys", "features"];

pub(super) fn read(reader: &mut Reader<'_, '_>, section: &Section<'_>, name: Spanned<String>) -> ServiceDeclared {
    section.only(reader, &SERVICE_KEYS, &[]);
    ServiceDeclared {
        heading: section.heading(reader, name),
        selections: selections(reader, section).ok(),
        latency_budget: latency_budget(reader, section).ok().flatten(),
        concurrency_max: concurrency_max(reader, section).ok().flatten(),
    }
}

fn concurrency_max(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> Result<Option<NonZeroU32>, Reported> {
    let Some(item) = section.table.get("concurrency_max") else { return Ok(None) };
    match item.as_integer().and_then(|max| NonZeroU32::new(u32::try_from(max).ok()?)) {
        Some(max) => Ok(Some(max)),
        None => Err(section.unfit(reader, "concurrency_max", item, "a number of requests, 1 to 4294967295")),
    }
}

/// `latency_budget = "…"`, and with it `budget_cap`.
fn latency_budget(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> Result<Option<LatencyBudget>, Reported> {
    let cap = match section.table.get("budget_cap") {
        None => Ok(None),
        Some(item) => match item.as_bool() {
            Some(cap) => Ok(Some(cap)),
            None => Err(section.unfit(reader, "budget_cap", item, "true or false")),
        },
    };
    let Some(text) = section.string(reader, "latency_budget", LatencyBudget::EXPECTED)? else {
        if cap?.is_some() {
            let place = section.key_place(reader, "budget_cap");
            let found = format!("`budget_cap` without `latency_budget` in {}", section.owner);
            return Err(reader.faults.report(place, found, "a `latency_budget` that it makes a cap"));
        }
        return Ok(None);
    };
    let Some(us) = LatencyBudget::parse(&text.value) else {
        let found = format!("the latency budget {} of {}", quoted(&text.value), section.owner);
        return Err(reader.faults.report(text.place, found, LatencyBudget::EXPECTED));
    };
    Ok(Some(LatencyBudget { us, cap: cap?.unwrap_or(false) }))
}

fn selections(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> Result<Vec<SelectionDeclared>, Reported> {
    let Some(item) = section.table.get("features") else { return Err(section.missing(reader, "features", EXPECTED)) };
    let place = section.key_place(reader, "features");
    let selections: Vec<_> = if let Some(array) = item.as_array() {
        array.iter().map(|value| selection(reader, section, value)).collect()
    } else if let Some((tables, _)) = section.tables(reader, "features", item, "a selection", EXPECTED) {
        tables.iter().map(|table| selection_table(reader, table)).collect()
    } else {
        return Err(section.unfit(reader, "features", item, EXPECTED));
    };
    if selections.is_empty() {
        // existing clients fail on an empty vector
        return Err(reader.faults.report(place, format!("no features in {}", section.owner), EXPECTED));
    }
    if selections.len() > SELECTIONS_PER_SERVICE_MAX {
        let limit = ("SELECTIONS_PER_SERVICE_MAX", SELECTIONS_PER_SERVICE_MAX);
        let what = format!("views in {}", section.owner);
        return Err(reader.faults.report_limit(place, &what, selections.len(), limit));
    }
    // one broken selection makes the service broken, but only after all of them were read
    let mut right = Vec::new();
    let mut outcome = Ok(());
    for selection in selections {
        match selection {
            Ok(selection) => right.push(selection),
            Err(reported) => outcome = Err(reported),
        }
    }
    outcome.map(|()| right)
}

fn selection(reader: &mut Reader<'_, '_>, section: &Section<'_>, value: &Value) -> Result<SelectionDeclared, Reported> {
    let place = reader.place(value.span(), section.place);
    if let Some(table) = value.as_inline_table() {
        return selection_table(reader, &Section { owner: format!("a selection of {}", section.owner), table, place });
    }
    match value.as_str() {
        Some(text) => short_form(reader, section, &Spanned { value: text.to_owned(), place }),
        None => {
            let found = format!("{} among the features of {}", described(&Item::Value(value.clone())), section.owner);
            Err(reader.faults.report(place, found, EXPECTED))
        }
    }
}

/// `view` or `view[feature,feature]`.
fn short_form(
    reader: &mut Reader<'_, '_>,
    section: &Section<'_>,
    text: &Spanned<String>,
) -> Result<SelectionDeclared, Reported> {
    let whole = &text.value;
    let (view, list) = match whole.split_once('[') {
        None => (whole.as_str(), None),
        Some((view, list)) => match list.strip_suffix(']') {
            Some(list) if !list.contains(['[', ']']) => (view, Some(list)),
            _ => {
                let found = format!("{} among the features of {}", quoted(whole), section.owner);
                return Err(reader.faults.report(text.place, found, "`view` or `view[feature,feature]`"));
            }
        },
    };
    let part = |reader: &Reader<'_, '_>, start: usize, part: &str| {
        let trimmed = part.trim();
        let start = start + (part.len() - part.trim_start().len());
        Spanned { value: trimmed.to_owned(), place: reader.within(text, start..start + trimmed.len()) }
    };
    let view_name = part(reader, 0, view);
    reader.name(NameKind::Variant, "a feature view", &view_name.value, view_name.place)?;
    let features = match list {
        None => None,
        Some(list) => {
            let mut at = view.len() + 1;
            let mut features = Vec::new();
            for name in list.split(',') {
                let feature = part(reader, at, name);
                reader.name(NameKind::Column, "a feature", &feature.value, feature.place)?;
                features.push(feature);
                at += name.len() + 1;
            }
            Some(features)
        }
    };
    Ok(SelectionDeclared { place: text.place, view: view_name, namespace: None, features, renames: Vec::new() })
}

/// `{ view = "…", as = "…", join_keys = { … }, features = [ … ] }`.
fn selection_table(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> Result<SelectionDeclared, Reported> {
    section.only(reader, &SELECTION_KEYS, &[]);
    let view = section.required(reader, "view", "the name of a feature view");
    let namespace = match section.string(reader, "as", "the namespace to serve these features under")? {
        Some(name) => {
            reader.name(NameKind::Variant, "a namespace", &name.value, name.place)?;
            Some(name)
        }
        None => None,
    };
    let features = feature_list(reader, section)?;
    let renames = renames(reader, section)?;
    let view = view?;
    reader.name(NameKind::Variant, "a feature view", &view.value, view.place)?;
    Ok(SelectionDeclared { place: section.place, view, namespace, features, renames })
}

fn feature_list(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> Result<Option<Vec<Spanned<String>>>, Reported> {
    const EXPECTED: &str = "a list of feature names; leave the key out for all of the view's features";
    let Some(item) = section.table.get("features") else { return Ok(None) };
    let Some(array) = item.as_array().filter(|array| !array.is_empty()) else {
        return Err(section.unfit(reader, "features", item, EXPECTED));
    };
    let place = section.key_place(reader, "features");
    let mut features = Vec::new();
    for value in array {
        let what = format!("a feature of {}", section.owner);
        features.push(reader.text_of(&Item::Value(value.clone()), &what, "a feature's name", place)?);
    }
    Ok(Some(features))
}

fn renames(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> Result<Vec<Rename>, Reported> {
    const EXPECTED: &str = "the view's join key and the key that callers send: `{ origin = \"destination\" }`";
    let Some(item) = section.table.get("join_keys") else { return Ok(Vec::new()) };
    let Some(table) = item.as_table_like() else { return Err(section.unfit(reader, "join_keys", item, EXPECTED)) };
    let mut renames = Vec::new();
    for (key, item) in table.iter() {
        let place = reader.key_place(table, key).unwrap_or(section.place);
        let what = format!("the join key {} in {}", quoted(key), section.owner);
        let to = reader.text_of(item, &what, EXPECTED, place)?;
        reader.name(NameKind::Column, "a join key", &to.value, to.place)?;
        renames.push(Rename { from: Spanned { value: key.to_owned(), place }, to });
    }
    Ok(renames)
}

const EXPECTED: &str = "at least one selection: `\"view\"`, `\"view[feature]\"` or `{ view = \"…\", as = \"…\" }`";
