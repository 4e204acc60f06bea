//! Everything that is served from one generation, found by name.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use gannet_store::{Table, plane::StreamTables};

use crate::{
    auth::{hex, sha256},
    definitions::model::{Definitions, FeatureView, Selection},
    ingest::Intakes,
    metrics::Metrics,
    plan::Plan,
    query::Locator,
};

/// Every service of every workspace, compiled against the tables of one generation. Immutable; a change of definitions
/// or data is a new catalog.
///
/// Definitions may be newer than data. A view without a table, or whose table has other join keys, makes its services
/// answer 404 `… has no materialized data …`. A feature that its view's table does not have yet (or has with another
/// type) is null with `MISSING_DATA`; the view's other features are served.
#[derive(Debug)]
pub struct Catalog {
    generation: u64,
    tables: Vec<NamedTable>,
    plans: Vec<Plan>,
    workspaces: HashMap<Box<[u8]>, Names>,
    services: usize,
    intakes: Intakes,
}

/// A table and whose rows it holds.
#[derive(Debug)]
pub(crate) struct NamedTable {
    pub(crate) workspace: Box<str>,
    pub(crate) view: Box<str>,
    pub(crate) table: Arc<Table>,
    /// How long every read of a row is held back: slow storage, simulated. Zero in earnest.
    pub(crate) delay_ns: u64,
}

/// Positions in [`Catalog::plans`].
#[derive(Debug, Default)]
struct Names {
    services: HashMap<Box<[u8]>, usize>,
    service_ids: HashMap<[u8; 16], usize>,
    views: HashMap<Box<[u8]>, usize>,
    view_ids: HashMap<[u8; 16], usize>,
}

impl Catalog {
    /// Compiles every service of every workspace, and an implicit service for every view. `tables` by name
    /// ([`FeatureView::table_name`]). Tables that no view names are left out.
    pub fn compile(
        definitions: &Definitions,
        tables: BTreeMap<String, Arc<Table>>,
        generation: u64,
        metrics: &Metrics,
    ) -> Self {
        let mut catalog = Self {
            generation,
            tables: Vec::new(),
            plans: Vec::new(),
            workspaces: HashMap::new(),
            services: 0,
            intakes: Intakes::compile(definitions, metrics),
        };
        for workspace in definitions.workspaces.values() {
            let mut places = HashMap::new();
            for view in workspace.feature_views.keys() {
                if let Some(table) = tables.get(&FeatureView::table_name(&workspace.name, view)) {
                    places.insert(view.as_str(), catalog.tables.len());
                    catalog.tables.push(NamedTable {
                        workspace: workspace.name.as_str().into(),
                        view: view.as_str().into(),
                        table: Arc::clone(table),
                        delay_ns: 0,
                    });
                }
            }
            let find = |view: &str| places.get(view).map(|&place| (place, &*catalog.tables[place].table));
            let mut names = Names::default();
            for service in workspace.feature_services.values() {
                names.services.insert(service.name.as_bytes().into(), catalog.plans.len());
                names.service_ids.insert(id(&workspace.name, &service.name), catalog.plans.len());
                let mut plan = Plan::compile(workspace, &service.name, &service.selections, find, metrics);
                plan.budget = service.latency_budget;
                plan.concurrency_max = service.concurrency_max;
                catalog.plans.push(plan);
            }
            for view in workspace.feature_views.values() {
                names.views.insert(view.name.as_bytes().into(), catalog.plans.len());
                names.view_ids.insert(id(&workspace.name, &view.name), catalog.plans.len());
                catalog.plans.push(Plan::compile(workspace, &view.name, &[whole(view)], find, metrics));
            }
            catalog.services += workspace.feature_services.len();
            catalog.workspaces.insert(workspace.name.as_bytes().into(), names);
        }
        catalog
    }

    /// Simulates slow storage: rows of these tables ([`FeatureView::table_name`]) are always read from their files, and each
    /// read is held back this long. For tests and demonstrations; a name that is not there is ignored.
    #[must_use]
    pub fn with_slow_tables(mut self, slow: &BTreeMap<String, Duration>) -> Self {
        for named in &mut self.tables {
            let delay = slow.get(&FeatureView::table_name(&named.workspace, &named.view));
            named.delay_ns = delay.map_or(0, |delay| u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX));
        }
        self
    }

    /// The same, with the tables that are written to.
    #[must_use]
    pub fn with_streams(mut self, streams: &StreamTables) -> Self {
        self.intakes.attach(streams);
        self
    }

    /// What is written, and to which views.
    pub(crate) fn intakes(&self) -> &Intakes {
        &self.intakes
    }

    /// The number of the generation that is served.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How many feature services there are, implicit ones not counted.
    pub fn services(&self) -> usize {
        self.services
    }

    pub(crate) fn tables(&self) -> &[NamedTable] {
        &self.tables
    }

    pub(crate) fn plan(&self, place: usize) -> &Plan {
        &self.plans[place]
    }

    pub(crate) fn has_workspace(&self, workspace: &[u8]) -> bool {
        self.workspaces.contains_key(workspace)
    }

    /// The place of the plan that a request names. An unknown workspace is told as an unknown service.
    pub(crate) fn find(&self, workspace: &[u8], locator: Locator, body: &[u8]) -> Option<usize> {
        let names = self.workspaces.get(workspace)?;
        let named = locator.span().of(body);
        match locator {
            Locator::Service(_) => names.services.get(named),
            Locator::View(_) => names.views.get(named),
            Locator::ServiceId(_) => names.service_ids.get(&parse_id(named)?),
            Locator::ViewId(_) => names.view_ids.get(&parse_id(named)?),
        }
        .copied()
    }
}

/// The implicit service of one view.
fn whole(view: &FeatureView) -> Selection {
    Selection {
        namespace: view.name.clone(),
        view: view.name.clone(),
        features: view.features.iter().map(|feature| feature.name.clone()).collect(),
        join_keys: view.join_keys.iter().map(|key| key.name.clone()).collect(),
    }
}

/// A service's id as it is written: lower-case hex.
pub(crate) fn service_id(workspace: &str, name: &str) -> String {
    hex(&id(workspace, name))
}

/// An id is made of the names, so it is the same after every restart and on every machine.
fn id(workspace: &str, name: &str) -> [u8; 16] {
    let hash = sha256(format!("{workspace}/{name}").as_bytes());
    let (id, _) = hash.as_chunks::<16>();
    id[0]
}

fn parse_id(text: &[u8]) -> Option<[u8; 16]> {
    let digits: &[u8; 32] = text.try_into().ok()?;
    let mut id = [0; 16];
    for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| u8::try_from(char::from(digit).to_digit(16)?).ok();
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(id)
}
