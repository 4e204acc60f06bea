//! Services: every selection finds its view and features, and callers can say every join key once.

use std::collections::{BTreeMap, BTreeSet};

use gannet_store::KeyType;

use super::{Scope, resolve, view::Unlinked};
use crate::definitions::{
    declared::{FeaturesDeclared, Rename, SelectionDeclared, ServiceDeclared, ViewDeclared},
    error::quoted,
    faults::{Faults, Place, Spanned},
    limits::FEATURES_PER_SERVICE_MAX,
    model::{FeatureService, FeatureView, Selection},
    stored::key_type_name,
    suggest,
};

pub(super) fn link(
    service: &ServiceDeclared,
    scope: &Scope<'_>,
    faults: &mut Faults<'_>,
) -> Result<FeatureService, Unlinked> {
    let name = &service.heading.name;
    let owner = format!("feature service {}", quoted(&name.value));
    let declared = service.selections.as_ref().ok_or(Unlinked)?;
    let mut linked = namespaces(declared, &owner, faults);
    let mut sent_keys: BTreeMap<String, (KeyType, String)> = BTreeMap::new();
    let mut selections = Vec::new();
    for selection in declared {
        match link_selection(selection, scope, &mut sent_keys, &owner, faults) {
            Ok(selection) => selections.push(selection),
            Err(Unlinked) => linked = false,
        }
    }
    let features: usize = selections.iter().map(|(_, selection)| selection.features.len()).sum();
    if features > FEATURES_PER_SERVICE_MAX {
        let limit = ("FEATURES_PER_SERVICE_MAX", FEATURES_PER_SERVICE_MAX);
        faults.report_limit(name.place, &format!("features in {owner}"), features, limit);
        linked = false;
    }
    if !linked {
        return Err(Unlinked);
    }
    // the vector's order: `false` sorts before `true`, so the views marked `first` come first
    selections.sort_by(|(left_first, left), (right_first, right)| {
        (!left_first, &left.namespace).cmp(&(!right_first, &right.namespace))
    });
    Ok(FeatureService {
        name: name.value.clone(),
        description: service.heading.description.clone(),
        tags: service.heading.tags.clone(),
        selections: selections.into_iter().map(|(_, selection)| selection).collect(),
        latency_budget: service.latency_budget,
        concurrency_max: service.concurrency_max,
    })
}

/// The first half of the served names, and where it was said.
fn namespace(selection: &SelectionDeclared) -> &Spanned<String> {
    selection.namespace.as_ref().unwrap_or(&selection.view)
}

/// Whether all namespaces differ.
fn namespaces(selections: &[SelectionDeclared], owner: &str, faults: &mut Faults<'_>) -> bool {
    let mut seen: BTreeMap<&str, Place> = BTreeMap::new();
    let mut unique = true;
    for selection in selections {
        let Spanned { value, place } = namespace(selection);
        if let Some(first) = seen.get(value.as_str()) {
            let expected = format!("each namespace once; the first is at {}", faults.position(*first));
            let help = Some("give one of the two another name with `as = \"…\"`".to_owned());
            let found = format!("the namespace {} twice in {owner}", quoted(value));
            faults.report_with_help(*place, found, expected, help);
            unique = false;
        }
        seen.entry(value).or_insert(*place);
    }
    unique
}

/// The selection, and whether its view comes first.
fn link_selection(
    declared: &SelectionDeclared,
    scope: &Scope<'_>,
    sent_keys: &mut BTreeMap<String, (KeyType, String)>,
    owner: &str,
    faults: &mut Faults<'_>,
) -> Result<(bool, Selection), Unlinked> {
    let view = resolve(&declared.view, "feature view", &scope.views, scope.whole, faults).map_err(|_| Unlinked)?;
    let linked_view = scope.linked_views.get(&declared.view.value);
    let features = features(declared, view, linked_view, faults);
    // a view that did not link has no keys to look at; its own error says why
    let linked_view = linked_view.ok_or(Unlinked)?;
    let join_keys = join_keys(declared, linked_view, sent_keys, owner, faults)?;
    let mut features = features?.unwrap_or_else(|| linked_view.features.iter().map(|f| f.name.clone()).collect());
    features.sort();
    let namespace = namespace(declared).value.clone();
    Ok((linked_view.first, Selection { namespace, view: linked_view.name.clone(), features, join_keys }))
}

