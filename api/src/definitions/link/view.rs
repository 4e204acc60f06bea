//! Views: their entities give the join keys, and no column has two meanings.

use std::collections::BTreeMap;

use gannet_store::{ColumnType, KeyType};

use super::{Scope, aggregation, resolve, stream};
use crate::definitions::{
    declared::{FeaturesDeclared, ViewDeclared},
    error::quoted,
    faults::{Faults, Spanned},
    limits::JOIN_KEYS_MAX,
    model::{Feature, FeatureView, JoinKey},
    stored::key_type_name,
};

/// The view could not be linked. Why was reported, or lies in a file that could not be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unlinked;

pub(super) fn link(view: &ViewDeclared, scope: &Scope<'_>, faults: &mut Faults<'_>) -> Result<FeatureView, Unlinked> {
    let owner = format!("feature view {}", quoted(&view.heading.name.value));
    let entities = view.entities.as_ref().ok_or(Unlinked)?;
    let join_keys = join_keys(entities, &owner, view, scope, faults)?;
    let stream = stream::resolve(view, scope, faults);
    let mut fit = columns(view, &join_keys, &owner, faults);
    if let Ok(Some(stream)) = &stream {
        fit &= stream.has_keys(&join_keys, &owner, faults);
    }
    let (features, aggregation) = match (&view.features, &stream) {
        (FeaturesDeclared::Plain(features), stream) => {
            if let Ok(Some(stream)) = stream {
                fit &= stream.has_features(features, &owner, faults);
            }
            fit &= aggregation::is_absent(view, &owner, faults);
            let mut features: Vec<Feature> = features.iter().map(|feature| feature.value.clone()).collect();
            features.sort_by(|left, right| left.name.cmp(&right.name));
            (features, None)
        }
        (FeaturesDeclared::Aggregates(aggregates), Ok(stream)) => {
            let (features, aggregation) =
                aggregation::link(view, aggregates, stream.as_ref(), &join_keys, &owner, faults)?;
            (features, Some(aggregation))
        }
        (FeaturesDeclared::Aggregates(_), Err(Unlinked)) => return Err(Unlinked),
    };
    let source = view.source.clone().map_err(|_| Unlinked)?;
    let stream = stream?.map(|stream| stream.name().to_owned());
    if !fit || !view.features_whole {
        return Err(Unlinked);
    }
    Ok(FeatureView {
        name: view.heading.name.value.clone(),
        description: view.heading.description.clone(),
        tags: view.heading.tags.clone(),
        entities: entities.iter().map(|entity| entity.value.clone()).collect(),
        join_keys,
        timestamp: view.timestamp.as_ref().map(|column| column.value.clone()).unwrap_or_default(),
        source,
        stream,
        aggregation,
        ttl_us: view.ttl_us.as_ref().map(|ttl| ttl.value),
        features,
        first: view.first,
    })
}

/// The keys of all entities, sorted by name.
fn join_keys(
    entities: &[Spanned<String>],
    owner: &str,
    view: &ViewDeclared,
    scope: &Scope<'_>,
    faults: &mut Faults<'_>,
) -> Result<Vec<JoinKey>, Unlinked> {
    let mut keys: BTreeMap<&str, (KeyType, &str)> = BTreeMap::new();
    let mut linked = true;
    for (position, reference) in entities.iter().enumerate() {
        if entities[..position].iter().any(|earlier| earlier.value == reference.value) {
            let found = format!("entity {} twice in {owner}", quoted(&reference.value));
            faults.report(reference.place, found, "each entity once");
            linked = false;
            continue;
        }
        let entity = resolve(reference, "entity", &scope.entities, scope.whole, faults);
        let Some(entity_keys) = entity.ok().and_then(|entity| entity.join_keys.as_ref()) else {
            linked = false;
            continue;
        };
        for key in entity_keys {
            // two entities may share a key, which then means the same thing and so has one type
            match keys.insert(&key.name, (key.key_type, &reference.value)) {
                Some((other_type, other)) if other_type != key.key_type => {
                    let found = format!(
                        "the join key {} as {} in entity {}",
                        quoted(&key.name),
                        key_type_name(key.key_type),
                        quoted(&reference.value)
                    );
                    let expected = format!("{}, as entity {} has it", key_type_name(other_type), quoted(other));
                    faults.report(reference.place, found, expected);
                    linked = false;
                }
                _ => {}
            }
        }
    }
    if keys.len() > JOIN_KEYS_MAX {
        let limit = ("JOIN_KEYS_MAX", JOIN_KEYS_MAX);
        faults.report_limit(view.heading.name.place, &format!("join keys in {owner}"), keys.len(), limit);
        linked = false;
    }
    if !linked {
        return Err(Unlinked);
    }
    Ok(keys.into_iter().map(|(name, (key_type, _))| JoinKey { name: name.to_owned(), key_type }).collect())
}

/// Whether join keys, event time and features are different things.
fn columns(view: &ViewDeclared, join_keys: &[JoinKey], owner: &str, faults: &mut Faults<'_>) -> bool {
    let mut fit = true;
    let is_key = |name: &str| join_keys.iter().any(|key| key.name == name);
    if let Some(timestamp) = view.timestamp.as_ref().filter(|timestamp| is_key(&timestamp.value)) {
        let found = format!("the join key {} as timestamp of {owner}", quoted(&timestamp.value));
        faults.report(timestamp.place, found, "the event-time column");
        fit = false;
    }
    if let (Some(timestamp), Ok(None)) = (&view.timestamp, &view.source) {
        let found = format!("a `timestamp` in {owner}, which has no source");
        let help = Some("of records that are streamed the stream source names it".to_owned());
        faults.report_with_help(timestamp.place, found, "no `timestamp`", help);
        fit = false;
    }
    let FeaturesDeclared::Plain(features) = &view.features else { return fit };
    for Spanned { value: feature, place } in features {
        if is_key(&feature.name) || is_key(&feature.column) {
            let found = format!("the feature {} of {owner}, which is a join key", quoted(&feature.name));
            faults.report(*place, found, "a column that callers do not already have");
            fit = false;
        }
        let is_timestamp = view.timestamp.as_ref().is_some_and(|timestamp| timestamp.value == feature.column);
        if is_timestamp && feature.data_type != ColumnType::Timestamp {
            let found = format!("the event-time column {} as another type in {owner}", quoted(&feature.column));
            faults.report(*place, found, "type timestamp");
            fit = false;
        }
    }
    fit
}
