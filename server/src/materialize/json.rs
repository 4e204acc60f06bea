//! JSON values as values of the declared type.

use std::collections::BTreeMap;

use gannet_store::{ColumnType, Value};
use serde_json::Value as Json;

use super::{
    cast::{float32_of_integer, float64_of_integer, narrow, whole},
    fault::Fault,
    text,
};

pub(super) fn boolean(json: &Json) -> Result<bool, Fault> {
    json.as_bool().ok_or_else(|| Fault::wrong(json, "true or false"))
}

/// A number, or its digits in a string: what JavaScript writes beyond 2^53.
pub(super) fn int64(json: &Json) -> Result<i64, Fault> {
    match json {
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Ok(value),
            (None, Some(value)) => Err(Fault::range(value, "int64")),
            (None, None) => whole(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(digits) => text::int64(digits),
        _ => Err(Fault::wrong(json, "an integer")),
    }
}

/// A number, or a string with a number or `NaN`, `Infinity`, `-Infinity`.
pub(super) fn float64(json: &Json) -> Result<f64, Fault> {
    match json {
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => float64_of_integer(value),
            (None, Some(value)) => Err(Fault::range(value, "float64 exactly")),
            (None, None) => number.as_f64().ok_or_else(|| Fault::wrong(json, "a number")),
        },
        Json::String(word) => text::float64(word),
        _ => Err(Fault::wrong(json, "a number")),
    }
}

pub(super) fn float32(json: &Json) -> Result<f32, Fault> {
    match json.as_i64() {
        Some(value) => float32_of_integer(value),
        None => narrow(float64(json)?),
    }
}

pub(super) fn timestamp(json: &Json) -> Result<i64, Fault> {
    text::timestamp(string(json).map_err(|_| Fault::wrong(json, "an ISO 8601 timestamp"))?)
}

pub(super) fn string(json: &Json) -> Result<&str, Fault> {
    json.as_str().ok_or_else(|| Fault::wrong(json, "a string"))
}

/// Any type, nested ones included. Structs are objects (a field that is missing is null) or positional lists.
pub(super) fn value(json: &Json, column_type: &ColumnType) -> Result<Value, Fault> {
    if json.is_null() {
        return Ok(Value::Null);
    }
    Ok(match column_type {
        ColumnType::Boolean => Value::Boolean(boolean(json)?),
        ColumnType::Int64 => Value::Int64(int64(json)?),
        ColumnType::Float32 => Value::Float32(float32(json)?),
        ColumnType::Float64 => Value::Float64(float64(json)?),
        ColumnType::String => Value::String(string(json)?.to_owned()),
        ColumnType::Binary => return Err(Fault::wrong(json, "no binary value")), // no column of a source is declared so
        ColumnType::Timestamp => Value::Timestamp(timestamp(json)?),
        ColumnType::Array(element) => {
            let list = json.as_array().ok_or_else(|| Fault::wrong(json, "a list"))?;
            Value::Array(list.iter().map(|json| value(json, element)).collect::<Result<_, _>>()?)
        }
        ColumnType::Struct(fields) => match json {
            Json::Object(object) => {
                let field = |name: &str| object.get(name).unwrap_or(&Json::Null);
                Value::Struct(fields.iter().map(|f| value(field(&f.name), &f.column_type)).collect::<Result<_, _>>()?)
            }
            Json::Array(list) if list.len() == fields.len() => Value::Struct(
                fields.iter().zip(list).map(|(f, json)| value(json, &f.column_type)).collect::<Result<_, _>>()?,
            ),
            _ => return Err(Fault::wrong(json, &format!("an object, or a list of {} values", fields.len()))),
        },
        ColumnType::Map(element) => {
            let object = json.as_object().ok_or_else(|| Fault::wrong(json, "an object"))?;
            let sorted: BTreeMap<_, _> = object.iter().collect(); // the store wants entries in key order
            Value::Map(
                sorted
                    .into_iter()
                    .map(|(key, json)| Ok((key.clone(), value(json, element)?)))
                    .collect::<Result<_, Fault>>()?,
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use gannet_store::Field;
    use serde_json::json;

    use super::*;

    fn check(json: Json, column_type: &ColumnType, expected: Option<Value>) {
        assert_eq!(value(&json, column_type).ok(), expected, "{json}");
    }

    #[test]
    fn scalars() {
        check(json!("9007199254740993"), &ColumnType::Int64, Some(Value::Int64(9_007_199_254_740_993)));
        check(json!(3.0), &ColumnType::Int64, Some(Value::Int64(3)));
        check(json!(u64::MAX), &ColumnType::Int64, None);
        check(json!("-Infinity"), &ColumnType::Float64, Some(Value::Float64(f64::NEG_INFINITY)));
        check(json!(2), &ColumnType::Float32, Some(Value::Float32(2.0)));
        check(json!(16_777_217), &ColumnType::Float32, None);
        check(json!(1), &ColumnType::Boolean, None);
        check(json!(1), &ColumnType::String, None);
        check(json!(1), &ColumnType::Timestamp, None);
        check(json!("1970-01-01T00:00:01Z"), &ColumnType::Timestamp, Some(Value::Timestamp(1_000_000)));
        check(json!(null), &ColumnType::Boolean, Some(Value::Null));
    }

    #[test]
    fn nested_values() {
        let field = |name: &str, column_type| Field { name: name.to_owned(), column_type };
        let pair = ColumnType::Struct(vec![field("a", ColumnType::Int64), field("b", ColumnType::String)]);
        let expected = Value::Struct(vec![Value::Int64(1), Value::Null]);
        check(json!({"a": 1, "c": true}), &pair, Some(expected.clone()));
        check(json!([1, null]), &pair, Some(expected));
        check(json!([1]), &pair, None);

        let map = ColumnType::Map(Box::new(ColumnType::Float64));
        let entries = vec![("a".to_owned(), Value::Float64(2.0)), ("b".to_owned(), Value::Null)];
        check(json!({"b": null, "a": 2}), &map, Some(Value::Map(entries)));

        let lists = ColumnType::Array(Box::new(ColumnType::Array(Box::new(ColumnType::Boolean))));
        let inner = Value::Array(vec![Value::Boolean(true), Value::Null]);
        check(json!([[true, null], null]), &lists, Some(Value::Array(vec![inner, Value::Null])));
        check(json!([["x"]]), &lists, None);
    }
}
