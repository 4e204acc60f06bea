//! Old against new: what is added, changed, removed, and who would notice.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Action, Change, FieldChange, Interrupted, Kind, Plan,
    fields::{self, Fields},
};
use crate::definitions::model::{Definitions, FeatureService, FeatureView, Workspace};

/// What applying `new` in place of `old` would change.
pub fn diff(old: &Definitions, new: &Definitions) -> Plan {
    let nothing = Workspace::default();
    let (mut changes, mut interrupted) = (Vec::new(), Vec::new());
    for name in union(&old.workspaces, &new.workspaces) {
        let pair = Pair { old: old.workspaces.get(name), new: new.workspaces.get(name) };
        if let Some(action) = pair.action().filter(|action| *action != Action::Change) {
            changes.push(change(action, Kind::Workspace, name, name));
        }
        let before = Side { name, workspace: pair.old.unwrap_or(&nothing), definitions: old };
        let after = Side { name, workspace: pair.new.unwrap_or(&nothing), definitions: new };
        entities(before, after, &mut changes);
        stream_sources(before, after, &mut changes);
        views(before, after, &mut changes);
        services(before, after, &mut changes);
        interruptions(before, after, &mut interrupted);
    }
    Plan { changes, interrupted }
}

/// One workspace before or after.
#[derive(Debug, Clone, Copy)]
struct Side<'d> {
    name: &'d str,
    workspace: &'d Workspace,
    definitions: &'d Definitions,
}

/// One thing before and after.
#[derive(Debug)]
struct Pair<'d, T> {
    old: Option<&'d T>,
    new: Option<&'d T>,
}

impl<T> Pair<'_, T> {
    /// `Change` says only that both exist.
    fn action(&self) -> Option<Action> {
        match (self.old, self.new) {
            (None, Some(_)) => Some(Action::Add),
            (Some(_), Some(_)) => Some(Action::Change),
            (Some(_), None) => Some(Action::Remove),
            (None, None) => None,
        }
    }

    /// The change with its fields; `None` if nothing differs.
    fn change(&self, kind: Kind, workspace: &str, name: &str, fields: impl Fn(Option<&T>) -> Fields) -> Option<Change> {
        let action = self.action()?;
        if action == Action::Remove {
            return Some(change(action, kind, workspace, name));
        }
        let fields = fields::compare(&fields(self.old), &fields(self.new));
        let changed = action == Action::Add || !fields.is_empty();
        changed.then(|| Change { fields, ..change(action, kind, workspace, name) })
    }
}

fn change(action: Action, kind: Kind, workspace: &str, name: &str) -> Change {
    let (workspace, name) = (workspace.to_owned(), name.to_owned());
    Change { action, kind, workspace, name, fields: Vec::new(), materialize: false, breaks: Vec::new() }
}

fn entities(before: Side<'_>, after: Side<'_>, changes: &mut Vec<Change>) {
    let (old, new) = (&before.workspace.entities, &after.workspace.entities);
    for name in union(old, new) {
        let pair = Pair { old: old.get(name), new: new.get(name) };
        let fields = |entity: Option<&_>| entity.map(fields::entity).unwrap_or_default();
        // what a changed entity breaks shows at the views that have it
        changes.extend(pair.change(Kind::Entity, after.name, name, fields));
    }
}

fn stream_sources(before: Side<'_>, after: Side<'_>, changes: &mut Vec<Change>) {
    let (old, new) = (&before.workspace.stream_sources, &after.workspace.stream_sources);
    for name in union(old, new) {
        let pair = Pair { old: old.get(name), new: new.get(name) };
        let fields = |source: Option<&_>| source.map(fields::stream_source).unwrap_or_default();
        let Some(mut change) = pair.change(Kind::StreamSource, after.name, name, fields) else { continue };
        if pair.new.is_none() {
            change.breaks.push("records for it are refused".to_owned());
        }
        if let (Some(old), Some(new)) = (pair.old, pair.new) {
            for field in &old.fields {
                match new.fields.iter().find(|other| other.name == field.name) {
                    None => change.breaks.push(format!("records with the field {} are refused", field.name)),
                    Some(other) if other.column_type != field.column_type => {
                        change.breaks.push(format!("records with the field {} as before are refused", field.name));
                    }
                    Some(_) => {}
                }
            }
            if old.timestamp != new.timestamp {
                change.breaks.push(format!("records must say their time as {}", new.timestamp));
            }
        }
        changes.push(change);
    }
}

