//! Everything that is served from one generation, found by name.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use gannet_store::{
    Schema, Table,
    levels::Levels,
    log::Sequence,
    plane::{StreamTable, StreamTables},
};

use crate::{
    aggregates::{Aggregates, LeadingEdge},
    auth::{hex, sha256},
    definitions::model::{Definitions, FeatureView, Selection, Workspace},
    ingest::Intakes,
    metrics::Metrics,
    plan::Plan,
    query::Locator,
};

/// Every service of every workspace, compiled against the tables of one generation. Immutable; a change of definitions
/// or data is a new catalog.
///
/// Definitions may be newer than data. A view that takes no stream and has no table, or one with other join keys, makes its services
/// answer 404 `… has no materialized data …`. A feature that its view's table does not have yet (or has with another
/// type) is null with `MISSING_DATA`; the view's other features are served.
#[derive(Debug)]
pub struct Catalog {
    generation: u64,
    covered: Sequence,
    tables: Vec<NamedTable>,
    plans: Vec<Plan>,
    workspaces: HashMap<Box<[u8]>, Names>,
    services: usize,
    intakes: Intakes,
}

/// A view's table, in all places where its rows are.
#[derive(Debug)]
pub(crate) struct NamedTable {
    pub(crate) workspace: Box<str>,
    pub(crate) view: Box<str>,
    /// As it was built, or compacted last.
    pub(crate) base: Option<Arc<Table>>,
    /// What was written since and is in files already.
    pub(crate) delta: Option<Arc<Table>>,
    /// What was written since and is in memory. All of base, delta and this have one schema: a base that is older than its definition
    /// is served by itself.
    pub(crate) stream: Option<Arc<StreamTable>>,
    /// `None`: of the rows of a key the newest is served.
    pub(crate) aggregates: Option<Arc<Aggregates>>,
    /// The newest event time that any row in files may have, and that any of the base's may have.
    pub(crate) newest_us: Option<i64>,
    pub(crate) base_newest_us: Option<i64>,
    moment: Moment,
    /// How long every read of a row is held back: slow storage, simulated. Zero in earnest.
    pub(crate) delay_ns: u64,
}

