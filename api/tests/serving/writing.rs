//! A world that takes writes, with a hand at the far end of the queue instead of a storage plane.

use std::sync::Arc;

use gannet_api::{
    Catalog, Core,
    aggregates::{self, Aggregates, Function, LeadingEdge, Specification, UncheckedRow, Window},
    auth::{KeyRecord, KeyTable, Role, Roles},
    definitions::model::{Aggregation, Definitions, Feature, FeatureView, StreamSource},
};
use gannet_engine::{
    Answer, Finished, Now, Service, Waiting,
    http::{Head, Method, Request},
};
use gannet_store::{
    ColumnType, Field, Row, Schema, ValueRef,
    overlay::{Overlay, OverlaySettings},
    plane::{Done, Failure, FarEnd, SourceToken, StreamTables, Write, WriteRows, pair},
};

use crate::{
    fixture::{World, head},
    users::{definitions, turn},
};

/// As many as a core may have under way.
pub(crate) const WRITES: usize = 4;

pub(crate) const HOUR_US: i64 = 3_600_000_000;

/// The clock of these tests stands at 2021-08-21T01:23:59.996Z.
pub(crate) struct Writing {
    pub(crate) world: World,
    pub(crate) far: FarEnd,
    pub(crate) streams: StreamTables,
    definitions: Definitions,
}

/// A write, read back: its token, and of each row the table, the event time, and its values as text.
pub(crate) struct Taken {
    pub(crate) core: usize,
    pub(crate) write: Write,
}

/// Source `clicks` with views `last` (a TTL of an hour), `sums` (tiles of an hour, windows of a day) and `wide` (every type); source `spare`,
/// which nobody takes; source `visits` with the view `visits`, of two join keys; and `batch`, which takes no stream.
pub(crate) fn model() -> Definitions {
    let views = [
        ("last", "amount = \"float64\""),
        ("sums", "placeholder = \"int64\""),
        (
            "wide",
            "flag = \"boolean\", n = \"int64\", place = \"struct<lat:float64,lon:float64>\", props = \"map<string,float64>\", ratio = \"float32\", seen = \"timestamp\", tags = \"array<string>\"",
        ),
        ("visits", "n = \"int64\""),
        ("batch", "n = \"int64\""),
    ];
    let toml = definitions(&views, "[entities.ad]\njoin_keys = { ad_id = \"int64\" }\n");
    let mut definitions = gannet_api::definitions::check(&[("test.toml".to_owned(), toml)]).unwrap();
    let workspace = definitions.workspaces.get_mut("prod").unwrap();
    let ad = workspace.entities["ad"].join_keys.clone();
    let wide = workspace.feature_views["wide"].features.clone();
    for (name, view) in &mut workspace.feature_views {
        view.stream = match name.as_str() {
            "batch" => None,
            "visits" => Some("visits".to_owned()),
            _ => Some("clicks".to_owned()),
        };
    }
    workspace.feature_views.get_mut("last").unwrap().ttl_us = Some(HOUR_US);
    let visits = workspace.feature_views.get_mut("visits").unwrap();
    visits.join_keys.extend(ad);
    visits.join_keys.sort_by(|one, other| one.name.cmp(&other.name));
    aggregate(workspace.feature_views.get_mut("sums").unwrap());
    let field = |name: &str, column_type| Field { name: name.to_owned(), column_type };
    let mut clicks = vec![
        field("amount", ColumnType::Float64),
        field("at", ColumnType::Timestamp),
        field("user_id", ColumnType::String),
    ];
    clicks.extend(wide.into_iter().map(|feature| Field { name: feature.name, column_type: feature.data_type }));
    let visits = vec![
        field("ad_id", ColumnType::Int64),
        field("n", ColumnType::Int64),
        field("user_id", ColumnType::String),
        field("when", ColumnType::Timestamp),
    ];
    for (name, timestamp, mut fields) in
        [("clicks", "at", clicks.clone()), ("spare", "at", clicks), ("visits", "when", visits)]
    {
        fields.sort_by(|one, other| one.name.cmp(&other.name));
        let (name, timestamp) = (name.to_owned(), timestamp.to_owned());
        let source = StreamSource {
            name: name.clone(),
            description: String::new(),
            tags: Default::default(),
            timestamp,
            fields,
        };
        workspace.stream_sources.insert(name, source);
    }
    definitions
}

