//! The service of `fraud_bench` without sockets: what a shard drives.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use gannet_api::{
    Catalog, Core, Settings, Shared, State,
    auth::{KeyRecord, KeyTable},
    definitions::{self, model::Definitions},
};
use gannet_engine::{
    Finished, Now, Service, Ticket,
    http::{Inbound, Step},
    limits::Limits,
};
use gannet_store::{
    Error, Schema, Table,
    levels::Levels,
    log::Sequence,
    overlay::{Overlay, OverlaySettings, OverlayWriter, Put},
    plane::StreamTables,
};

use crate::{tables, tiles};

const DEFINITIONS: &str = include_str!("../../examples/fraud/definitions/bench.toml");
const ENTITY: &str = "workspace = \"prod\"\n[entities.user]\njoin_keys = { user_id = \"string\" }\n";

/// One core serving a service named `fraud_bench` for the key `quickstart`.
#[derive(Debug)]
pub struct Serving {
    core: Core,
    limits: Limits,
    out: Vec<u8>,
    tickets: Vec<Ticket>,
    now: Now,
    /// Keeps what was written.
    _written: Option<OverlayWriter>,
}

/// What the core reads beside files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It takes no writes.
    Never,
    /// It takes some; none came.
    Nothing,
    /// A newer row for each of so many users, the first ones, in every view.
    Recently { users: u64 },
}

impl Serving {
    /// Builds tables for `users` users below `root`.
    pub fn start(root: &Path, users: u64) -> Result<Self, Error> {
        let tables = tables::build(root, users)?;
        for table in &tables {
            table.verify(&mut |_| {})?;
        }
        Ok(Self::over(&tables, Written::Never))
    }

    /// Serves these tables, of [`tables::build`].
    pub fn over(tables: &[Arc<Table>], written: Written) -> Self {
        let files = [("bench.toml", DEFINITIONS), ("user.toml", ENTITY)].map(|(n, t)| (n.to_owned(), t.to_owned()));
        let definitions = definitions::check(&files).expect("the example's definitions are sound");
        let named: Vec<_> =
            tables::VIEWS.iter().map(|view| format!("prod/{view}")).zip(tables.iter().map(Arc::clone)).collect();
        Self::with(&definitions, &named, written, &mut |table, user| tables::newer(&tables[table], user))
    }

    /// Serves this table, of [`tiles::build`].
    pub fn over_tiles(table: &Arc<Table>, written: Written) -> Self {
        let mut rows = tiles::Rows::new();
        let named = [(tiles::NAME.to_owned(), Arc::clone(table))];
        Self::with(&tiles::definitions(), &named, written, &mut |_, user| rows.newer(user).to_vec())
    }

    /// `newer` makes the row that was written of a table's user.
    fn with(
        definitions: &Definitions,
        tables: &[(String, Arc<Table>)],
        written: Written,
        newer: &mut dyn FnMut(usize, u64) -> Vec<u8>,
    ) -> Self {
        let shared = Arc::new(Shared::new(Settings::default(), Vec::new()));
        let schemas = tables.iter().map(|(name, table)| (name.clone(), Schema::clone(table.schema()), None));
        let streams = StreamTables::default().with(schemas);
        let base = |(name, table): &(String, Arc<Table>)| {
            (name.clone(), Levels { base: Some(Arc::clone(table)), delta: None })
        };
        let levels: BTreeMap<_, _> = tables.iter().map(base).collect();
        shared.publish(Some(Arc::new(Catalog::compile(definitions, levels, &streams, 1, shared.metrics()))));
        let keys = KeyTable::new(vec![KeyRecord::of("quickstart", "", 0)]).expect("one key cannot clash");
        shared.set_keys(keys);
        shared.set_state(State::Ready);
        let now = Now { monotonic_ns: 1_000_000, unix_us: 1_767_300_000_000_000 };
        let (out, tickets) = (Vec::with_capacity(1 << 20), Vec::with_capacity(1024));
        let (mut core, mut kept) = (Core::new(shared, 0), None);
        if written != Written::Never {
            let (overlay, mut writer) = Overlay::new(OverlaySettings { budget_bytes: 1 << 30, seed: 42 });
            if let Written::Recently { users } = written {
                for (table, (name, _)) in tables.iter().enumerate() {
                    let id = streams.get(name).expect("all views take writes").id;
                    for user in 0..users {
                        let row = newer(table, user);
                        let put = writer.put(id, Sequence(user), &row).expect("it is a row");
                        assert_eq!(put, Put::New, "there is room");
                    }
                }
            }
            core = core.with_overlay(&overlay);
            kept = Some(writer);
        }
        Self { core, limits: Limits::default(), out, tickets, now, _written: kept }
    }

    /// Frames and begins every request: head, key, JSON, plan, hashes.
    pub fn begin(&mut self, requests: &mut [Vec<u8>]) {
        self.core.turn(self.now);
        self.tickets.clear();
        for bytes in requests {
            let mut inbound = Inbound::new();
            let Step::Request { head, body, .. } = inbound.next(&self.limits, bytes) else {
                panic!("the canonical request is whole");
            };
            let request = gannet_engine::http::Request { head, body, seen_ns: self.now.monotonic_ns, asked: false };
            self.tickets.push(self.core.begin(self.now, request));
        }
    }

    /// Probes and reads the rows of all that were begun.
    pub fn gather(&mut self) {
        self.core.gather(self.now);
    }

    /// Renders every answer; bytes rendered.
    pub fn finish(&mut self) -> usize {
        self.out.clear();
        for ticket in &self.tickets {
            let finished = self.core.finish(self.now, *ticket, &mut self.out);
            assert!(matches!(finished, Finished::Answer(answer) if answer.status.0 == 200), "all rows are in memory");
        }
        self.core.turned(self.now);
        self.out.len()
    }

    /// What `finish` rendered.
    pub fn rendered(&self) -> &[u8] {
        &self.out
    }
}
