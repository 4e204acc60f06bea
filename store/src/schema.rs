//! The shape of a table: typed key parts and typed, nullable columns in a fixed order.

use serde::{Deserialize, Serialize};

/// The type of one part of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyType {
    Int64,
    String,
}

/// The type of a column or of what is nested in one. Every value at every level may be null.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    Boolean,
    Int64,
    Float32,
    Float64,
    String,
    /// Microseconds since the Unix epoch, UTC.
    Timestamp,
    /// Bytes that mean something only to whoever wrote them. Never in what is nested.
    Binary,
    Array(Box<Self>),
    /// Fields in declared order; served as a positional list.
    Struct(Vec<Field>),
    /// Keys are strings.
    Map(Box<Self>),
}

/// A named column, or a named field of a struct.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Field {
    pub name: String,
    pub column_type: ColumnType,
}

/// One part of a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyPart {
    pub name: String,
    pub key_type: KeyType,
}

/// The shape of a table. The order of `key` is the order in which key parts are encoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Schema {
    pub key: Vec<KeyPart>,
    pub columns: Vec<Field>,
}
