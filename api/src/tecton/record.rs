//! A record's fields, as JSON, become cells of their types.

use std::{collections::BTreeMap, fmt};

use gannet_store::{ColumnType, Field, Value as Stored};

use super::{
    json::{Members, Value},
    number,
};
use crate::{
    error::Quoted,
    ingest::{Cell, Reason, Rejected, SourceIntake, timestamp_us},
};

/// Reads a record: a cell for each field of its source, in their order, and its event time.
pub(super) fn read<'b>(
    source: &SourceIntake,
    members: Members<'_, 'b>,
    cells: &mut Vec<Cell<'b>>,
    seen: &mut Vec<bool>,
) -> Result<i64, Rejected> {
    cells.clear();
    cells.resize(source.fields.len(), Cell::Null);
    seen.clear();
    seen.resize(source.fields.len(), false);
    let schema = |message: fmt::Arguments<'_>| Rejected::new(Reason::Schema, message);
    for (name, value) in members {
        let Some(place) = source.field(name.text) else {
            let (name, expected) = (Quoted(name.text.as_bytes()), &source.names);
            return Err(schema(format_args!("unknown field {name}, expected one of: [{expected}]")));
        };
        let Field { name, column_type } = &source.fields[place];
        if std::mem::replace(&mut seen[place], true) {
            return Err(schema(format_args!("field {name} is there twice")));
        }
        cells[place] = match cell(value, column_type) {
            Ok(cell) => cell,
            Err(Misfit { found, expected, within }) => {
                let reason = if place == source.time { Reason::Timestamp } else { Reason::Schema };
                let message = format_args!("Unexpected value for {name}{within}. Expected {expected}, found {found}.");
                return Err(Rejected::new(reason, message));
            }
        };
    }
    match cells[source.time] {
        Cell::Timestamp(event_time_us) => Ok(event_time_us),
        _ => {
            let message = format_args!("timestamp field {} is missing", source.fields[source.time].name);
            Err(Rejected::new(Reason::Timestamp, message))
        }
    }
}

/// A value that is not of its type.
struct Misfit {
    found: String,
    expected: &'static str,
    /// Where in a nested value: `[3].lat`.
    within: String,
}

impl Misfit {
    fn new(found: Value<'_, '_>, expected: &'static str) -> Self {
        Self { found: Shown(found).to_string(), expected, within: String::new() }
    }

    fn at(mut self, step: fmt::Arguments<'_>) -> Self {
        self.within = format!("{step}{}", self.within);
        self
    }
}

fn cell<'b>(value: Value<'_, 'b>, column_type: &ColumnType) -> Result<Cell<'b>, Misfit> {
    Ok(match (column_type, value) {
        (_, Value::Null) => Cell::Null,
        (ColumnType::Boolean, value) => Cell::Boolean(boolean(value)?),
        (ColumnType::Int64, value) => Cell::Int64(int64(value)?),
        (ColumnType::Float32, value) => Cell::Float32(float32(value)?),
        (ColumnType::Float64, value) => Cell::Float64(float64(value)?),
        (ColumnType::String, Value::String(text)) => Cell::Text(text.text),
        (ColumnType::String, value) => return Err(Misfit::new(value, "string")),
        (ColumnType::Timestamp, value) => Cell::Timestamp(timestamp(value)?),
        (nested, value) => Cell::Nested(stored(value, nested)?),
    })
}

