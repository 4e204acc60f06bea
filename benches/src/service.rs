//! The service of `fraud_bench` without sockets: what a shard drives.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use gannet_api::{
    Catalog, Core, Settings, Shared, State,
    auth::{KeyRecord, KeyTable},
    definitions,
};
use gannet_engine::{
    Finished, Now, Service, Ticket,
    http::{Inbound, Step},
    limits::Limits,
};
use gannet_store::Error;

use crate::tables;

const DEFINITIONS: &str = include_str!("../../examples/fraud/definitions/bench.toml");
const ENTITY: &str = "workspace = \"prod\"\n[entities.user]\njoin_keys = { user_id = \"string\" }\n";

/// One core serving `fraud_bench` for the key `quickstart`.
#[derive(Debug)]
pub struct Serving {
    core: Core,
    limits: Limits,
    out: Vec<u8>,
    tickets: Vec<Ticket>,
    now: Now,
}

impl Serving {
    /// Builds tables for `users` users below `root`.
    pub fn start(root: &Path, users: u64) -> Result<Self, Error> {
        let files = [("bench.toml", DEFINITIONS), ("user.toml", ENTITY)].map(|(n, t)| (n.to_owned(), t.to_owned()));
        let definitions = definitions::check(&files).expect("the example's definitions are sound");
        let shared = Arc::new(Shared::new(Settings::default(), Vec::new()));
        let names = tables::VIEWS.iter().map(|view| format!("prod/{view}"));
        let tables: BTreeMap<_, _> = names.zip(tables::build(root, users)?).collect();
        for table in tables.values() {
            table.verify(&mut |_| {})?;
        }
        shared.publish(Some(Arc::new(Catalog::compile(&definitions, tables, 1, shared.metrics()))));
        let keys = KeyTable::new(vec![KeyRecord::of("quickstart", "", 0)]).expect("one key cannot clash");
        shared.set_keys(keys);
        shared.set_state(State::Ready);
        let now = Now { monotonic_ns: 1_000_000, unix_us: 1_767_300_000_000_000 };
        let (out, tickets) = (Vec::with_capacity(1 << 20), Vec::with_capacity(1024));
        Ok(Self { core: Core::new(shared, 0), limits: Limits::default(), out, tickets, now })
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
