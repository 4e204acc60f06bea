//! A feature service, compiled against the tables of one generation: what a request needs is looked up here by position,
//! never by name.

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    ops::Range,
    sync::{Arc, OnceLock},
};

use gannet_store::{ColumnType, KeyType, value::ValueLayout};

use crate::{
    aggregates::Aggregates,
    budget::LatencyBudget,
    catalog::NamedTable,
    definitions::model::{Feature, FeatureView, JoinKey, Selection, Workspace},
    metrics::Metrics,
    tecton::{MetadataOptions, Template},
};

/// One compiled service, or the implicit service of one view.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) workspace: Box<str>,
    pub(crate) name: Box<str>,
    /// As callers name them, sorted by name.
    pub(crate) join_keys: Box<[JoinKey]>,
    /// The same names, for messages: separated by blanks.
    pub(crate) join_key_names: Box<str>,
    /// The distinct keys that views are read with. Views of one entity share theirs.
    pub(crate) key_sets: Box<[KeySet]>,
    /// In the order of the vector.
    pub(crate) views: Box<[PlanView]>,
    /// The vector.
    pub(crate) slots: Box<[Slot]>,
    /// The first view that has no table; then nothing can be served.
    pub(crate) not_materialized: Option<Box<str>>,
    /// Place of the service's counters.
    pub(crate) service_slot: usize,
    /// What the service sets for requests that set none.
    pub(crate) budget: Option<LatencyBudget>,
    /// How many requests for the service may be in progress in a process.
    pub(crate) concurrency_max: Option<NonZeroU32>,
    /// Constant bytes by set of options, made when first asked for.
    templates: Box<[OnceLock<Box<Template>>]>,
}

/// Which join keys make up an encoded key, in the table's order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KeySet {
    /// Positions in [`Plan::join_keys`].
    pub(crate) parts: Box<[usize]>,
    pub(crate) types: Box<[KeyType]>,
}

/// One view's part in the vector.
#[derive(Debug)]
pub(crate) struct PlanView {
    /// Position in the catalog's tables.
    pub(crate) table: usize,
    /// Position in [`Plan::key_sets`].
    pub(crate) key_set: usize,
    pub(crate) ttl_us: Option<i64>,
    /// Its values are folded of all that there is of a key; `None`: they are those of its newest row.
    pub(crate) aggregates: Option<Arc<Aggregates>>,
    /// Carries no effective time.
    pub(crate) timeless: bool,
    /// Positions in [`Plan::slots`].
    pub(crate) slots: Range<usize>,
    /// Place of the view's counters.
    pub(crate) view_slot: usize,
}

/// One place of the vector.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Position in the table's columns, or among the view's aggregates. `None`: the table is older than the definition and has no such
    /// column, or one of another type; then the feature is null with `MISSING_DATA`, whether or not the key has a row.
    pub(crate) column: Option<usize>,
    /// Of an aggregate's values: how those of its type are laid out, then those of its elements' type, and so on.
    pub(crate) layouts: Box<[ValueLayout]>,
    /// `<namespace>.<feature>`.
    pub(crate) name: Box<str>,
    pub(crate) feature: Feature,
}