/// When a view's windows are taken, and its rows' ages.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Of(LeadingEdge),
    /// Only batch jobs fill the view: where the last one's data ends, whatever the edge is. `None`: there was no event.
    BatchEnd(Option<i64>),
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
    /// Compiles every service of every workspace, and an implicit service for every view. `levels` and `streams` by name
    /// ([`FeatureView::table_name`]). Those that no view names are left out.
    pub fn compile(
        definitions: &Definitions,
        levels: BTreeMap<String, Levels>,
        streams: &StreamTables,
        generation: u64,
        metrics: &Metrics,
    ) -> Self {
        let mut catalog = Self {
            generation,
            covered: Sequence(0),
            tables: Vec::new(),
            plans: Vec::new(),
            workspaces: HashMap::new(),
            services: 0,
            intakes: Intakes::compile(definitions, streams, metrics),
        };
        for workspace in definitions.workspaces.values() {
            let mut places = HashMap::new();
            for view in workspace.feature_views.values() {
                let name = FeatureView::table_name(&workspace.name, &view.name);
                let named = NamedTable::new(&workspace.name, view, levels.get(&name), streams.get(&name));
                if named.schema().is_some() {
                    places.insert(view.name.as_str(), catalog.tables.len());
                    catalog.tables.push(named);
                }
            }
            let servable = |place: &usize| {
                let named = &catalog.tables[*place];
                (named.base.is_some() || named.takes_stream(workspace)).then_some((*place, named))
            };
            let find = |view: &str| places.get(view).and_then(servable);
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

    /// Files hold what the write log does up to this record: what the overlay has of it, too, must not count twice.
    #[must_use]
    pub fn covering(mut self, log_position: u64) -> Self {
        self.covered = Sequence(log_position);
        self
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

    /// The last record of the write log that is in files.
    pub(crate) fn covered(&self) -> Sequence {
        self.covered
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

impl NamedTable {
    fn new(workspace: &str, view: &FeatureView, levels: Option<&Levels>, stream: Option<&Arc<StreamTable>>) -> Self {
        let schema = view.schema();
        let mut stream = stream.filter(|stream| *stream.schema == schema).cloned();
        let mut base = levels.and_then(|levels| levels.base.clone()).filter(|base| has_key_of(base, view));
        let mut delta = levels.and_then(|levels| levels.delta.clone()).filter(|delta| **delta.schema() == schema);
        if base.as_ref().is_some_and(|base| **base.schema() != schema) {
            // Columns have other places in it; and tiles of another shape are nothing at all.
            match view.aggregation {
                Some(_) => base = None,
                None => (stream, delta) = (None, None),
            }
        }
        let aggregates = view.aggregates().map(Arc::new);
        let base_newest_us = base.as_ref().and_then(|base| base.event_time_max_us());
        let moment = match (&view.stream, &view.aggregation) {
            (None, aggregation) => {
                let interval_us = aggregation.as_ref().and_then(|aggregation| aggregation.specification.interval_us);
                let newest_us = base.as_ref().and_then(|base| base.newest_event_us());
                Moment::BatchEnd(newest_us.map(|us| batch_end_us(us, interval_us)))
            }
            (Some(_), aggregation) => {
                Moment::Of(aggregation.as_ref().map_or_else(LeadingEdge::default, |a| a.leading_edge))
            }
        };
        Self {
            workspace: workspace.into(),
            view: view.name.as_str().into(),
            newest_us: delta.as_ref().and_then(|delta| delta.event_time_max_us()).max(base_newest_us),
            base_newest_us,
            base,
            delta,
            stream,
            aggregates,
            moment,
            delay_ns: 0,
        }
    }

    /// By which the rows of all its levels are encoded; `None` if it has none.
    pub(crate) fn schema(&self) -> Option<&Schema> {
        let base = self.base.as_ref().map(|base| &**base.schema());
        base.or_else(|| self.stream.as_ref().map(|stream| &*stream.schema))
    }

    /// What is in files, the upper level first.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.delta.iter().chain(&self.base)
    }

    /// When windows are taken at `now_us`, if the request `asked` for an edge or none; `None`: all are empty.
    pub(crate) fn moment_us(&self, now_us: i64, asked: Option<LeadingEdge>) -> Option<i64> {
        match self.moment {
            Moment::BatchEnd(end_us) => end_us,
            Moment::Of(edge) => {
                let watermark_us = self.stream.as_ref().and_then(|stream| stream.watermark_us());
                asked.unwrap_or(edge).moment_us(now_us, watermark_us)
            }
        }
    }

    /// The moment at which rows have the age that decides whether they have expired: by the view's own edge, whatever a request asks for, and
    /// never before its time. What only batches fill does not grow old because the next one is late.
    pub(crate) fn lives_at_us(&self, now_us: i64) -> i64 {
        self.moment_us(now_us, None).map_or(now_us, |own_us| own_us.min(now_us))
    }

    /// Whether rows come to the view without a batch: then it is served before the first.
    fn takes_stream(&self, workspace: &Workspace) -> bool {
        let view = workspace.feature_views.get(&*self.view);
        self.stream.is_some() && view.is_some_and(|view| view.stream.is_some())
    }
}

/// Whether the table was built with the join keys that the view has now.
fn has_key_of(table: &Table, view: &FeatureView) -> bool {
    let schema = table.schema();
    schema.key.len() == view.join_keys.len()
        && schema
            .key
            .iter()
            .zip(&view.join_keys)
            .all(|(part, key)| part.name == key.name && part.key_type == key.key_type)
}

/// Where a batch's data ends that reaches up to this event: its interval counts as finished. Without intervals, the event itself, which the
/// window behind it holds.
fn batch_end_us(newest_us: i64, interval_us: Option<i64>) -> i64 {
    match interval_us {
        Some(interval_us @ 1..) => newest_us.div_euclid(interval_us).saturating_add(1).saturating_mul(interval_us),
        _ => newest_us,
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
