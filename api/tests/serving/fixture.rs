//! Definitions as TOML, rows as values, and a core that serves them.

use std::{collections::BTreeMap, os::fd::AsRawFd as _, path::Path, sync::Arc, time::Duration};

use gannet_api::{
    Catalog, Core, Settings, Shared, State,
    aggregates::CombineTiles,
    auth::{KeyRecord, KeyTable},
    definitions::{
        check,
        model::{Definitions, FeatureView, Workspace},
    },
};
use gannet_engine::{
    Answer, Finished, Now, Read, Service, Ticket,
    http::{Head, Method, Request},
};
use gannet_store::{
    KeyType, Schema, Table, Value,
    build::{BuildOptions, TableBuilder},
    directory::TableEntry,
    key::KeyWriter,
    levels::Levels,
    plane::{Combine, StreamTables},
    row::RowWriter,
    table::{MapOptions, Populate},
};
use tempfile::TempDir;

pub(crate) const GET_FEATURES: &str = "/api/v1/feature-service/get-features";
pub(crate) const KEY: &[u8] = b"Tecton-key quickstart";

/// 2021-08-21T01:23:58.996Z, the event time of the sample that clients are tested with.
pub(crate) const SAMPLE_US: i64 = 1_629_509_038_996_000;

/// Rows of one view: key parts, event time, values in the order of the view's features.
pub(crate) type Rows = Vec<(Vec<Value>, i64, Vec<Value>)>;

/// Everything that serves, and the clock it is served by.
pub(crate) struct World {
    pub(crate) shared: Arc<Shared>,
    pub(crate) core: Core,
    /// The turn's start; answers are finished 50 µs later.
    pub(crate) now: Now,
    pub(crate) folder: TempDir,
    pub(crate) definitions: Definitions,
    pub(crate) levels: BTreeMap<String, Levels>,
    pub(crate) streams: StreamTables,
}

impl World {
    /// Serves `definitions`; views without rows here have no table.
    pub(crate) fn new(definitions: &str, rows: Vec<(&str, Rows)>) -> Self {
        Self::with_settings(Settings::default(), definitions, rows)
    }

    pub(crate) fn with_settings(settings: Settings, definitions: &str, rows: Vec<(&str, Rows)>) -> Self {
        let definitions = check(&[("test.toml".to_owned(), definitions.to_owned())]).unwrap();
        let shared = Arc::new(Shared::new(settings, Vec::new()));
        let folder = TempDir::new().unwrap();
        let mut levels = BTreeMap::new();
        for (view, rows) in rows {
            let workspace = &definitions.workspaces["prod"];
            let name = FeatureView::table_name(&workspace.name, view);
            let table = table(&folder, &name, &workspace.feature_views[view], &rows);
            levels.insert(name, Levels { base: Some(Arc::new(table)), ..Levels::default() });
        }
        let streams = streams(&definitions);
        let catalog = Catalog::compile(&definitions, levels.clone(), &streams, 7, shared.metrics());
        shared.publish(Some(Arc::new(catalog)));
        shared.set_keys(KeyTable::new(vec![KeyRecord::of("quickstart", "for tests", 0)]).unwrap());
        shared.set_state(State::Ready);
        let core = Core::new(Arc::clone(&shared), 0);
        let now = Now { monotonic_ns: 1_000_000, unix_us: SAMPLE_US + 1_000_000 };
        Self { shared, core, now, folder, definitions, levels, streams }
    }

    /// Brings every table into memory; until then rows and index lines are read through the ring, here by [`Self::serve`].
    pub(crate) fn bring_in(&self) {
        for table in self.levels.values().flat_map(Levels::tables) {
            table.bring_in(MapOptions { populate: Populate::All, lock: false, huge_pages: false }).unwrap();
        }
    }

    /// The same definitions and tables, some of which are slow.
    pub(crate) fn slow_down(&self, slow: &[(&str, Duration)]) {
        let slow = slow.iter().map(|(view, delay)| (FeatureView::table_name("prod", view), *delay)).collect();
        let levels = self.levels.clone();
        let catalog = Catalog::compile(&self.definitions, levels, &self.streams, 8, self.shared.metrics());
        self.shared.publish(Some(Arc::new(catalog.with_slow_tables(&slow))));
    }

