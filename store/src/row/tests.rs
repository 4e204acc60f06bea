//! Rows: what is written comes back, and no other bytes panic.

use proptest::prelude::*;

use super::*;
use crate::{
    limits::KEY_BYTES_MAX,
    schema::{ColumnType, Field, KeyPart, KeyType, Schema},
    value::Value,
};

/// Types up to three levels deep.
fn column_type() -> impl Strategy<Value = ColumnType> {
    let leaf = prop_oneof![
        Just(ColumnType::Boolean),
        Just(ColumnType::Int64),
        Just(ColumnType::Float32),
        Just(ColumnType::Float64),
        Just(ColumnType::String),
        Just(ColumnType::Timestamp),
        Just(ColumnType::Binary),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let named = |(position, column_type)| Field { name: format!("field_{position}"), column_type };
        prop_oneof![
            inner.clone().prop_map(|element| ColumnType::Array(Box::new(element))),
            inner.clone().prop_map(|value| ColumnType::Map(Box::new(value))),
            proptest::collection::vec(inner, 0..5)
                .prop_map(move |types| ColumnType::Struct(types.into_iter().enumerate().map(named).collect())),
        ]
    })
}

/// Values of a type, null among them at every level.
fn value_of(column_type: &ColumnType) -> BoxedStrategy<Value> {
    let present: BoxedStrategy<Value> = match column_type {
        ColumnType::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        ColumnType::Int64 => any::<i64>().prop_map(Value::Int64).boxed(),
        ColumnType::Float32 => any::<f32>().prop_map(Value::Float32).boxed(),
        ColumnType::Float64 => any::<f64>().prop_map(Value::Float64).boxed(),
        ColumnType::Timestamp => any::<i64>().prop_map(Value::Timestamp).boxed(),
        ColumnType::String => text().prop_map(Value::String).boxed(),
        ColumnType::Binary => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::Binary).boxed(),
        ColumnType::Array(element) => {
            proptest::collection::vec(value_of(element), 0..12).prop_map(Value::Array).boxed()
        }
        ColumnType::Struct(fields) => {
            let fields: Vec<_> = fields.iter().map(|field| value_of(&field.column_type)).collect();
            fields.prop_map(Value::Struct).boxed()
        }
        ColumnType::Map(value) => proptest::collection::btree_map(text(), value_of(value), 0..6)
            .prop_map(|map| Value::Map(map.into_iter().collect()))
            .boxed(),
    };
    prop_oneof![1 => Just(Value::Null), 4 => present].boxed()
}

/// Mostly short, now and then beyond what one byte counts.
fn text() -> impl Strategy<Value = String> {
    let chars = |size| proptest::collection::vec(prop_oneof![Just('a'), Just('\u{e9}'), Just('\u{1f980}')], size);
    prop_oneof![8 => chars(0..8_usize), 1 => chars(250..400)].prop_map(|chars| chars.into_iter().collect())
}

/// A schema with a row of it.
pub(crate) fn schema_and_values() -> impl Strategy<Value = (Schema, Vec<Value>)> {
    proptest::collection::vec(column_type(), 0..12).prop_flat_map(|types| {
        let values: Vec<_> = types.iter().map(value_of).collect();
        (Just(schema(types)), values)
    })
}

pub(crate) fn schema(types: Vec<ColumnType>) -> Schema {
    let named = |(position, column_type)| Field { name: format!("column_{position}"), column_type };
    Schema {
        key: vec![KeyPart { name: "key".into(), key_type: KeyType::String }],
        columns: types.into_iter().enumerate().map(named).collect(),
    }
}

fn encode(schema: &Schema, key: &[u8], values: &[Value]) -> Vec<u8> {
    let mut writer = RowWriter::new(schema);
    writer.begin(key, -1);
    for (column, value) in values.iter().enumerate().rev() {
        writer.value(column, value);
    }
    writer.finish().unwrap().to_vec()
}

/// `NaN` is not equal to itself, so values are compared by what they print.
fn same(one: &Value, other: &Value) -> bool {
    format!("{one:?}") == format!("{other:?}")
}

proptest! {
    #[test]
    fn rows_come_back((schema, values) in schema_and_values(), key in proptest::collection::vec(any::<u8>(), 0..100)) {
        let mut bytes = encode(&schema, &key, &values);
        let length = bytes.len();
        bytes.extend_from_slice(&[0xff; 7]);
        let layout = RowLayout::new(&schema, "a test");
        let row = Row::parse(&layout, &bytes).unwrap();
        prop_assert_eq!(row.bytes(), length);
        prop_assert_eq!(row.key(), &key);
        prop_assert_eq!(row.event_time_us(), -1);
        for (column, value) in values.iter().enumerate() {
            let back = row.value(column).unwrap().to_value().unwrap();
            prop_assert!(same(&back, value), "{:?} came back as {:?}", value, back);
        }
        prop_assert!(row.value(values.len()).is_err());
        prop_assert!(row.raw_bytes() <= length);
    }

    #[test]
    fn cut_or_flipped_rows_are_read_without_a_panic(
        (schema, values) in schema_and_values(),
        cut in any::<prop::sample::Index>(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = encode(&schema, b"key", &values);
        for (at, flip) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
        }
        let layout = RowLayout::new(&schema, "a test");
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            let Ok(row) = Row::parse(&layout, bytes) else { continue };
            for column in 0..values.len() {
                let _ = row.value(column).and_then(|value| value.to_value());
            }
        }
    }
}

