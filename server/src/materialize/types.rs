//! Which Parquet type can be read as which declared type: the one table, as `docs/materialize.md` shows it.

use arrow_schema::{DataType, Field};
use gannet_store::ColumnType;

/// Whether a column of type `found` can be read as `wanted`. What single values may not fit is decided value by value.
pub(super) fn check(found: &DataType, wanted: &ColumnType) -> bool {
    if let DataType::Dictionary(_, values) = found {
        return !matches!(wanted, ColumnType::Array(_) | ColumnType::Struct(_) | ColumnType::Map(_))
            && check(values, wanted);
    }
    match wanted {
        ColumnType::Boolean => matches!(found, DataType::Boolean),
        ColumnType::Int64 | ColumnType::Float32 | ColumnType::Float64 => is_number(found),
        ColumnType::String => is_string(found),
        ColumnType::Binary => false,
        ColumnType::Timestamp => {
            matches!(found, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..)) || is_string(found)
        }
        ColumnType::Array(element) => match found {
            DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
                check(field.data_type(), element)
            }
            _ => false,
        },
        // A field that the file does not have is null, but at least one must be there, or it is another struct.
        ColumnType::Struct(fields) => match found {
            DataType::Struct(found) => {
                let field = |name: &str| found.iter().find(|field| field.name() == name);
                let mut known =
                    fields.iter().filter_map(|f| field(&f.name).map(|found| (found, &f.column_type))).peekable();
                known.peek().is_some() && known.all(|(found, wanted)| check(found.data_type(), wanted))
            }
            _ => false,
        },
        ColumnType::Map(value) => match found {
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) => is_map(fields.iter().map(AsRef::as_ref), value),
                _ => false,
            },
            _ => false,
        },
    }
}

fn is_map<'f>(mut fields: impl Iterator<Item = &'f Field>, value: &ColumnType) -> bool {
    let (Some(key), Some(found)) = (fields.next(), fields.next()) else { return false };
    is_string(key.data_type()) && check(found.data_type(), value)
}

fn is_string(found: &DataType) -> bool {
    matches!(found, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_number(found: &DataType) -> bool {
    found.is_integer()
        || found.is_floating()
        || matches!(
            found,
            DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..)
        )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_schema::TimeUnit;

    use super::*;

    #[test]
    fn the_table() {
        let zone = |zone: &str| DataType::Timestamp(TimeUnit::Nanosecond, Some(zone.into()));
        for (found, wanted, expected) in [
            (DataType::Int32, ColumnType::Int64, true),
            (DataType::UInt64, ColumnType::Int64, true),
            (DataType::Float64, ColumnType::Int64, true),
            (DataType::Utf8, ColumnType::Int64, false),
            (DataType::Boolean, ColumnType::Int64, false),
            (DataType::Decimal128(10, 2), ColumnType::Float64, true),
            (DataType::Float16, ColumnType::Float32, true),
            (DataType::Int64, ColumnType::Timestamp, false),
            (zone("Europe/Berlin"), ColumnType::Timestamp, true),
            (DataType::Utf8, ColumnType::Timestamp, true),
            (DataType::Binary, ColumnType::String, false),
            (DataType::Int64, ColumnType::String, false),
            (DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::LargeUtf8)), ColumnType::String, true),
        ] {
            assert_eq!(check(&found, &wanted), expected, "{found} as {wanted:?}");
        }
    }

    #[test]
    fn structs_are_matched_by_field_name() {
        let field = |name: &str, data_type| Field::new(name, data_type, true);
        let wanted = |name: &str| {
            ColumnType::Struct(vec![
                gannet_store::Field { name: name.to_owned(), column_type: ColumnType::Int64 },
                gannet_store::Field { name: "absent".to_owned(), column_type: ColumnType::Int64 },
            ])
        };
        let found = DataType::Struct(vec![field("x", DataType::Utf8), field("a", DataType::Int8)].into());
        assert!(check(&found, &wanted("a")));
        assert!(!check(&found, &wanted("x")));
        assert!(!check(&found, &wanted("b")));
        let list = DataType::List(Arc::new(field("item", found)));
        assert!(check(&list, &ColumnType::Array(Box::new(wanted("a")))));
    }
}
