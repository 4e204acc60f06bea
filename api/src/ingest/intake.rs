//! What each view takes of which source, compiled with the catalog.

use std::{collections::HashMap, sync::Arc};

use gannet_store::{
    ColumnType, Field, KeyType,
    plane::{StreamTable, StreamTables},
};

use crate::{
    aggregates::{Aggregates, LeadingEdge},
    catalog::service_id,
    definitions::model::{Definitions, FeatureView, JoinKey, StreamSource, Workspace},
    metrics::Metrics,
};

/// Of all workspaces, by name.
#[derive(Debug, Default)]
pub(crate) struct Intakes {
    workspaces: HashMap<Box<[u8]>, WorkspaceIntake>,
}

/// What a workspace takes.
#[derive(Debug)]
pub(crate) struct WorkspaceIntake {
    pub(crate) name: Box<str>,
    sources: HashMap<Box<[u8]>, SourceIntake>,
    /// Sorted by name.
    views: Box<[ViewIntake]>,
}

/// A stream source and who takes its records.
#[derive(Debug)]
pub(crate) struct SourceIntake {
    pub(crate) name: Box<str>,
    /// Sorted by name.
    pub(crate) fields: Box<[Field]>,
    /// Their names, for messages: separated by blanks.
    pub(crate) names: Box<str>,
    /// The position of the event time among them.
    pub(crate) time: usize,
    pub(crate) views: Box<[SourceView]>,
}

/// What a view takes of a record, as positions in [`SourceIntake::fields`].
#[derive(Debug)]
pub(crate) struct SourceView {
    /// Position in the workspace's views.
    pub(crate) view: usize,
    /// In the order of the view's join keys.
    pub(super) keys: Box<[usize]>,
    /// In the order of the view's columns, or of its aggregates' columns.
    pub(super) values: Box<[usize]>,
    pub(super) secondary_key: Option<usize>,
}

/// A view as one who writes to it sees it.
#[derive(Debug)]
pub(crate) struct ViewIntake {
    pub(crate) name: Box<str>,
    /// As it is written: 32 hex digits.
    pub(crate) id: Box<str>,
    /// Sorted by name.
    pub(crate) join_keys: Box<[JoinKey]>,
    key_names: Box<str>,
    pub(super) key_types: Box<[KeyType]>,
    pub(super) ttl_us: Option<i64>,
    pub(super) aggregates: Option<Aggregates>,
    pub(super) leading_edge: LeadingEdge,
    /// `None`: nothing can be written to it now.
    pub(crate) table: Option<Arc<StreamTable>>,
    /// Place of the view's counters.
    pub(crate) slot: usize,
}

impl Intakes {
    /// `streams` are the tables that are written to. A view takes its own only if it has the view's schema: rows of another would be
    /// misread.
    pub(crate) fn compile(definitions: &Definitions, streams: &StreamTables, metrics: &Metrics) -> Self {
        let workspace =
            |workspace: &Workspace| (workspace.name.as_bytes().into(), compile(workspace, streams, metrics));
        Self { workspaces: definitions.workspaces.values().map(workspace).collect() }
    }

    pub(crate) fn workspace(&self, name: &[u8]) -> Option<&WorkspaceIntake> {
        self.workspaces.get(name)
    }
}

impl WorkspaceIntake {
    pub(crate) fn source(&self, name: &[u8]) -> Option<&SourceIntake> {
        self.sources.get(name)
    }

    /// Sorted by name.
    pub(crate) fn views(&self) -> &[ViewIntake] {
        &self.views
    }

    /// The position of a view.
    pub(crate) fn view(&self, name: &str) -> Option<usize> {
        self.views.binary_search_by(|view| (*view.name).cmp(name)).ok()
    }
}

impl SourceIntake {
    /// The position of a field.
    pub(crate) fn field(&self, name: &str) -> Option<usize> {
        self.fields.binary_search_by(|field| field.name.as_str().cmp(name)).ok()
    }
}