/// Any value, nested ones included.
fn stored(value: Value<'_, '_>, column_type: &ColumnType) -> Result<Stored, Misfit> {
    Ok(match (column_type, value) {
        (_, Value::Null) => Stored::Null,
        (ColumnType::Boolean, value) => Stored::Boolean(boolean(value)?),
        (ColumnType::Int64, value) => Stored::Int64(int64(value)?),
        (ColumnType::Float32, value) => Stored::Float32(float32(value)?),
        (ColumnType::Float64, value) => Stored::Float64(float64(value)?),
        (ColumnType::String, Value::String(text)) => Stored::String(text.text.to_owned()),
        (ColumnType::String, value) => return Err(Misfit::new(value, "string")),
        (ColumnType::Timestamp, value) => Stored::Timestamp(timestamp(value)?),
        (ColumnType::Array(element), Value::Array(elements)) => {
            let each = elements.enumerate();
            let each =
                each.map(|(at, value)| stored(value, element).map_err(|misfit| misfit.at(format_args!("[{at}]"))));
            Stored::Array(each.collect::<Result<_, _>>()?)
        }
        (ColumnType::Array(_), value) => return Err(Misfit::new(value, "array")),
        (ColumnType::Struct(fields), Value::Object(members)) => structure(fields, members)?,
        (ColumnType::Struct(fields), Value::Array(values)) if values.len() == fields.len() => {
            let each = fields.iter().zip(values);
            let each = each.map(|(field, value)| of_field(field, value));
            Stored::Struct(each.collect::<Result<_, _>>()?)
        }
        (ColumnType::Struct(_), value) => {
            return Err(Misfit::new(value, "struct, as an object or a list of all its fields"));
        }
        (ColumnType::Map(element), Value::Object(members)) => {
            let mut entries = BTreeMap::new(); // the store wants entries in key order
            for (name, value) in members {
                let at = |misfit: Misfit| misfit.at(format_args!(".{}", Quoted(name.text.as_bytes())));
                if entries.insert(name.text.to_owned(), stored(value, element).map_err(at)?).is_some() {
                    return Err(at(Misfit::new(value, "each key once")));
                }
            }
            Stored::Map(entries.into_iter().collect())
        }
        (ColumnType::Map(_), value) => return Err(Misfit::new(value, "map, as an object")),
        (ColumnType::Binary, value) => return Err(Misfit::new(value, "nothing")), // no field is declared so
    })
}

/// A field that is missing is null.
fn structure(fields: &[Field], members: Members<'_, '_>) -> Result<Stored, Misfit> {
    let mut values: Vec<Option<Stored>> = vec![None; fields.len()];
    for (name, value) in members {
        let at = |misfit: Misfit| misfit.at(format_args!(".{}", Quoted(name.text.as_bytes())));
        let Some(place) = fields.iter().position(|field| field.name == name.text) else {
            return Err(at(Misfit::new(value, "a field of the struct")));
        };
        if values[place].replace(of_field(&fields[place], value)?).is_some() {
            return Err(at(Misfit::new(value, "each field once")));
        }
    }
    Ok(Stored::Struct(values.into_iter().map(|value| value.unwrap_or(Stored::Null)).collect()))
}

fn of_field(field: &Field, value: Value<'_, '_>) -> Result<Stored, Misfit> {
    stored(value, &field.column_type).map_err(|misfit| misfit.at(format_args!(".{}", field.name)))
}

fn boolean(value: Value<'_, '_>) -> Result<bool, Misfit> {
    match value {
        Value::Boolean(value) => Ok(value),
        other => Err(Misfit::new(other, "boolean")),
    }
}

/// A number that is whole, or a decimal string. One that went through a double must be of those that a double tells apart.
fn int64(value: Value<'_, '_>) -> Result<i64, Misfit> {
    let whole = match value {
        Value::Int64(value) => Some(value),
        #[expect(clippy::cast_possible_truncation, reason = "whole, and below 2^53")]
        Value::Number(number) if number.fract() == 0.0 && number.abs() <= WHOLE_MAX => Some(number as i64),
        Value::String(text) => number::decimal(text.text.as_bytes()),
        _ => None,
    };
    whole.ok_or_else(|| Misfit::new(value, "int64"))
}