fn views(before: Side<'_>, after: Side<'_>, changes: &mut Vec<Change>) {
    let (old, new) = (&before.workspace.feature_views, &after.workspace.feature_views);
    for name in union(old, new) {
        let pair = Pair { old: old.get(name), new: new.get(name) };
        let fields = |view: Option<&_>| view.map(fields::view).unwrap_or_default();
        let Some(mut change) = pair.change(Kind::FeatureView, after.name, name, fields) else { continue };
        let fingerprint = |view: Option<&FeatureView>| view.map(FeatureView::fingerprint);
        let has_source = pair.new.is_some_and(|view| view.source.is_some());
        change.materialize = has_source && fingerprint(pair.old) != fingerprint(pair.new);
        if let (Some(old), Some(new)) = (pair.old, pair.new)
            && old.stream.is_some()
            && old.schema() != new.schema()
        {
            change.breaks.push("rows that were streamed in are no longer served".to_owned());
        }
        if pair.new.is_none() {
            change.breaks.push(format!("its stored rows are no longer served{}", used_by(before, name, None)));
        }
        for FieldChange { field, old, new } in &change.fields {
            let Some(feature) = field.strip_prefix("feature ") else { continue };
            if old.is_some() && new.is_none() {
                let users = used_by(before, name, Some(feature));
                change.breaks.push(format!("feature {feature} is no longer served{users}"));
            }
        }
        changes.push(change);
    }
}

/// `, used by delay_model`, or nothing.
fn used_by(side: Side<'_>, view: &str, feature: Option<&str>) -> String {
    let users: Vec<_> = fields::users(side.definitions, side.name, view, feature).collect();
    if users.is_empty() { String::new() } else { format!(", used by {}", users.join(", ")) }
}

fn services(before: Side<'_>, after: Side<'_>, changes: &mut Vec<Change>) {
    let (old, new) = (&before.workspace.feature_services, &after.workspace.feature_services);
    for name in union(old, new) {
        let pair = Pair { old: old.get(name), new: new.get(name) };
        // each side's vector follows from that side's views
        let old_fields = pair.old.map(|service| fields::service(service, before.workspace)).unwrap_or_default();
        let new_fields = pair.new.map(|service| fields::service(service, after.workspace)).unwrap_or_default();
        let Some(action) = pair.action() else { continue };
        let mut change = change(action, Kind::FeatureService, after.name, name);
        match (pair.old, pair.new) {
            (_, None) => change.breaks.push("its callers get 404".to_owned()),
            (old, Some(new)) => {
                change.fields = fields::compare(&old_fields, &new_fields);
                if let Some(old) = old {
                    let contracts = (contract(old, before.workspace), contract(new, after.workspace));
                    change.fields.extend(contracts.0.order_change(&contracts.1));
                    change.breaks = contracts.0.breaks(&contracts.1);
                    if change.fields.is_empty() {
                        continue;
                    }
                }
            }
        }
        changes.push(change);
    }
}