fn aggregate(view: &mut FeatureView) {
    let specification = Specification {
        interval_us: Some(HOUR_US),
        join_keys: vec!["user_id".to_owned()],
        columns: vec![aggregates::Column { name: "amount".to_owned(), column_type: ColumnType::Float64 }],
        aggregations: vec![aggregates::Aggregation {
            column: "amount".to_owned(),
            function: Function::Sum,
            window: Window::of(24 * HOUR_US),
            name: None,
        }],
        ..Specification::default()
    };
    let feature = |feature: &aggregates::Feature| Feature {
        name: feature.name.clone(),
        column: "amount".to_owned(),
        data_type: feature.data_type.clone(),
        description: String::new(),
        tags: Default::default(),
    };
    view.features = Aggregates::new(&specification).unwrap().features().iter().map(feature).collect();
    view.aggregation = Some(Aggregation { specification, leading_edge: LeadingEdge::WallClock });
}

/// The schema of a view's rows; of tiles, if it aggregates.
fn schema(view: &FeatureView) -> Schema {
    let mut schema = view.schema();
    if view.aggregation.is_some() && !matches!(&*schema.columns, [Field { column_type: ColumnType::Binary, .. }]) {
        schema.columns = vec![Field { name: "tiles".to_owned(), column_type: ColumnType::Binary }];
    }
    schema
}

pub(crate) fn tables(definitions: &Definitions, of: &StreamTables) -> StreamTables {
    let workspace = &definitions.workspaces["prod"];
    of.with(
        workspace.feature_views.values().map(|view| (FeatureView::table_name("prod", &view.name), schema(view), None)),
    )
}

impl Writing {
    pub(crate) fn new() -> Self {
        let mut writing = Self::reading();
        let (far, mut submitters) = pair(1, WRITES, Box::new(|| {}));
        let (overlay, _) = Overlay::new(OverlaySettings { budget_bytes: 1 << 20, seed: 1 });
        let core = Core::new(Arc::clone(&writing.world.shared), 0);
        writing.world.core = core.with_writes(submitters.remove(0), &overlay);
        writing.far = far;
        writing
    }

    /// The same without a way to a plane.
    pub(crate) fn reading() -> Self {
        let world = World::new(&definitions(&[], ""), vec![]);
        let mut record = KeyRecord::of("quickstart", "", 0);
        record.roles = Roles::everywhere(Role::Editor);
        world.shared.set_keys(KeyTable::new(vec![record]).unwrap());
        let definitions = model();
        let streams = tables(&definitions, &StreamTables::default());
        let (far, _) = pair(1, 1, Box::new(|| {}));
        let writing = Self { world, far, streams, definitions };
        writing.publish();
        writing
    }

    /// From now on windows of `sums` end with it.
    pub(crate) fn lead_sums_by(&mut self, edge: LeadingEdge) {
        let workspace = self.definitions.workspaces.get_mut("prod").unwrap();
        workspace.feature_views.get_mut("sums").unwrap().aggregation.as_mut().unwrap().leading_edge = edge;
        self.publish();
    }

    /// Adds views that take the same as this one.
    pub(crate) fn with_copies_of(&mut self, view: &str, copies: usize) {
        let views = &mut self.definitions.workspaces.get_mut("prod").unwrap().feature_views;
        for copy in 1..=copies {
            let name = format!("{view}_{copy}");
            views.insert(name.clone(), FeatureView { name, ..views[view].clone() });
        }
        self.streams = tables(&self.definitions, &self.streams);
        self.publish();
    }

    pub(crate) fn publish(&self) {
        let metrics = self.world.shared.metrics();
        let catalog = Catalog::compile(&self.definitions, std::collections::BTreeMap::new(), &self.streams, 8, metrics);
        self.world.shared.publish(Some(Arc::new(catalog)));
    }

    /// One turn with one request.
    pub(crate) fn send(&mut self, head: Head<'_>, body: &str) -> (Finished, String) {
        turn(&mut self.world, head, body)
    }

    /// The same with any bytes as body.
    pub(crate) fn begin(&mut self, request: Request<'_>) -> (Finished, String) {
        let (now, mut out) = (self.world.now, Vec::new());
        self.world.core.turn(now);
        let ticket = self.world.core.begin(now, request);
        self.world.core.gather(now);
        let finished = self.world.core.finish(now, ticket, &mut out);
        self.world.core.turned(now);
        (finished, String::from_utf8(out).unwrap())
    }

    pub(crate) fn post(&mut self, body: &str) -> (Finished, String) {
        self.send(head(Method::Post, "/ingest"), body)
    }

