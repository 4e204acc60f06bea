//! What a view wants of its source: which columns, as what.

use gannet_api::definitions::model::FeatureView;
use gannet_store::{ColumnType, Field, KeyType, Schema};

/// A view's columns by *slot*: join keys first, then the event time if there is one, then features; each in the order in
/// which the store wants them.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// Of the rows that records become: with aggregates not yet those of the table.
    pub(crate) schema: Schema,
    pub(crate) key_types: Vec<KeyType>,
    pub(crate) slots: Vec<Slot>,
    /// The slot of the event time.
    pub(crate) time: Option<usize>,
    /// The slot of the first feature.
    pub(crate) features: usize,
}

/// One column of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) column: String,
    pub(crate) column_type: ColumnType,
    /// What it is to the view, for messages.
    pub(crate) role: &'static str,
}

impl Shape {
    pub(crate) fn new(view: &FeatureView) -> Self {
        let mut slots: Vec<Slot> = Vec::new();
        for key in &view.join_keys {
            let column_type = match key.key_type {
                KeyType::Int64 => ColumnType::Int64,
                KeyType::String => ColumnType::String,
            };
            slots.push(Slot { column: key.name.clone(), column_type, role: "join key" });
        }
        let time = (!view.timestamp.is_empty()).then_some(slots.len());
        if time.is_some() {
            let column = view.timestamp.clone();
            slots.push(Slot { column, column_type: ColumnType::Timestamp, role: "event time" });
        }
        let features = slots.len();
        let schema = view.event_schema();
        if view.aggregation.is_some() {
            let aggregated = schema.columns.iter();
            let slot = |column: &Field| (column.name.clone(), column.column_type.clone());
            slots.extend(aggregated.map(slot).map(|(column, column_type)| Slot {
                column,
                column_type,
                role: "aggregated",
            }));
        } else {
            for feature in &view.features {
                let (column, column_type) = (feature.column.clone(), feature.data_type.clone());
                slots.push(Slot { column, column_type, role: "feature" });
            }
        }
        let key_types = view.join_keys.iter().map(|key| key.key_type).collect();
        Self { schema, key_types, slots, time, features }
    }
}

/// A type as it is written in definitions.
pub(crate) fn type_name(column_type: &ColumnType) -> String {
    match column_type {
        ColumnType::Boolean => "boolean".to_owned(),
        ColumnType::Int64 => "int64".to_owned(),
        ColumnType::Float32 => "float32".to_owned(),
        ColumnType::Float64 => "float64".to_owned(),
        ColumnType::String => "string".to_owned(),
        ColumnType::Binary => "binary".to_owned(),
        ColumnType::Timestamp => "timestamp".to_owned(),
        ColumnType::Array(element) => format!("array<{}>", type_name(element)),
        ColumnType::Map(value) => format!("map<string,{}>", type_name(value)),
        ColumnType::Struct(fields) => {
            let fields: Vec<_> = fields.iter().map(|f| format!("{}:{}", f.name, type_name(&f.column_type))).collect();
            format!("struct<{}>", fields.join(","))
        }
    }
}