impl ViewIntake {
    /// In the order of the join keys.
    pub(crate) fn key_types(&self) -> &[KeyType] {
        &self.key_types
    }

    /// For messages: separated by blanks.
    pub(crate) fn key_names(&self) -> &str {
        &self.key_names
    }
}

fn compile(workspace: &Workspace, streams: &StreamTables, metrics: &Metrics) -> WorkspaceIntake {
    let views: Vec<&FeatureView> = workspace.feature_views.values().collect();
    let intakes: Box<[ViewIntake]> = views.iter().map(|view| view_intake(workspace, view, streams, metrics)).collect();
    let source = |source: &StreamSource| {
        let all = views.iter().zip(&intakes).enumerate();
        let taking = all.filter(|(_, (view, _))| view.stream.as_ref() == Some(&source.name));
        let taken = taking.filter_map(|(at, (view, intake))| source_view(at, source, view, intake)).collect();
        let names: Vec<&str> = source.fields.iter().map(|field| field.name.as_str()).collect();
        let intake = SourceIntake {
            name: source.name.as_str().into(),
            names: names.join(" ").into(),
            time: source.fields.iter().position(|field| field.name == source.timestamp)?,
            fields: source.fields.as_slice().into(),
            views: taken,
        };
        Some((source.name.as_bytes().into(), intake))
    };
    let sources = workspace.stream_sources.values().filter_map(source).collect();
    WorkspaceIntake { name: workspace.name.as_str().into(), sources, views: intakes }
}

fn view_intake(workspace: &Workspace, view: &FeatureView, streams: &StreamTables, metrics: &Metrics) -> ViewIntake {
    let table = streams.get(&FeatureView::table_name(&workspace.name, &view.name));
    let table = table.filter(|table| *table.schema == view.schema());
    let key_names: Vec<&str> = view.join_keys.iter().map(|key| key.name.as_str()).collect();
    ViewIntake {
        name: view.name.as_str().into(),
        id: service_id(&workspace.name, &view.name).into(),
        join_keys: view.join_keys.as_slice().into(),
        key_names: key_names.join(" ").into(),
        key_types: view.join_keys.iter().map(|key| key.key_type).collect(),
        ttl_us: view.ttl_us,
        aggregates: view.aggregation.as_ref().and_then(|of| Aggregates::new(&of.specification).ok()),
        leading_edge: view.aggregation.as_ref().map_or_else(LeadingEdge::default, |of| of.leading_edge),
        table: table.cloned(),
        slot: metrics.view_slot(&workspace.name, &view.name),
    }
}

/// `None` if a field is missing or of another type, which checked definitions rule out.
fn source_view(at: usize, source: &StreamSource, view: &FeatureView, intake: &ViewIntake) -> Option<SourceView> {
    let field = |name: &str, column_type: &ColumnType| {
        source.fields.iter().position(|field| field.name == name && field.column_type == *column_type)
    };
    let key = |key: &JoinKey| match key.key_type {
        KeyType::Int64 => field(&key.name, &ColumnType::Int64),
        KeyType::String => field(&key.name, &ColumnType::String),
    };
    let values = match (&intake.aggregates, &view.aggregation) {
        (Some(of), _) => of.columns().iter().map(|column| field(&column.name, &column.column_type)).collect(),
        (None, None) => view.features.iter().map(|feature| field(&feature.column, &feature.data_type)).collect(),
        (None, Some(_)) => None,
    };
    let secondary_key = view.aggregation.as_ref().and_then(|of| of.specification.secondary_key.as_ref());
    let secondary_key = match secondary_key {
        Some(name) => Some(field(name, &ColumnType::String)?),
        None => None,
    };
    Some(SourceView {
        view: at,
        keys: view.join_keys.iter().map(key).collect::<Option<_>>()?,
        values: values?,
        secondary_key,
    })
}