impl Plan {
    /// Compiles what `selections` take from a workspace's views; both are in the order of the vector already. `table`
    /// finds the table of a view that can be served, and its position.
    pub(crate) fn compile<'t>(
        workspace: &Workspace,
        name: &str,
        selections: &[Selection],
        table: impl Fn(&str) -> Option<(usize, &'t NamedTable)>,
        metrics: &Metrics,
    ) -> Self {
        let chosen: Vec<(&Selection, &FeatureView)> = selections
            .iter()
            .filter_map(|selection| Some((selection, workspace.feature_views.get(&selection.view)?)))
            .collect();

        let mut types = BTreeMap::new();
        for (selection, view) in &chosen {
            types.extend(selection.join_keys.iter().cloned().zip(view.join_keys.iter().map(|key| key.key_type)));
        }
        let join_keys: Box<[JoinKey]> = types.into_iter().map(|(name, key_type)| JoinKey { name, key_type }).collect();

        let (mut key_sets, mut views, mut slots) = (Vec::new(), Vec::new(), Vec::new());
        let mut not_materialized = None;
        for (selection, view) in chosen {
            let found = table(&view.name);
            if found.is_none() && not_materialized.is_none() {
                not_materialized = Some(view.name.clone().into_boxed_str());
            }
            let key_set = KeySet {
                parts: selection.join_keys.iter().filter_map(|name| position(&join_keys, name.as_bytes())).collect(),
                types: view.join_keys.iter().map(|key| key.key_type).collect(),
            };
            let place = key_sets.iter().position(|known| known == &key_set).unwrap_or_else(|| {
                key_sets.push(key_set);
                key_sets.len() - 1
            });
            let start = slots.len();
            for name in &selection.features {
                let Some(feature) = view.features.iter().find(|feature| &feature.name == name) else { continue };
                slots.push(Slot {
                    column: found.and_then(|(_, table)| column_of(table, feature)),
                    layouts: view.aggregation.iter().flat_map(|_| layouts_of(&feature.data_type)).collect(),
                    name: format!("{}.{name}", selection.namespace).into_boxed_str(),
                    feature: feature.clone(),
                });
            }
            views.push(PlanView {
                table: found.map_or(0, |(place, _)| place),
                key_set: place,
                ttl_us: view.ttl_us,
                aggregates: found.and_then(|(_, table)| table.aggregates.clone()),
                timeless: view.first,
                slots: start..slots.len(),
                view_slot: metrics.view_slot(&workspace.name, &view.name),
            });
        }
        let names: Vec<&str> = join_keys.iter().map(|key| key.name.as_str()).collect();
        Self {
            workspace: workspace.name.as_str().into(),
            name: name.into(),
            join_key_names: names.join(" ").into_boxed_str(),
            key_sets: key_sets.into_boxed_slice(),
            views: views.into_boxed_slice(),
            slots: slots.into_boxed_slice(),
            not_materialized,
            service_slot: metrics.service_slot(&workspace.name, name),
            budget: None,
            concurrency_max: None,
            templates: (0..MetadataOptions::ITEM_SETS).map(|_| OnceLock::new()).collect(),
            join_keys,
        }
    }

    /// The constant bytes of the metadata items for these options.
    pub(crate) fn template(&self, options: MetadataOptions) -> &Template {
        self.templates[options.item_set()].get_or_init(|| Box::new(Template::build(self, options)))
    }

    /// The position of a join key that a caller named.
    pub(crate) fn join_key(&self, name: &[u8]) -> Option<usize> {
        position(&self.join_keys, name)
    }
}

/// Few keys are compared one by one; that beats hashing.
fn position(join_keys: &[JoinKey], name: &[u8]) -> Option<usize> {
    if join_keys.len() <= 8 {
        join_keys.iter().position(|key| key.name.as_bytes() == name)
    } else {
        join_keys.binary_search_by(|key| key.name.as_bytes().cmp(name)).ok()
    }
}

fn column_of(table: &NamedTable, feature: &Feature) -> Option<usize> {
    if let Some(aggregates) = &table.aggregates {
        let mut features = aggregates.features().iter();
        return features.position(|known| known.name == feature.name && known.data_type == feature.data_type);
    }
    let mut columns = table.schema()?.columns.iter();
    columns.position(|column| column.name == feature.name && column.column_type == feature.data_type)
}

fn layouts_of(data_type: &ColumnType) -> impl Iterator<Item = ValueLayout> {
    let mut next = Some(data_type);
    let types = std::iter::from_fn(move || {
        let data_type = next?;
        next = match data_type {
            ColumnType::Array(element) => Some(element),
            _ => None,
        };
        Some(data_type)
    });
    types.map(ValueLayout::new)
}