#[test]
fn a_reused_writer_remembers_nothing() {
    let schema = schema(vec![ColumnType::Int64, ColumnType::String]);
    let layout = RowLayout::new(&schema, "a test");
    let mut writer = RowWriter::new(&schema);
    writer.begin(b"one", 1);
    writer.int64(0, 5);
    writer.string(1, "text");
    writer.finish().unwrap();
    writer.begin(b"two", 2);
    let row = Row::parse(&layout, writer.finish().unwrap()).unwrap();
    assert_eq!(row.key(), b"two");
    assert!((0..2).all(|column| matches!(row.value(column), Ok(ValueRef::Null))));
}

#[test]
fn a_column_set_again_has_the_later_value() {
    let schema = schema(vec![ColumnType::Int64, ColumnType::String]);
    let twice = |first: &Value, second: &Value, column| {
        let mut writer = RowWriter::new(&schema);
        writer.begin(b"key", -1);
        writer.value(column, first);
        writer.value(column, second);
        writer.finish().unwrap().to_vec()
    };
    let (number, text) = (Value::Int64(5), Value::String("text".into()));
    assert_eq!(twice(&number, &Value::Null, 0), encode(&schema, b"key", &[]));
    assert_eq!(twice(&text, &Value::Null, 1), encode(&schema, b"key", &[]));
    assert_eq!(twice(&Value::String("longer text".into()), &text, 1), encode(&schema, b"key", &[Value::Null, text]));
}

#[test]
fn rows_and_keys_beyond_their_bounds_are_refused() {
    let schema = schema(vec![ColumnType::String]);
    let mut writer = RowWriter::new(&schema);
    let mut check = |key: usize, text: usize| {
        writer.begin(&vec![b'k'; key], 0);
        writer.string(0, &"t".repeat(text));
        writer.finish().map(<[u8]>::len)
    };
    assert!(check(KEY_BYTES_MAX, 0).is_ok());
    assert!(matches!(check(KEY_BYTES_MAX + 1, 0), Err(RowError::KeyTooLong { .. })));
    let around = ROW_BYTES_MAX - 2 - 1 - 8 - 1 - 4;
    assert!(check(1, around).is_ok());
    assert!(matches!(check(1, around + 1), Err(RowError::RowTooLong { .. })));
}

#[test]
fn tombstones_have_a_key_and_a_time_and_no_values() {
    let layout = RowLayout::new(&schema(vec![ColumnType::Int64, ColumnType::String]), "a test");
    for length in [0, 1, 31, 32, 33, KEY_BYTES_MAX] {
        let (key, mut bytes) = (vec![b'k'; length], Vec::new());
        write_tombstone(&key, -7, &mut bytes).unwrap();
        assert_ne!(bytes[0], 0, "a zero is padding");
        let row = Row::parse(&layout, &bytes).unwrap();
        assert_eq!((row.key(), row.event_time_us(), row.is_tombstone()), (&key[..], -7, true));
        assert_eq!((row.bytes(), row.raw_bytes()), (length + 10, length + 8));
        assert!(row.value(0).is_err() && row.value(1).is_err());
        assert!((0..bytes.len()).all(|cut| Row::parse(&layout, &bytes[..cut]).is_err()), "{length}");
    }
    assert!(write_tombstone(&[0; KEY_BYTES_MAX + 1], 0, &mut Vec::new()).is_err());
}

#[test]
fn zeros_are_no_row() {
    let layout = RowLayout::new(&schema(vec![]), "a test");
    assert!(Row::parse(&layout, &[0; 64]).is_err());
    assert!(Row::parse(&layout, &[]).is_err());
}

#[test]
#[should_panic(expected = "column 0 is no int64")]
fn a_value_of_another_type_is_a_programming_error() {
    let mut writer = RowWriter::new(&schema(vec![ColumnType::Float64]));
    writer.begin(b"", 0);
    writer.int64(0, 1);
}

#[test]
fn values_of_no_fixed_size_are_read_by_themselves() {
    let array = ColumnType::Array(Box::new(ColumnType::Int64));
    let column = |name: &str, column_type| Field { name: name.to_owned(), column_type };
    let columns = vec![
        column("text", ColumnType::String),
        column("numbers", array.clone()),
        column("number", ColumnType::Int64),
        column("missing", ColumnType::Binary),
    ];
    let schema = Schema { key: vec![], columns };
    let numbers = Value::Array(vec![Value::Int64(7), Value::Null]);
    let mut writer = RowWriter::new(&schema);
    writer.begin(b"", 0);
    writer.string(0, "abc");
    writer.value(1, &numbers);
    writer.int64(2, 5);
    let layout = RowLayout::new(&schema, "here");
    let row = Row::parse(&layout, writer.finish().unwrap()).unwrap();
    assert_eq!(row.encoded_value(0).unwrap(), Some(&b"abc"[..]));
    assert_eq!(row.encoded_value(3).unwrap(), None);
    assert!(row.encoded_value(2).unwrap_err().to_string().contains("here"), "a fixed size");
    let values = crate::value::ValueLayout::new(&array);
    let bytes = row.encoded_value(1).unwrap().unwrap();
    assert_eq!(values.read(bytes).unwrap().to_value().unwrap(), numbers);
    assert!(values.read(&bytes[..2]).is_err());
}
