//! Entities, views and services as fields with text values, which is how plans compare and show them.

use std::collections::BTreeMap;

use super::FieldChange;
use crate::{
    aggregates::{LeadingEdge, Specification},
    definitions::{
        duration,
        model::{
            Aggregation, Definitions, Entity, Feature, FeatureService, FeatureView, JoinKey, Source, StreamSource,
            Workspace,
        },
        stored::{format_name, key_type_name},
        types,
    },
    render::Stamp,
};

/// Fields in the order in which they are shown: by rank, then by name.
pub(super) type Fields = BTreeMap<(u8, String), String>;

const HEADING: u8 = 0;
const SHAPE: u8 = 1;
const FEATURES: u8 = 2;

/// The fields that differ.
pub(super) fn compare(old: &Fields, new: &Fields) -> Vec<FieldChange> {
    let names: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let change = |key: &(u8, String)| {
        let (old, new) = (old.get(key).cloned(), new.get(key).cloned());
        (old != new).then(|| FieldChange { field: key.1.clone(), old, new })
    };
    names.into_iter().filter_map(change).collect()
}

pub(super) fn entity(entity: &Entity) -> Fields {
    let mut fields = heading(&entity.description, &entity.tags);
    fields.insert((SHAPE, "join_keys".to_owned()), join_keys(&entity.join_keys));
    fields
}

pub(super) fn stream_source(source: &StreamSource) -> Fields {
    let mut fields = heading(&source.description, &source.tags);
    fields.insert((SHAPE, "timestamp".to_owned()), source.timestamp.clone());
    for field in &source.fields {
        fields.insert((FEATURES, format!("field {}", field.name)), types::text(&field.column_type));
    }
    fields
}

pub(super) fn view(view: &FeatureView) -> Fields {
    let mut fields = heading(&view.description, &view.tags);
    let mut shape = |name: &str, value: String| {
        fields.insert((SHAPE, name.to_owned()), value);
    };
    shape("entities", view.entities.join(", "));
    shape("join_keys", join_keys(&view.join_keys));
    if let Some(Source { format, path }) = &view.source {
        shape("source", format!("{} {path:?}", format_name(*format)));
    }
    if !view.timestamp.is_empty() {
        shape("timestamp", view.timestamp.clone());
    }
    if let Some(ttl_us) = view.ttl_us {
        shape("ttl", duration::text(ttl_us));
    }
    if view.first {
        shape("vector_position", "first".to_owned());
    }
    if let Some(stream) = &view.stream {
        shape("stream", stream.clone());
    }
    if let Some(Aggregation { specification, leading_edge }) = &view.aggregation {
        shape(
            "aggregation_interval",
            specification.interval_us.map_or_else(|| "continuous".to_owned(), duration::text),
        );
        if *leading_edge == LeadingEdge::LatestEventTime {
            shape("leading_edge", "latest_event_time".to_owned());
        }
        if let Some(start_us) = specification.lifetime_start_us {
            shape("lifetime_start", String::from_utf8_lossy(Stamp::new().text(start_us)).into_owned());
        }
        if let Some(key) = &specification.secondary_key {
            shape("secondary_key", key.clone());
        }
    }
    for feature in &view.features {
        let aggregate =
            view.aggregation.as_ref().map(|aggregation| aggregate_text(feature, &aggregation.specification));
        let text = feature_text(feature, aggregate);
        fields.insert((FEATURES, format!("feature {}", feature.name)), text);
    }
    fields
}

/// `sum of amount over 1d`, or that it is the secondary keys.
fn aggregate_text(feature: &Feature, specification: &Specification) -> String {
    let of_feature = specification.aggregations.iter().find(|one| specification.feature_name(one) == feature.name);
    match of_feature {
        Some(one) => format!(", {} of {} over {}", one.function.text(), one.column, one.window.text()),
        None => format!(", the values of {}", feature.column),
    }
}

