//! What is served: the tables and definitions of one generation, and how the next one takes their place.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use anyhow::{Context as _, Result};
use gannet_api::{Catalog, Shared, definitions::model::FeatureView};
use gannet_store::{
    Table,
    directory::{DataDirectory, Manifest, TableEntry},
};

use crate::repository::{self, Applied};

/// One generation, opened and compiled.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) generation: u64,
    pub(super) catalog: Arc<Catalog>,
    tables: BTreeMap<String, Open>,
    /// Views whose table has another shape than their definition: not served until they are materialized.
    pub(super) outdated: Vec<String>,
}

#[derive(Debug, Clone)]
struct Open {
    entry: TableEntry,
    table: Arc<Table>,
}

impl Live {
    /// Opens what `data` holds now; `None` when nothing was published. Tables that are the same as in `before` are shared
    /// with it. Headers and roots are checked here; blocks are checked when they are read.
    /// `slow` are tables whose reads are held back.
    pub(super) fn open(
        data: &DataDirectory,
        before: Option<&Self>,
        shared: &Shared,
        slow: &BTreeMap<String, Duration>,
    ) -> Result<Option<Self>> {
        let Some(manifest) = data.current()? else { return Ok(None) };
        let Some(applied) = repository::applied(data, Some(&manifest))? else { return Ok(None) };
        let outdated = outdated(&manifest, &applied);
        let mut tables = BTreeMap::new();
        for (name, entry) in manifest.tables {
            let known = before.and_then(|before| before.tables.get(&name)).filter(|open| open.entry == entry);
            let open = match known {
                Some(open) => open.clone(),
                None => {
                    let table = Table::open(data.root(), &entry).with_context(|| format!("table {name}"))?;
                    Open { entry, table: Arc::new(table) }
                }
            };
            tables.insert(name, open);
        }
        let served: BTreeMap<_, _> = tables
            .iter()
            .filter(|(name, _)| !outdated.contains(name))
            .map(|(name, open)| (name.clone(), Arc::clone(&open.table)))
            .collect();
        let catalog = Catalog::compile(&applied.definitions, served, manifest.generation, shared.metrics());
        let catalog = Arc::new(catalog.with_slow_tables(slow));
        Ok(Some(Self { generation: manifest.generation, catalog, tables, outdated }))
    }

    /// Tables that `before` does not share, by name.
    pub(super) fn new_tables(&self, before: Option<&Self>) -> Vec<(String, Arc<Table>)> {
        let shared = |name: &str, open: &Open| {
            let known = before.and_then(|before| before.tables.get(name));
            known.is_some_and(|known| Arc::ptr_eq(&known.table, &open.table))
        };
        let new = self.tables.iter().filter(|(name, open)| !shared(name, open));
        new.map(|(name, open)| (name.clone(), Arc::clone(&open.table))).collect()
    }

    /// All tables, by name; whoever gets them does not keep them.
    pub(super) fn tables(&self) -> Vec<(String, Weak<Table>)> {
        self.tables.iter().map(|(name, open)| (name.clone(), Arc::downgrade(&open.table))).collect()
    }

    /// Whether this table is one of these, and not only one of the same name.
    pub(super) fn holds(&self, name: &str, table: &Arc<Table>) -> bool {
        self.tables.get(name).is_some_and(|open| Arc::ptr_eq(&open.table, table))
    }

    /// Whether a table of this name is there and fits its definition.
    pub(super) fn serves(&self, name: &str) -> bool {
        self.tables.contains_key(name) && !self.outdated.iter().any(|outdated| outdated == name)
    }

    /// Bytes of all rows, without their indexes.
    pub(super) fn rows_bytes(&self) -> u64 {
        self.tables.values().map(|open| open.table.rows_bytes()).sum()
    }

    pub(super) fn rows(&self) -> u64 {
        self.tables.values().map(|open| open.entry.rows).sum()
    }

    pub(super) fn table_count(&self) -> usize {
        self.tables.len()
    }

    /// Whether nobody else holds what this holds. Until then it must be kept: whoever drops the last reference unmaps the
    /// files, and that must not be a serving core.
    pub(super) fn is_unused(&self) -> bool {
        Arc::strong_count(&self.catalog) == 1
    }
}

fn outdated(manifest: &Manifest, applied: &Applied) -> Vec<String> {
    let mut outdated = Vec::new();
    for (workspace, definitions) in &applied.definitions.workspaces {
        for view in definitions.feature_views.values() {
            let name = FeatureView::table_name(workspace, &view.name);
            if manifest.tables.get(&name).is_some_and(|entry| entry.schema != view.schema()) {
                outdated.push(name);
            }
        }
    }
    outdated
}
