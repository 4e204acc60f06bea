//! The view that most tests aggregate: a column of each type, and every function that there is of it.

use gannet_store::ColumnType;

use crate::aggregates::{
    Aggregates, Aggregation, Column, FoldOptions, Folded, Function, Input, Item, Percentile, Row, Specification,
    UncheckedRow, Window,
};

/// An event with a value for each of [`columns`].
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    pub(super) time_us: i64,
    pub(super) key: Option<&'static str>,
    pub(super) values: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Boolean(bool),
    Int64(i64),
    Float32(f32),
    Float64(f64),
    Bytes(Vec<u8>),
    List(Vec<Self>),
}

impl Value {
    pub(super) fn input(&self) -> Input<'_> {
        match self {
            Self::Null => Input::Null,
            Self::Boolean(value) => Input::Boolean(*value),
            Self::Int64(value) => Input::Int64(*value),
            Self::Float32(value) => Input::Float32(*value),
            Self::Float64(value) => Input::Float64(*value),
            Self::Bytes(value) => Input::Bytes(value),
            Self::List(_) => panic!("events hold no lists"),
        }
    }
}

/// Sorted by name, as [`Aggregates::columns`] are.
pub(super) fn columns() -> Vec<Column> {
    let column = |name: &str, column_type| Column { name: name.to_owned(), column_type };
    vec![
        column("amount", ColumnType::Float64),
        column("flag", ColumnType::Boolean),
        column("shop", ColumnType::String),
        column("small", ColumnType::Float32),
        column("tags", ColumnType::Array(Box::new(ColumnType::String))),
        column("units", ColumnType::Int64),
    ]
}

pub(super) fn functions() -> Vec<Function> {
    let percentile =
        |share, precision| Function::ApproxPercentile { percentile: Percentile::new(share).unwrap(), precision };
    vec![
        Function::Count,
        Function::Sum,
        Function::Mean,
        Function::Min,
        Function::Max,
        Function::VarSamp,
        Function::VarPop,
        Function::StddevSamp,
        Function::StddevPop,
        Function::Last,
        Function::First,
        Function::LastN(3),
        Function::FirstN(3),
        Function::LastN(7),
        Function::LastDistinct(3),
        Function::FirstDistinct(3),
        Function::ApproxCountDistinct { precision: 8 },
        Function::ApproxCountDistinct { precision: 4 },
        percentile(0.5, 100),
        percentile(0.9, 100),
        percentile(0.0, 20),
    ]
}

/// Every function of every column that it can be of, over each of these windows.
pub(super) fn everything(interval_us: Option<i64>, windows: &[Window], grouped: bool) -> Specification {
    let mut aggregations = Vec::new();
    for column in columns() {
        for function in functions().into_iter().filter(|function| function.output(&column.column_type).is_some()) {
            for window in windows {
                let name = format!("{}#{}", column.name, aggregations.len());
                aggregations.push(Aggregation {
                    column: column.name.clone(),
                    function,
                    window: *window,
                    name: Some(name),
                });
            }
        }
    }
    let secondary = Column { name: "ad".to_owned(), column_type: ColumnType::String };
    Specification {
        interval_us,
        lifetime_start_us: interval_us.map(|interval_us| -3 * interval_us),
        secondary_key: grouped.then(|| "ad".to_owned()),
        columns: columns().into_iter().chain([secondary]).collect(),
        aggregations,
        ..Specification::default()
    }
}

/// One aggregation of the column `amount`, with the name that follows.
pub(super) fn one(interval_us: Option<i64>, function: Function, windows: &[Window]) -> Specification {
    let aggregation =
        |window: &Window| Aggregation { column: "amount".to_owned(), function, window: *window, name: None };
    Specification {
        interval_us,
        columns: columns(),
        aggregations: windows.iter().map(aggregation).collect(),
        ..Specification::default()
    }
}

/// The row of these events, written in this order.
pub(super) fn row_of(aggregates: &Aggregates, events: &[Event]) -> Vec<u8> {
    let mut builder = aggregates.builder();
    for event in events {
        let values: Vec<Input<'_>> = event.values.iter().map(Value::input).collect();
        builder.add(event.time_us, event.key.map(str::as_bytes), &values);
    }
    let mut out = Vec::new();
    builder.encode(&mut out).unwrap();
    out
}

/// What is served of these rows, by feature.
pub(super) fn fold(aggregates: &Aggregates, rows: &[Vec<u8>], options: FoldOptions) -> Vec<Value> {
    let rows: Vec<Row<'_>> = rows.iter().map(|row| aggregates.row(UncheckedRow::new(row)).unwrap()).collect();
    let mut folded = Folded::default();
    aggregates.fold(&rows, options, &mut folded).unwrap();
    folded.values().iter().map(|item| value(*item, &folded, &rows)).collect()
}

pub(super) fn at(moment_us: i64) -> FoldOptions {
    FoldOptions { moment_us: Some(moment_us), coerce_null_counts_to_zero: false }
}

fn value(item: Item, folded: &Folded, rows: &[Row<'_>]) -> Value {
    match item {
        Item::Null => Value::Null,
        Item::Boolean(value) => Value::Boolean(value),
        Item::Int64(value) => Value::Int64(value),
        Item::Float32(value) => Value::Float32(value),
        Item::Float64(value) => Value::Float64(value),
        Item::Bytes { .. } => Value::Bytes(Folded::bytes(item, rows).to_vec()),
        Item::List { .. } => {
            Value::List(folded.elements(item).iter().map(|element| value(*element, folded, rows)).collect())
        }
    }
}