    /// A write that waits.
    #[track_caller]
    pub(crate) fn waits(&mut self, body: &str) -> Waiting {
        let (finished, told) = self.post(body);
        let Finished::Waits { waiting, .. } = finished else { panic!("{finished:?}: {told}") };
        waiting
    }

    /// A request that is answered at once.
    #[track_caller]
    pub(crate) fn told(&mut self, head: Head<'_>, body: &str) -> (Answer, String) {
        let (finished, told) = self.send(head, body);
        let Finished::Answer(answer) = finished else { panic!("{finished:?}") };
        assert!(serde_json::from_str::<serde_json::Value>(&told).is_ok(), "{told}");
        (answer, told)
    }

    /// The next write at the far end.
    #[track_caller]
    pub(crate) fn take(&self) -> Taken {
        let (core, write) = self.far.take().expect("a write was handed over");
        Taken { core, write }
    }

    /// Tells the core what became of a write, and gives the answers that are due then.
    pub(crate) fn give(&mut self, taken: Taken, outcome: Result<(), Failure>) -> Vec<(Answer, String)> {
        let Taken { core, write: Write { tag, payload } } = taken;
        self.far.give(core, Done { tag, outcome, payload });
        let now = self.world.later(3_000_000);
        let mut due = Vec::new();
        self.world.core.turn(now);
        self.world.core.ready(now, &mut due);
        let answers = due.into_iter().map(|waiting| self.conclude(now, waiting)).collect();
        self.world.core.turned(now);
        answers
    }

    pub(crate) fn conclude(&mut self, now: Now, waiting: Waiting) -> (Answer, String) {
        let mut body = Vec::new();
        let answer = self.world.core.conclude(now, waiting, &mut body);
        (answer, String::from_utf8(body).unwrap())
    }

    /// Sends a body that must be written, writes it, and gives its answer and its rows.
    #[track_caller]
    pub(crate) fn write(&mut self, head: Head<'_>, body: &str) -> (String, Vec<String>) {
        let (finished, told) = self.send(head, body);
        assert!(matches!(finished, Finished::Waits { .. }), "{finished:?}: {told}");
        let taken = self.take();
        let rows = self.rows(&taken).1;
        let mut answers = self.give(taken, Ok(()));
        let (answer, body) = answers.pop().unwrap();
        assert!(answers.is_empty());
        assert_eq!(answer.status.0, 200, "{body}");
        (body, rows)
    }

    /// A write's token and its rows as text.
    pub(crate) fn rows(&self, taken: &Taken) -> (Option<SourceToken>, Vec<String>) {
        let mut write = WriteRows::parse(&taken.write.payload).unwrap();
        let token = write.token.clone();
        let mut rows = Vec::new();
        while let Some(row) = write.next_row().unwrap() {
            let table = self.streams.get(row.table).unwrap();
            let shown = Row::parse(&table.layout, row.row).unwrap();
            let values: Vec<String> =
                (0..table.schema.columns.len()).map(|column| self.value(row.table, &shown, column)).collect();
            let values = if shown.is_tombstone() { "deleted".to_owned() } else { values.join(" ") };
            rows.push(format!(
                "{} {:?} @{} {values}",
                row.table,
                String::from_utf8_lossy(shown.key()),
                shown.event_time_us()
            ));
        }
        (token, rows)
    }

    fn value(&self, table: &str, row: &Row<'_>, column: usize) -> String {
        if row.is_tombstone() {
            return String::new();
        }
        let view = &self.definitions.workspaces["prod"].feature_views[table.strip_prefix("prod/").unwrap()];
        match (row.value(column).unwrap(), &view.aggregation) {
            (ValueRef::Binary(bytes), Some(aggregation)) => {
                let aggregates = Aggregates::new(&aggregation.specification).unwrap();
                let tiles = aggregates.row(UncheckedRow::new(bytes)).unwrap();
                format!("{} tile(s), newest {}", tiles.tiles(), tiles.newest_event_us())
            }
            (value, _) => format!("{:?}", value.to_value().unwrap()),
        }
    }
}

/// With another key.
pub(crate) fn with_key<'h>(key: &'h str, head: Head<'h>) -> Head<'h> {
    Head { authorization: Some(key.as_bytes()), ..head }
}

/// A body for one source.
pub(crate) fn records(source: &str, records: &str) -> String {
    format!(r#"{{"workspace_name":"prod","dry_run":false,"records":{{"{source}":[{records}]}}}}"#)
}
