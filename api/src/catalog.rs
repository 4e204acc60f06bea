//! stub
use std::{collections::BTreeMap, sync::Arc};

use gannet_store::Table;

use crate::{definitions::model::Definitions, metrics::Metrics};

/// Everything that is served: every service of every workspace, compiled against the tables of one generation.
#[derive(Debug)]
pub struct Catalog {}

impl Catalog {
    /// Compiles every service of every workspace. `tables` by name (`<workspace>/<view>` with `:` written `@`); a view
    /// without a table is served as 404 `… has no materialized data …`.
    pub fn compile(
        _definitions: &Definitions,
        _tables: BTreeMap<String, Arc<Table>>,
        _generation: u64,
        _metrics: &Metrics,
    ) -> Self {
        Self {}
    }
}