/// The features named one by one, `None` for all.
fn features(
    declared: &SelectionDeclared,
    view: &ViewDeclared,
    linked_view: Option<&FeatureView>,
    faults: &mut Faults<'_>,
) -> Result<Option<Vec<String>>, Unlinked> {
    let Some(list) = &declared.features else { return Ok(None) };
    let known: BTreeSet<&str> = match (&view.features, linked_view) {
        (FeaturesDeclared::Plain(features), _) => features.iter().map(|feature| feature.value.name.as_str()).collect(),
        (_, Some(linked)) => linked.features.iter().map(|feature| feature.name.as_str()).collect(),
        (_, None) => return Err(Unlinked), // which features its aggregates make is not known
    };
    let mut taken = BTreeSet::new();
    let mut linked = true;
    for feature in list {
        let name = feature.value.as_str();
        let view_name = quoted(&declared.view.value);
        if !taken.insert(name) {
            faults.report(feature.place, format!("the feature {} twice", quoted(name)), "each feature once");
            linked = false;
        } else if !known.contains(name) && view.features_whole {
            let help = suggest::did_you_mean(name, known.iter().copied());
            let found = format!("unknown feature {} of feature view {view_name}", quoted(name));
            faults.report_with_help(feature.place, found, suggest::one_of(known.iter().copied()), help);
            linked = false;
        }
    }
    if linked { Ok(Some(taken.into_iter().map(str::to_owned).collect())) } else { Err(Unlinked) }
}

/// The key that callers send for each of the view's, one type each over the whole service.
fn join_keys(
    declared: &SelectionDeclared,
    view: &FeatureView,
    sent_keys: &mut BTreeMap<String, (KeyType, String)>,
    owner: &str,
    faults: &mut Faults<'_>,
) -> Result<Vec<String>, Unlinked> {
    let mut linked = true;
    for Rename { from: key, .. } in &declared.renames {
        if !view.join_keys.iter().any(|known| known.name == key.value) {
            let names = || view.join_keys.iter().map(|known| known.name.as_str());
            let found = format!("unknown join key {} of feature view {}", quoted(&key.value), quoted(&view.name));
            let help = suggest::did_you_mean(&key.value, names());
            faults.report_with_help(key.place, found, suggest::one_of(names()), help);
            linked = false;
        }
    }
    let mut sent = Vec::new();
    for key in &view.join_keys {
        let rename = declared.renames.iter().find(|rename| rename.from.value == key.name);
        let (name, place) = match rename {
            Some(Rename { to, .. }) => (to.value.clone(), to.place),
            None => (key.name.clone(), declared.place),
        };
        if sent.contains(&name) {
            let found = format!("two join keys of {} sent as {}", quoted(&view.name), quoted(&name));
            faults.report(place, found, "a key of its own for each");
            linked = false;
            continue;
        }
        let user = namespace(declared).value.clone();
        let (first_type, first_user) = sent_keys.entry(name.clone()).or_insert_with(|| (key.key_type, user.clone()));
        if *first_type != key.key_type {
            let found = format!(
                "the join key {} as {} for {} in {owner}",
                quoted(&name),
                key_type_name(key.key_type),
                quoted(&user)
            );
            let expected = format!("{}, as {} has it", key_type_name(*first_type), quoted(first_user));
            faults.report(place, found, expected);
            linked = false;
        }
        sent.push(name);
    }
    if linked { Ok(sent) } else { Err(Unlinked) }
}
