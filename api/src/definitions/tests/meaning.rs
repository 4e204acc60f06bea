//! What accepted definitions mean: types, order, schemas, fingerprints.

use gannet_store::{ColumnType, Field, KeyType};
use proptest::prelude::*;

use super::{
    super::{model::*, types},
    accepted,
};

const TWO_KEYS: &str = r#"
workspace = "prod"
[entities.user]
join_keys = { user_id = "string" }
[[entities.merchant.join_keys]]
name = "merchant_id"
type = "int64"
[feature_views."spend:v2"]
entities = ["user", "merchant"]
timestamp = "at"
ttl = "1h30m"
source = { ndjson = "spend-*.ndjson" }
features = [{ name = "total", type = "float64" }, { name = "Count", type = "int64", column = "n" }]
[feature_views.calls]
entity = "user"
source = { csv = "/srv/calls.csv" }
features = { "größe" = "map<float64>", at = { type = "array<struct<a:timestamp,b:string>>" } }
vector_position = "first"
[feature_services.all]
features = [
  { view = "spend:v2", as = "zebra", join_keys = { user_id = "sender" }, features = ["total"] },
  "spend:v2[total, Count]",
  { view = "calls", as = "yak" },
  "calls[at]",
]
"#;

fn spend() -> FeatureView {
    accepted(&[("a.toml", TWO_KEYS)]).workspaces["prod"].feature_views["spend:v2"].clone()
}

#[test]
fn keys_and_columns_of_a_schema_are_sorted() {
    let view = spend();
    let schema = view.schema();
    let keys: Vec<_> = schema.key.iter().map(|part| (part.name.as_str(), part.key_type)).collect();
    assert_eq!(keys, [("merchant_id", KeyType::Int64), ("user_id", KeyType::String)]);
    let columns: Vec<_> = schema.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(columns, ["Count", "total"], "by bytes: capitals first");
    assert_eq!(view.ttl_us, Some(5_400_000_000));
    assert_eq!(view.features[0].column, "n");
    assert_eq!(FeatureView::table_name("prod", &view.name), "prod/spend@v2");
    assert_eq!(FeatureView::table_name("prod", "calls"), "prod/calls");
}

#[test]
fn selections_are_in_the_order_of_the_vector() {
    let definitions = accepted(&[("a.toml", TWO_KEYS)]);
    let selections = &definitions.workspaces["prod"].feature_services["all"].selections;
    let namespaces: Vec<_> = selections.iter().map(|selection| selection.namespace.as_str()).collect();
    assert_eq!(namespaces, ["calls", "yak", "spend:v2", "zebra"], "first ones by name, then the rest by name");
    assert_eq!(selections[1].features, ["at", "größe"]);
    assert_eq!(selections[2].features, ["Count", "total"]);
    assert_eq!(selections[3].join_keys, ["merchant_id", "sender"]);
    let view = &definitions.workspaces["prod"].feature_views["calls"];
    assert_eq!(types::text(&view.features[0].data_type), "array<struct<a:timestamp,b:string>>");
    assert_eq!(types::text(&view.features[1].data_type), "map<string,float64>");
}

#[test]
fn fingerprint_changes_with_what_is_stored_and_nothing_else() {
    let view = spend();
    // pinned: data materialized by an older release must not look changed to a newer one
    assert_eq!(view.fingerprint(), "f8b6e2d8375f957085fc25f8989457d5");
    let stays = |name: &str, change: &dyn Fn(&mut FeatureView)| {
        let mut changed = view.clone();
        change(&mut changed);
        assert_eq!(changed.fingerprint(), view.fingerprint(), "{name}");
    };
    stays("description", &|view| view.description = "new".to_owned());
    stays("ttl", &|view| view.ttl_us = None);
    stays("position", &|view| view.first = true);
    stays("name", &|view| view.name = "other".to_owned());
    let changes = |name: &str, change: &dyn Fn(&mut FeatureView)| {
        let mut changed = view.clone();
        change(&mut changed);
        assert_ne!(changed.fingerprint(), view.fingerprint(), "{name}");
    };
    changes("timestamp", &|view| view.timestamp.clear());
    changes("path", &|view| view.source.as_mut().unwrap().path.push('x'));
    changes("format", &|view| view.source.as_mut().unwrap().format = SourceFormat::Csv);
    changes("column", &|view| view.features[0].column.push('x'));
    changes("type", &|view| view.features[0].data_type = ColumnType::Boolean);
    changes("feature", &|view| drop(view.features.pop()));
    changes("key type", &|view| view.join_keys[0].key_type = KeyType::String);
    changes("key", &|view| drop(view.join_keys.pop()));
}

#[test]
fn definitions_survive_being_stored() {
    let definitions = accepted(&[("a.toml", TWO_KEYS)]);
    let json = serde_json::to_string(&definitions).unwrap();
    assert_eq!(serde_json::from_str::<Definitions>(&json).unwrap(), definitions);
}

fn any_type() -> impl Strategy<Value = ColumnType> {
    let scalar = prop_oneof![
        Just(ColumnType::Boolean),
        Just(ColumnType::Int64),
        Just(ColumnType::Float32),
        Just(ColumnType::Float64),
        Just(ColumnType::String),
        Just(ColumnType::Timestamp),
    ];
    scalar.prop_recursive(6, 32, 4, |inner| {
        let fields = proptest::collection::vec(inner.clone(), 1..4).prop_map(|types| {
            let name = |(at, column_type)| Field { name: format!("f{at}"), column_type };
            ColumnType::Struct(types.into_iter().enumerate().map(name).collect())
        });
        prop_oneof![
            inner.clone().prop_map(|element| ColumnType::Array(Box::new(element))),
            inner.prop_map(|value| ColumnType::Map(Box::new(value))),
            fields,
        ]
    })
}

proptest! {
    #[test]
    fn types_are_read_back_as_written(column_type in any_type()) {
        let text = types::text(&column_type);
        prop_assert_eq!(types::parse(&text), Ok(column_type.clone()));
        let spaced = text.replace(',', " , ").replace('<', "< ").replace('>', " >").replace(':', " :\t");
        prop_assert_eq!(types::parse(&spaced), Ok(column_type));
    }

    #[test]
    fn no_text_makes_types_panic(text in "[a-z0-9<>,: é]{0,40}") {
        if let Err(fault) = types::parse(&text) {
            prop_assert!(fault.at.start <= text.len());
        }
    }
}