    /// One turn with one request: status and body. What it has to read is read while it waits, but for what is held back, which
    /// never comes: such a request is concluded at its deadline.
    pub(crate) fn ask(&mut self, head: Head<'_>, body: &[u8]) -> (Answer, String) {
        let mut body = body.to_vec();
        self.core.turn(self.now);
        let request = Request { head, body: &mut body, seen_ns: self.now.monotonic_ns, asked: false };
        let ticket = self.core.begin(self.now, request);
        self.core.gather(self.later(20_000));
        let mut out = b"before".to_vec();
        let answer = self.serve(ticket, &mut out);
        let body = String::from_utf8(out.split_off(6)).unwrap();
        assert_eq!(out, b"before");
        (answer, body)
    }

    /// The moment this long after the turn began.
    pub(crate) fn later(&self, nanoseconds: u64) -> Now {
        Now { monotonic_ns: self.now.monotonic_ns + nanoseconds, ..self.now }
    }

    fn serve(&mut self, ticket: Ticket, out: &mut Vec<u8>) -> Answer {
        let done = self.later(50_000);
        let finished = self.core.finish(done, ticket, out);
        self.core.turned(done);
        let (waiting, until_ns) = match finished {
            Finished::Answer(answer) => return answer,
            Finished::Waits { waiting, until_ns } => (waiting, until_ns),
        };
        assert_eq!(out, b"before", "what waits says nothing yet");
        let mut reads = Vec::new();
        let mut rounds = 0;
        loop {
            self.core.take_reads(&mut reads);
            if reads.is_empty() {
                break;
            }
            for read in std::mem::take(&mut reads).iter().filter(|read| read.delay_ns == 0) {
                assert!(self.core.wants(read.tag));
                let outcome = bytes_of(read);
                if let Some(ready) = self.core.read_over(done, read.tag, Ok(&outcome)) {
                    assert_eq!(ready, waiting);
                    return self.core.conclude(done, waiting, out);
                }
            }
            rounds += 1;
            assert!(rounds <= 4, "index line, row, whole row");
        }
        self.core.conclude(Now { monotonic_ns: until_ns, ..self.now }, waiting, out)
    }

    /// Asks for features.
    pub(crate) fn get_features(&mut self, body: &str) -> (u16, String) {
        let (answer, body) = self.ask(head(Method::Post, GET_FEATURES), body.as_bytes());
        assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok(), "{body}");
        (answer.status.0, body)
    }

    /// Asks for features and compares the answer, the second time with everything in memory. In it `<n>` stands for any number.
    #[track_caller]
    pub(crate) fn check(&mut self, params: &str, status: u16, expected: &str) {
        let expected: String = expected.lines().map(str::trim).collect();
        for round in ["as it was", "in memory"] {
            let (answered, body) = self.get_features(&format!("{{\"params\":{params}}}"));
            // How many reads there are depends on where the rows are.
            let shown = hidden(&sizes_hidden(&body), "storeTimeSeconds\":");
            assert_eq!((answered, shown), (status, expected.clone()), "{round}");
            self.bring_in();
        }
    }

    /// The error body of this status with this message.
    #[track_caller]
    pub(crate) fn check_error(&mut self, params: &str, status: u16, code: u8, message: &str) {
        let message = serde_json::to_string(message).unwrap();
        let expected = format!("{{\"error\":{message},\"message\":{message},\"code\":{code}}}");
        self.check(params, status, &expected);
    }
}

/// What the disk would give: less than asked for where the file ends.
pub(crate) fn bytes_of(read: &Read) -> Vec<u8> {
    // By its name: direct reads want aligned memory, which a test need not have.
    let name = std::fs::read_link(format!("/proc/self/fd/{}", read.file.as_raw_fd())).unwrap();
    let mut bytes = std::fs::read(name).unwrap().split_off(usize::try_from(read.offset).unwrap());
    bytes.truncate(read.length as usize);
    bytes
}