/// A number, whose nearest double counts, integers like all others: senders print the digits that tell a double apart from the next, and
/// not those that it has. One of the words for those that JSON cannot write; a string that is spelt as a number.
#[expect(clippy::cast_precision_loss, reason = "rounding is what declaring float64 asks for")]
fn float64(value: Value<'_, '_>) -> Result<f64, Misfit> {
    let number = match value {
        Value::Number(number) => Some(number),
        Value::Int64(value) => Some(value as f64),
        Value::Uint64(value) => Some(value as f64),
        Value::String(text) => spelt(text.text),
        _ => None,
    };
    number.ok_or_else(|| Misfit::new(value, "float64"))
}

#[expect(clippy::cast_precision_loss, reason = "rounding is what declaring float32 asks for")]
fn float32(value: Value<'_, '_>) -> Result<f32, Misfit> {
    let number = match value {
        Value::Int64(value) => Some(value as f32), // not by way of a double, which would round twice
        Value::Uint64(value) => Some(value as f32),
        other => float64(other).ok().and_then(narrow),
    };
    number.ok_or_else(|| Misfit::new(value, "float32"))
}

fn spelt(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        text => match text.strip_prefix('-') {
            Some(rest) => number::double(rest).map(|number| -number),
            None => number::double(text),
        }
        .filter(|number| number.is_finite()),
    }
}

/// The nearest float32; only a finite number that would become infinite is refused.
fn narrow(value: f64) -> Option<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "rounding is what declaring float32 asks for")]
    let narrow = value as f32;
    (narrow.is_finite() || !value.is_finite()).then_some(narrow)
}

fn timestamp(value: Value<'_, '_>) -> Result<i64, Misfit> {
    let moment = match value {
        Value::String(text) => timestamp_us(text.text),
        _ => None,
    };
    moment.ok_or_else(|| Misfit::new(value, "timestamp, such as \"2021-08-21T01:23:58.996Z\""))
}

/// A value as a message shows it: enough to recognise it.
struct Shown<'t, 'b>(Value<'t, 'b>);

impl fmt::Display for Shown<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("null"),
            Value::Boolean(value) => write!(f, "{value}"),
            Value::Int64(value) => write!(f, "{value}"),
            Value::Uint64(value) => write!(f, "{value}"),
            Value::Number(value) => write!(f, "{value:?}"),
            Value::String(text) => {
                let mut cut = text.text.char_indices().skip(SHOWN_CHARS_MAX).map(|(at, _)| at);
                match cut.next() {
                    Some(end) => write!(f, "\"{}…\"", &text.text[..end]),
                    None => write!(f, "\"{}\"", text.text),
                }
            }
            Value::Object(_) => f.write_str("an object"),
            Value::Array(elements) => write!(f, "a list of {}", elements.len()),
        }
    }
}

/// Up to here a double tells all whole numbers apart.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