/// A changed source or timestamp interrupts nothing: the rows of before are served until there are others.
fn interruptions(before: Side<'_>, after: Side<'_>, interrupted: &mut Vec<Interrupted>) {
    let (old, new) = (&before.workspace.feature_views, &after.workspace.feature_views);
    let put = |kind, name: &str| Interrupted { kind, workspace: after.name.to_owned(), name: name.to_owned() };
    // what a stream fills is served with no row, too
    let is_streamed = |view: &str| new.get(view).is_some_and(|view| view.stream.is_some());
    let fits = |view: &str| {
        is_streamed(view) || old.get(view).map(FeatureView::schema) == new.get(view).map(FeatureView::schema)
    };
    let outdated =
        union(old, new).into_iter().filter(|name| old.contains_key(*name) && new.contains_key(*name) && !fits(name));
    interrupted.extend(outdated.map(|name| put(Kind::FeatureView, name)));
    let reads_nothing = |service: &FeatureService| service.selections.iter().any(|selection| !fits(&selection.view));
    let services = after.workspace.feature_services.iter();
    let known = services.filter(|(name, _)| before.workspace.feature_services.contains_key(*name));
    interrupted
        .extend(known.filter(|(_, service)| reads_nothing(service)).map(|(name, _)| put(Kind::FeatureService, name)));
}

/// What callers of a service rely on.
#[derive(Debug)]
struct Contract {
    vector: Vec<(String, String)>,
    keys: BTreeMap<String, &'static str>,
}

fn contract(service: &FeatureService, workspace: &Workspace) -> Contract {
    Contract { vector: fields::vector(service, workspace), keys: fields::sent_keys(service, workspace) }
}

impl Contract {
    /// Features of both vectors whose position differs.
    fn moved(&self, new: &Self) -> usize {
        let new: BTreeMap<&str, usize> =
            new.vector.iter().zip(0..).map(|((name, _), at)| (name.as_str(), at)).collect();
        let moved = |((name, _), at): (&(String, String), usize)| new.get(name.as_str()).is_some_and(|new| *new != at);
        self.vector.iter().zip(0..).filter(|pair| moved(*pair)).count()
    }

    /// Shown when the same features come in another order, which no other field tells.
    fn order_change(&self, new: &Self) -> Option<FieldChange> {
        let names = |contract: &Self| contract.vector.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let (old, new) = (names(self), names(new));
        let same = old.iter().collect::<BTreeSet<_>>() == new.iter().collect::<BTreeSet<_>>();
        let show = |names: Vec<String>| Some(names.join(", "));
        (same && old != new).then(|| FieldChange { field: "vector order".to_owned(), old: show(old), new: show(new) })
    }

    fn breaks(&self, new: &Self) -> Vec<String> {
        let mut breaks = Vec::new();
        let new_types: BTreeMap<_, _> = new.vector.iter().map(|(name, data_type)| (name, data_type)).collect();
        for (name, old_type) in &self.vector {
            match new_types.get(name) {
                None => breaks.push(format!("{name} is no longer in the vector")),
                Some(new_type) if *new_type != old_type => {
                    breaks.push(format!("{name} becomes {new_type}, was {old_type}"));
                }
                Some(_) => {}
            }
        }
        match self.moved(new) {
            0 => {}
            1 => breaks.push("1 feature moves to another position of the vector".to_owned()),
            moved => breaks.push(format!("{moved} features move to other positions of the vector")),
        }
        for (key, key_type) in &new.keys {
            match self.keys.get(key) {
                None => breaks.push(format!("callers must send join key {key}")),
                Some(old_type) if old_type != key_type => {
                    breaks.push(format!("join key {key} becomes {key_type}, was {old_type}"));
                }
                Some(_) => {}
            }
        }
        let unknown = self.keys.keys().filter(|key| !new.keys.contains_key(*key));
        breaks.extend(unknown.map(|key| format!("callers that still send join key {key} are refused")));
        breaks
    }
}

/// The names of both sides, each once, in order.
fn union<'d, T>(old: &'d BTreeMap<String, T>, new: &'d BTreeMap<String, T>) -> BTreeSet<&'d str> {
    old.keys().chain(new.keys()).map(String::as_str).collect()
}
