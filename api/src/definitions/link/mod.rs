//! From the declarations of all files to the definitions: names are unique, references resolve.

mod aggregation;
mod service;
mod stream;
mod view;

use std::collections::BTreeMap;

use super::{
    declared::{EntityDeclared, FileDeclared, Heading, ServiceDeclared, StreamSourceDeclared, ViewDeclared},
    error::quoted,
    faults::{Faults, Reported, Spanned},
    limits::{ENTITIES_MAX, SERVICES_MAX, STREAM_SOURCES_MAX, VIEWS_MAX, WORKSPACES_MAX},
    model::{Definitions, Entity, FeatureView, StreamSource, Workspace},
    suggest,
};

/// Links all files. What could not be linked is reported and left out.
pub(super) fn link(files: &[FileDeclared], faults: &mut Faults<'_>) -> Definitions {
    let mut by_workspace: BTreeMap<&str, Vec<&FileDeclared>> = BTreeMap::new();
    for file in files {
        let Some(workspace) = &file.workspace else { continue };
        by_workspace.entry(&workspace.value).or_default().push(file);
        if by_workspace.len() == WORKSPACES_MAX + 1 {
            let limit = ("WORKSPACES_MAX", WORKSPACES_MAX);
            faults.report_limit(workspace.place, "workspaces", by_workspace.len(), limit);
            return Definitions::default();
        }
    }
    // a file that is broken before it says its workspace may belong to any
    let strays = files.iter().any(|file| file.workspace.is_none());
    let mut definitions = Definitions::default();
    for (name, files) in by_workspace {
        let whole = !strays && files.iter().all(|file| file.whole);
        definitions.workspaces.insert(name.to_owned(), link_workspace(name, &files, whole, faults));
    }
    definitions
}

/// What the references of one workspace may point at.
#[derive(Debug)]
struct Scope<'d> {
    entities: BTreeMap<&'d str, &'d EntityDeclared>,
    stream_sources: BTreeMap<&'d str, &'d StreamSourceDeclared>,
    views: BTreeMap<&'d str, &'d ViewDeclared>,
    /// The views that linked without an error.
    linked_views: BTreeMap<String, FeatureView>,
    /// False when some definitions could not be read: then an unknown name is not reported.
    whole: bool,
}

fn link_workspace(name: &str, files: &[&FileDeclared], whole: bool, faults: &mut Faults<'_>) -> Workspace {
    let entities = files.iter().flat_map(|file| &file.entities);
    let stream_sources = files.iter().flat_map(|file| &file.stream_sources);
    let views = files.iter().flat_map(|file| &file.views);
    let services = files.iter().flat_map(|file| &file.services);
    let entities = unique(entities, "entity", ("entities", "ENTITIES_MAX", ENTITIES_MAX), faults);
    let limit = ("stream sources", "STREAM_SOURCES_MAX", STREAM_SOURCES_MAX);
    let stream_sources = unique(stream_sources, "stream source", limit, faults);
    let views = unique(views, "feature view", ("feature views", "VIEWS_MAX", VIEWS_MAX), faults);
    let services = unique(services, "feature service", ("feature services", "SERVICES_MAX", SERVICES_MAX), faults);

    let mut scope = Scope { entities, stream_sources, views, linked_views: BTreeMap::new(), whole };
    let linked_views: Vec<_> = scope.views.values().filter_map(|view| view::link(view, &scope, faults).ok()).collect();
    scope.linked_views = linked_views.into_iter().map(|view| (view.name.clone(), view)).collect();
    let feature_services = services
        .values()
        .filter_map(|service| service::link(service, &scope, faults).ok())
        .map(|service| (service.name.clone(), service))
        .collect();
    let entities = scope.entities.values().filter_map(|entity| link_entity(entity)).collect();
    let stream_sources = scope.stream_sources.values().filter_map(|stream| link_stream_source(stream)).collect();
    Workspace { name: name.to_owned(), entities, stream_sources, feature_views: scope.linked_views, feature_services }
}

fn link_entity(declared: &EntityDeclared) -> Option<(String, Entity)> {
    let Heading { name, description, tags } = &declared.heading;
    let name = name.value.clone();
    let join_keys = declared.join_keys.clone()?;
    Some((name.clone(), Entity { name, description: description.clone(), tags: tags.clone(), join_keys }))
}

fn link_stream_source(declared: &StreamSourceDeclared) -> Option<(String, StreamSource)> {
    let Heading { name, description, tags } = &declared.heading;
    let (name, description, tags) = (name.value.clone(), description.clone(), tags.clone());
    let timestamp = declared.timestamp.as_ref()?.value.clone();
    let fields = declared.fields.clone()?;
    Some((name.clone(), StreamSource { name, description, tags, timestamp, fields }))
}

/// What has a name.
trait Named {
    fn name(&self) -> &Spanned<String>;
}

impl Named for EntityDeclared {
    fn name(&self) -> &Spanned<String> {
        &self.heading.name
    }
}

impl Named for StreamSourceDeclared {
    fn name(&self) -> &Spanned<String> {
        &self.heading.name
    }
}

impl Named for ViewDeclared {
    fn name(&self) -> &Spanned<String> {
        &self.heading.name
    }
}

impl Named for ServiceDeclared {
    fn name(&self) -> &Spanned<String> {
        &self.heading.name
    }
}

/// All of one kind by name, the first of each; reports second ones, and more than there may be.
fn unique<'d, T: Named>(
    declared: impl Iterator<Item = &'d T>,
    kind: &str,
    limit: (&str, &'static str, usize),
    faults: &mut Faults<'_>,
) -> BTreeMap<&'d str, &'d T> {
    let (many, limit_name, max) = limit;
    let mut by_name: BTreeMap<&str, &T> = BTreeMap::new();
    for item in declared {
        let name = item.name();
        if let Some(first) = by_name.get(name.value.as_str()) {
            let expected = format!("one definition; the first is at {}", faults.position(first.name().place));
            faults.report(name.place, format!("{kind} {} defined again", quoted(&name.value)), expected);
            continue;
        }
        by_name.insert(&name.value, item);
        if by_name.len() == max + 1 {
            faults.report_limit(name.place, &format!("{many} in one workspace"), max + 1, (limit_name, max));
        }
    }
    by_name
}

/// Looks a reference up; reports an unknown one with the nearest name, unless the definition may be in a broken file.
fn resolve<'m, T>(
    reference: &Spanned<String>,
    kind: &str,
    among: &'m BTreeMap<&str, T>,
    whole: bool,
    faults: &mut Faults<'_>,
) -> Result<&'m T, Option<Reported>> {
    if let Some(found) = among.get(reference.value.as_str()) {
        return Ok(found);
    }
    if !whole {
        return Err(None);
    }
    let help = suggest::did_you_mean(&reference.value, among.keys().copied());
    let expected = if among.is_empty() {
        format!("a {kind} of this workspace, which has none").replace("a entity", "an entity")
    } else {
        suggest::one_of(among.keys().copied())
    };
    let found = format!("unknown {kind} {}", quoted(&reference.value));
    Err(Some(faults.report_with_help(reference.place, found, expected, help)))
}