const SHOWN_CHARS_MAX: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tecton::json::Json;

    #[track_caller]
    fn check(json: &str, column_type: &ColumnType, expected: Result<Stored, &str>) {
        let mut body = json.as_bytes().to_vec();
        let read = Json::new().read(&mut body, |value| {
            let told = |misfit: Misfit| format!("{}: {} for {}", misfit.within, misfit.found, misfit.expected);
            stored(value, column_type).map_err(told)
        });
        assert_eq!(format!("{:?}", read.unwrap()), format!("{expected:?}"), "{json}");
    }

    #[test]
    fn scalars_are_taken_when_their_type_can_hold_them() {
        use ColumnType::{Boolean, Float32, Float64, Int64, String, Timestamp};
        check("9223372036854775807", &Int64, Ok(Stored::Int64(i64::MAX)));
        check("\"-9223372036854775808\"", &Int64, Ok(Stored::Int64(i64::MIN)));
        check("9223372036854775808", &Int64, Err(": 9223372036854775808 for int64"));
        check("3.0", &Int64, Ok(Stored::Int64(3)));
        check("9007199254740992.0", &Int64, Ok(Stored::Int64(1 << 53)));
        check("9007199254740993.5", &Int64, Err(": 9007199254740994.0 for int64"));
        check("1e18", &Int64, Err(": 1e18 for int64"));
        check("\"3.0\"", &Int64, Err(": \"3.0\" for int64"));
        check("true", &Int64, Err(": true for int64"));
        check("\"NaN\"", &Float64, Ok(Stored::Float64(f64::NAN)));
        check("\"-Infinity\"", &Float32, Ok(Stored::Float32(f32::NEG_INFINITY)));
        check("\"-2.5e3\"", &Float64, Ok(Stored::Float64(-2500.0)));
        check("\"1e999\"", &Float64, Err(": \"1e999\" for float64"));
        check("\"inf\"", &Float64, Err(": \"inf\" for float64"));
        // As senders print doubles: JavaScript and Go write 2^62 as 4611686018427388000.
        check("4611686018427388000", &Float64, Ok(Stored::Float64(2_f64.powi(62))));
        check("9007199254740993", &Float64, Ok(Stored::Float64(2_f64.powi(53))));
        check("9223372036854775808", &Float64, Ok(Stored::Float64(2_f64.powi(63))));
        check("18446744073709551615", &Float64, Ok(Stored::Float64(2_f64.powi(64))));
        check("-9223372036854775809", &Float64, Ok(Stored::Float64(-2_f64.powi(63))));
        check("123456789012345678901234567890", &Float64, Ok(Stored::Float64(1.234_567_890_123_456_8e29)));
        check("\"4611686018427388000\"", &Float64, Ok(Stored::Float64(2_f64.powi(62))));
        check("16777217", &Float32, Ok(Stored::Float32(16_777_216.0)));
        check("9223372037400000000", &Float32, Ok(Stored::Float32(2_f32.powi(63))));
        check("1e39", &Float32, Err(": 1e39 for float32"));
        check("0.1", &Float32, Ok(Stored::Float32(0.1)));
        check("\"True\"", &Boolean, Err(": \"True\" for boolean"));
        check("false", &Boolean, Ok(Stored::Boolean(false)));
        check("5", &String, Err(": 5 for string"));
        check("\"1970-01-01T00:00:01Z\"", &Timestamp, Ok(Stored::Timestamp(1_000_000)));
        check("1", &Timestamp, Err(": 1 for timestamp, such as \"2021-08-21T01:23:58.996Z\""));
        check("null", &Boolean, Ok(Stored::Null));
        let long = "ä".repeat(100);
        let cut = format!(": \"{}…\" for int64", "ä".repeat(60));
        check(&format!("\"{long}\""), &Int64, Err(&cut));
    }

    #[test]
    fn nested_values_tell_where_they_are_wrong() {
        let field = |name: &str, column_type| Field { name: name.to_owned(), column_type };
        let pair = ColumnType::Struct(vec![field("a", ColumnType::Int64), field("b", ColumnType::String)]);
        let whole = Stored::Struct(vec![Stored::Int64(1), Stored::Null]);
        check("{\"a\":1}", &pair, Ok(whole.clone()));
        check("[1,null]", &pair, Ok(whole));
        check("[1]", &pair, Err(": a list of 1 for struct, as an object or a list of all its fields"));
        check("{\"a\":1,\"c\":true}", &pair, Err(".c: true for a field of the struct"));
        check("{\"a\":1,\"a\":2}", &pair, Err(".a: 2 for each field once"));
        let lists = ColumnType::Array(Box::new(pair));
        check("[null,{\"b\":5}]", &lists, Err("[1].b: 5 for string"));
        let map = ColumnType::Map(Box::new(ColumnType::Float64));
        let entries = vec![("a".to_owned(), Stored::Float64(2.0)), ("b".to_owned(), Stored::Null)];
        check("{\"b\":null,\"a\":2}", &map, Ok(Stored::Map(entries)));
        check("{\"b\":null,\"b\":2}", &map, Err(".b: 2 for each key once"));
        check("[]", &map, Err(": a list of 0 for map, as an object"));
    }
}
