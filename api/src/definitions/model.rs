//! What the definitions mean, once they were checked. Everything here is consistent: every reference resolves, every name
//! is legal, every type is known.

use std::{collections::BTreeMap, num::NonZeroU32};

use gannet_store::{ColumnType, Field, KeyType};
use serde::{Deserialize, Serialize};

use crate::{
    aggregates::{LeadingEdge, Specification},
    budget::LatencyBudget,
};

/// All workspaces of one applied version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definitions {
    pub workspaces: BTreeMap<String, Workspace>,
}

/// One workspace; names are unique within it by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspace {
    pub name: String,
    pub entities: BTreeMap<String, Entity>,
    pub stream_sources: BTreeMap<String, StreamSource>,
    pub feature_views: BTreeMap<String, FeatureView>,
    pub feature_services: BTreeMap<String, FeatureService>,
}

/// Something that features describe, found by its join keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    pub name: String,
    pub description: String,
    pub tags: BTreeMap<String, String>,
    /// In declared order.
    pub join_keys: Vec<JoinKey>,
}

/// One join key with its type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinKey {
    pub name: String,
    pub key_type: KeyType,
}

/// What records may be pushed to: each goes to every view that names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamSource {
    pub name: String,
    pub description: String,
    pub tags: BTreeMap<String, String>,
    /// The field with the event time, of type timestamp. One of `fields`.
    pub timestamp: String,
    /// What a record may hold, sorted by name. A string or int64 that is a join key of a view must be there and not null.
    pub fields: Vec<Field>,
}

/// A feature view: columns of a source, newest event time per key; or aggregates of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureView {
    /// With its variant, if any: `plane_delays` or `plane_delays:v2`.
    pub name: String,
    pub description: String,
    pub tags: BTreeMap<String, String>,
    /// Entity names, in declared order.
    pub entities: Vec<String>,
    /// The join keys of all its entities, sorted by name; the store's key parts, in this order.
    pub join_keys: Vec<JoinKey>,
    /// The batch source's event-time column. Empty when the source has none, or there is no source: its rows then carry the time of
    /// materialization. Of streamed records the stream source's counts.
    pub timestamp: String,
    /// What `materialize` reads. A view has this, or a stream, or both.
    pub source: Option<Source>,
    /// The stream source whose records it takes.
    pub stream: Option<String>,
    /// `None`: the newest row of each key is served.
    pub aggregation: Option<Aggregation>,
    /// Values older than this are not served; `None` is for ever. Microseconds.
    pub ttl_us: Option<i64>,
    /// Sorted by name (UTF-8 bytes); the store's columns, in this order.
    pub features: Vec<Feature>,
    /// Served before the views that are not, and without `effectiveTime`: the place that realtime views have.
    pub first: bool,
}

/// How a view aggregates; its features are what [`crate::aggregates::Aggregates::features`] says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aggregation {
    pub specification: Specification,
    pub leading_edge: LeadingEdge,
}

/// Where a view's rows come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    pub format: SourceFormat,
    /// As written: relative to the definitions folder, or absolute. May hold `*` in its last part.
    pub path: String,
}

/// File formats that `materialize` reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceFormat {
    Parquet,
    Csv,
    /// One JSON object a line.
    Ndjson,
}

/// One feature of a view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feature {
    pub name: String,
    /// The source's column; the name unless said otherwise.
    pub column: String,
    pub data_type: ColumnType,
    pub description: String,
    pub tags: BTreeMap<String, String>,
}

/// A named feature vector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureService {
    /// With its variant, if any.
    pub name: String,
    pub description: String,
    pub tags: BTreeMap<String, String>,
    /// The vector's order: views marked `first` before the others, each part sorted by namespace (UTF-8 bytes).
    /// Namespaces are unique.
    pub selections: Vec<Selection>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_budget: Option<LatencyBudget>,
    /// How many requests for it may be in progress in a process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency_max: Option<NonZeroU32>,
}

/// What a service takes from one view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// First half of the served names: the view's name, or what `as` says.
    pub namespace: String,
    pub view: String,
    /// Feature names, sorted, never empty.
    pub features: Vec<String>,
    /// For each of the view's join keys, in the view's order, the key that callers send (the same unless renamed).
    pub join_keys: Vec<String>,
}
