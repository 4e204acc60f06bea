//! What of a view the store sees: its schema, its table's name, and a fingerprint of all that its stored rows depend on.

use std::sync::{Arc, atomic::AtomicU64};

use gannet_store::{ColumnType, Field, Schema, plane::Combine, schema::KeyPart};
use sha2::{Digest, Sha256};

use super::{
    model::{FeatureView, SourceFormat},
    types,
};
use crate::aggregates::{Aggregates, CombineTiles};

impl FeatureView {
    /// The shape of the view's table: key parts are the join keys, columns the features, each sorted by name. With aggregates there is one
    /// column, of tiles.
    pub fn schema(&self) -> Schema {
        let key = self.join_keys.iter().map(|key| KeyPart { name: key.name.clone(), key_type: key.key_type });
        let column = |feature: &super::model::Feature| Field {
            name: feature.name.clone(),
            column_type: feature.data_type.clone(),
        };
        let columns = match self.aggregates() {
            None => self.features.iter().map(column).collect(),
            Some(aggregates) => {
                // another shape is another schema, so rows never meet a shape that is not theirs
                let name = format!("tiles_{:08x}", aggregates.fingerprint());
                vec![Field { name, column_type: ColumnType::Binary }]
            }
        };
        Schema { key: key.collect(), columns }
    }

    /// The shape of the rows that single events are: the view's own, and with aggregates what these are computed of.
    pub fn event_schema(&self) -> Schema {
        let schema = self.schema();
        match self.aggregates() {
            Some(aggregates) => Schema { columns: aggregates.event_columns(), ..schema },
            None => schema,
        }
    }

    /// Its aggregations, compiled; `None` where the newest row is served.
    pub fn aggregates(&self) -> Option<Aggregates> {
        let specification = &self.aggregation.as_ref()?.specification;
        Some(Aggregates::new(specification).unwrap_or_else(|faults| {
            panic!("the aggregations of {} were checked with the definitions: {faults:?}", self.name)
        }))
    }

    /// How rows of the view's table become one; `None`: of several rows of a key the newest counts. `rows_cut` counts rows that had
    /// become too long and lost their oldest tiles.
    pub fn combine(&self, rows_cut: &Arc<AtomicU64>) -> Option<Arc<dyn Combine>> {
        let aggregation = self.aggregation.as_ref()?;
        let (aggregates, rows_cut) = (Arc::new(self.aggregates()?), Arc::clone(rows_cut));
        Some(Arc::new(CombineTiles::new(aggregates, aggregation.leading_edge, self.schema(), &self.name, rows_cut)))
    }

    /// The name of a view's table: `prod/plane_delays`, or `prod/plane_delays@v2` for a variant, since a colon in a file
    /// name confuses tools. No two views share one: `@` and `/` are not legal in names.
    pub fn table_name(workspace: &str, view: &str) -> String {
        format!("{workspace}/{}", view.replace(':', "@"))
    }

    /// Changes exactly when the view's stored rows no longer follow from its definition: when its join keys, its features
    /// (name, type, column), its source or its timestamp do. Not when its ttl, texts or place in a vector do. With aggregates, what tiles hold
    /// and how long they are kept takes the place of the features: another name or a shorter offset changes nothing that is stored.
    pub fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        // every part with its length, so that no two lists of parts read the same
        let mut part = |text: &str| digest.update(format!("{}:{text},", text.len()));
        part("feature view, version 1");
        if let Some(source) = &self.source {
            part(format_name(source.format));
            part(&source.path);
        }
        part(&self.timestamp);
        part(&self.join_keys.len().to_string());
        for key in &self.join_keys {
            part(&key.name);
            part(key_type_name(key.key_type));
        }
        if let (Some(aggregation), Some(aggregates)) = (&self.aggregation, self.aggregates()) {
            let specification = &aggregation.specification;
            part(&format!("tiles {:08x}", aggregates.fingerprint()));
            part(specification.secondary_key.as_deref().unwrap_or_default());
            match aggregates.reach_us() {
                Some(reach_us) => part(&reach_us.to_string()),
                None => part(&format!("since {}", specification.lifetime_start_us.unwrap_or_default())),
            }
            for column in aggregates.columns() {
                part(&types::text(&column.column_type));
            }
        }
        for feature in self.features.iter().filter(|_| self.aggregation.is_none()) {
            part(&feature.name);
            part(&types::text(&feature.data_type));
            part(&feature.column);
        }
        digest.finalize()[..FINGERPRINT_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// As definitions write it.
pub(super) fn format_name(format: SourceFormat) -> &'static str {
    match format {
        SourceFormat::Parquet => "parquet",
        SourceFormat::Csv => "csv",
        SourceFormat::Ndjson => "ndjson",
    }
}

/// As definitions write it.
pub(super) fn key_type_name(key_type: gannet_store::KeyType) -> &'static str {
    match key_type {
        gannet_store::KeyType::Int64 => "int64",
        gannet_store::KeyType::String => "string",
    }
}

/// Enough that two definitions never share one by accident.
const FINGERPRINT_BYTES: usize = 16;