/// How many bytes a row has is the store's business.
pub(crate) fn sizes_hidden(body: &str) -> String {
    hidden(body, "ResponseSizeBytes\":")
}

/// The same answer with `<n>` for numbers that follow this, but for zero.
fn hidden(body: &str, name: &str) -> String {
    let mut shown = String::new();
    let mut rest = body;
    while let Some(at) = rest.find(name) {
        let (before, after) = rest.split_at(at + name.len());
        let digits = after.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap();
        shown += before;
        shown += if &after[..digits] == "0" { "0" } else { "<n>" };
        rest = &after[digits..];
    }
    shown + rest
}

pub(crate) fn head(method: Method, path: &str) -> Head<'_> {
    Head { authorization: Some(KEY), ..Head::new(method, path.as_bytes()) }
}

/// Tables for what is written to all views.
pub(crate) fn streams(definitions: &Definitions) -> StreamTables {
    StreamTables::default().with(tables_of(definitions))
}

/// A table that is written to: its name, its schema, and how rows of a key become one.
pub(crate) type Streamed = (String, Schema, Option<Arc<dyn Combine>>);

/// Every view's.
pub(crate) fn tables_of(definitions: &Definitions) -> Vec<Streamed> {
    let of = |workspace: &Workspace| {
        let name = |view: &FeatureView| FeatureView::table_name(&workspace.name, &view.name);
        let combine = |view: &FeatureView| {
            let aggregates = Arc::new(view.aggregates()?);
            let edge = view.aggregation.as_ref()?.leading_edge;
            let combine = CombineTiles::new(aggregates, edge, view.schema(), &name(view), Arc::default());
            Some(Arc::new(combine) as Arc<dyn Combine>)
        };
        let views = workspace.feature_views.values();
        views.map(|view| (name(view), view.schema(), combine(view))).collect::<Vec<_>>()
    };
    definitions.workspaces.values().flat_map(of).collect()
}

/// Builds a view's table and opens it.
pub(crate) fn table(folder: &TempDir, name: &str, view: &FeatureView, rows: &Rows) -> Table {
    Table::open(folder.path(), &built(folder.path(), name, view, rows)).unwrap()
}

/// Builds a view's table.
pub(crate) fn built(root: &Path, name: &str, view: &FeatureView, rows: &Rows) -> TableEntry {
    let schema = Arc::new(view.schema());
    let options = BuildOptions {
        root: root.to_owned(),
        table: name.to_owned(),
        memory_bytes: 64 << 20,
        workers: 1,
        now_us: SAMPLE_US,
    };
    let builder = TableBuilder::new(Arc::clone(&schema), options).unwrap();
    let mut sink = builder.sink();
    for (ordinal, (parts, event_time_us, values)) in (0..).zip(rows) {
        sink.push(&row_of(&schema, parts, *event_time_us, values), ordinal).unwrap();
    }
    builder.finish(vec![sink], &|_, _| {}).unwrap().0
}

/// An encoded row.
pub(crate) fn row_of(schema: &Schema, parts: &[Value], event_time_us: i64, values: &[Value]) -> Vec<u8> {
    let mut writer = RowWriter::new(schema);
    writer.begin(&key_of(schema, parts), event_time_us);
    for (column, value) in values.iter().enumerate() {
        writer.value(column, value);
    }
    writer.finish().unwrap().to_vec()
}

/// An encoded key.
pub(crate) fn key_of(schema: &Schema, parts: &[Value]) -> Vec<u8> {
    let types: Vec<KeyType> = schema.key.iter().map(|part| part.key_type).collect();
    let mut key = Vec::new();
    let mut encoding = KeyWriter::new(&types, &mut key);
    for part in parts {
        match part {
            Value::Int64(value) => encoding.int64(*value),
            Value::String(value) => encoding.string(value.as_bytes()),
            other => panic!("{other:?} is no key"),
        }
    }
    assert!(encoding.finish());
    key
}

pub(crate) fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}