/// The selections, and beyond them the vector and the keys as callers see them.
pub(super) fn service(service: &FeatureService, workspace: &Workspace) -> Fields {
    let mut fields = heading(&service.description, &service.tags);
    if let Some(budget) = service.latency_budget {
        let cap = if budget.cap { ", cap" } else { "" };
        fields.insert((SHAPE, "latency_budget".to_owned()), format!("{}{cap}", budget.text()));
    }
    if let Some(max) = service.concurrency_max {
        fields.insert((SHAPE, "concurrency_max".to_owned()), max.to_string());
    }
    for selection in &service.selections {
        let renamed = workspace.feature_views.get(&selection.view).map(|view| {
            let keys = view.join_keys.iter().zip(&selection.join_keys).filter(|(key, sent)| key.name != **sent);
            keys.map(|(key, sent)| format!(" {}={sent}", key.name)).collect::<String>()
        });
        let view = format!("{}{}", selection.view, renamed.unwrap_or_default());
        if view != selection.namespace {
            fields.insert((SHAPE, format!("view of {}", selection.namespace)), view);
        }
    }
    for (name, key_type) in sent_keys(service, workspace) {
        fields.insert((SHAPE, format!("join key {name}")), key_type.to_owned());
    }
    for (name, data_type) in vector(service, workspace) {
        fields.insert((FEATURES, format!("feature {name}")), data_type);
    }
    fields
}

/// The served names and types, in the vector's order.
pub(super) fn vector(service: &FeatureService, workspace: &Workspace) -> Vec<(String, String)> {
    let mut vector = Vec::new();
    for selection in &service.selections {
        // definitions that were checked have every view and feature; others show what they do have
        let Some(view) = workspace.feature_views.get(&selection.view) else { continue };
        for name in &selection.features {
            let at = view.features.binary_search_by(|feature| feature.name.as_str().cmp(name));
            let data_type = at.map(|at| types::text(&view.features[at].data_type)).unwrap_or_default();
            vector.push((format!("{}.{name}", selection.namespace), data_type));
        }
    }
    vector
}

/// The join keys that callers send, with their types.
pub(super) fn sent_keys(service: &FeatureService, workspace: &Workspace) -> BTreeMap<String, &'static str> {
    let views = service.selections.iter().filter_map(|s| Some((s, workspace.feature_views.get(&s.view)?)));
    views
        .flat_map(|(selection, view)| selection.join_keys.iter().zip(&view.join_keys))
        .map(|(sent, key)| (sent.clone(), key_type_name(key.key_type)))
        .collect()
}

/// The services that take a feature of a view (or anything of it), with the workspace they are in.
pub(super) fn users<'d>(
    definitions: &'d Definitions,
    workspace: &str,
    view: &'d str,
    feature: Option<&'d str>,
) -> impl Iterator<Item = &'d str> {
    let services = definitions.workspaces.get(workspace).map(|workspace| &workspace.feature_services);
    services.into_iter().flatten().filter_map(move |(name, service)| {
        let mut taken = service.selections.iter().filter(|selection| selection.view == view);
        let uses = taken.any(|s| feature.is_none_or(|feature| s.features.iter().any(|name| name == feature)));
        uses.then_some(name.as_str())
    })
}

fn heading(description: &str, tags: &BTreeMap<String, String>) -> Fields {
    let mut fields = Fields::new();
    if !description.is_empty() {
        fields.insert((HEADING, "description".to_owned()), format!("{description:?}"));
    }
    for (key, value) in tags {
        fields.insert((HEADING, format!("tag {key}")), format!("{value:?}"));
    }
    fields
}

fn join_keys(keys: &[JoinKey]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| format!("{} {}", key.name, key_type_name(key.key_type))).collect();
    keys.join(", ")
}

fn feature_text(feature: &Feature, aggregate: Option<String>) -> String {
    let mut text = types::text(&feature.data_type);
    match aggregate {
        Some(aggregate) => text.push_str(&aggregate),
        None if feature.column != feature.name => text.push_str(&format!(" from column {:?}", feature.column)),
        None => {}
    }
    if !feature.description.is_empty() {
        text.push_str(&format!(", description {:?}", feature.description));
    }
    for (key, value) in &feature.tags {
        text.push_str(&format!(", tag {key} {value:?}"));
    }
    text
}
