//! Requests and the answers they must get, to the byte.

use gannet_api::{MetadataOptions, Settings};
use gannet_store::Value::{self, Array, Boolean, Float32, Float64, Int64, Map, Null, Struct, Timestamp};

use crate::{
    fixture::{Rows, SAMPLE_US, World, text},
    store::Store,
};

const FRAUD: &str = include_str!("../../../examples/fraud/definitions/fraud.toml");

fn fraud() -> World {
    let user = || vec![text("C1000262126")];
    World::new(
        FRAUD,
        vec![
            ("transaction_amount_is_high", vec![(user(), SAMPLE_US, vec![Int64(0)])]),
            ("transaction_amount_is_higher_than_average", vec![(user(), SAMPLE_US, vec![Int64(1)])]),
            ("last_transaction_amount_sql", vec![(user(), SAMPLE_US, vec![Float64(216_409.0)])]),
            ("transaction_amount_last_1000d", vec![]),
        ],
    )
}

#[test]
fn the_published_sample_is_answered_as_printed() {
    fraud().check(
        r#"{
            "workspaceName": "prod",
            "featureServiceName": "fraud_detection_feature_service",
            "joinKeyMap": {"user_id": "C1000262126"},
            "requestOptions": {"latencyBudgetMs": "200"},
            "metadataOptions": {
              "includeNames": true, "includeEffectiveTimes": true, "includeDataTypes": true,
              "includeSloInfo": true, "includeServingStatus": true
            }
        }"#,
        200,
        r#"{"result":{"features":["0","1",216409,null]},
        "metadata":{"features":[
            {"name":"transaction_amount_is_high.transaction_amount_is_high",
             "dataType":{"type":"int64"},"status":"PRESENT"},
            {"name":"transaction_amount_is_higher_than_average.transaction_amount_is_higher_than_average",
             "dataType":{"type":"int64"},"status":"PRESENT"},
            {"name":"last_transaction_amount_sql.amount","effectiveTime":"2021-08-21T01:23:58.996Z",
             "dataType":{"type":"float64"},"status":"PRESENT"},
            {"name":"transaction_amount_last_1000d.sum","dataType":{"type":"int64"},"status":"MISSING_DATA"}
        ],"sloInfo":{"sloEligible":true,"sloServerTimeSeconds":0.00005,"storeMaxLatency":0.00003,
        "storeTimeSeconds":<n>,"storeResponseSizeBytes":<n>,"dynamodbResponseSizeBytes":<n>,
        "serverTimeSeconds":0.00005}}}"#,
    );
}

#[test]
fn a_snake_case_request_without_options_gets_a_bare_vector() {
    let mut world = fraud();
    let bare = r#"{"result":{"features":["0","1",216409,null]}}"#;
    world.check(
        r#"{"feature_service_name":"fraud_detection_feature_service","join_key_map":{"user_id":"C1000262126"},
        "request_context_map":{"amount":5},"metadata_options":{},"request_options":null,"workspace_name":"prod"}"#,
        200,
        bare,
    );
    world.check(
        r#"{"featureServiceName":"fraud_detection_feature_service","joinKeyMap":{"user_id":"C1000262126"},
        "metadataOptions":{"includeNames":false}}"#,
        200,
        bare,
    );
}

#[test]
fn services_and_views_are_found_by_name_and_by_id() {
    let mut world = fraud();
    let keys = r#""joinKeyMap":{"user_id":"C1000262126"}"#;
    world.check(
        &format!("{{\"featureViewName\":\"last_transaction_amount_sql\",{keys}}}"),
        200,
        r#"{"result":{"features":[216409]}}"#,
    );
    for (field, name, expected) in [
        ("featureServiceId", "fraud_detection_feature_service", r#"{"result":{"features":["0","1",216409,null]}}"#),
        ("feature_view_id", "last_transaction_amount_sql", r#"{"result":{"features":[216409]}}"#),
    ] {
        let id = id_of(&format!("prod/{name}"));
        world.check(&format!("{{\"{field}\":\"{id}\",{keys}}}"), 200, expected);
        world.check(&format!("{{\"{field}\":\"{}\",{keys}}}", id.to_uppercase()), 200, expected);
    }
}

fn id_of(name: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(name.as_bytes())[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn slo_info_alone_comes_with_empty_items() {
    fraud().check(
        r#"{"featureViewName":"transaction_amount_last_1000d","joinKeyMap":{"user_id":null},
        "metadataOptions":{"include_slo_info":true}}"#,
        200,
        r#"{"result":{"features":[null]},"metadata":{"features":[{}],"sloInfo":{"sloEligible":true,
        "sloServerTimeSeconds":0.00005,"storeMaxLatency":0,"storeTimeSeconds":0,"storeResponseSizeBytes":0,
        "dynamodbResponseSizeBytes":0,"serverTimeSeconds":0.00005}}}"#,
    );
}

#[test]
fn default_metadata_options_serve_those_who_set_none() {
    let settings = Settings { default_metadata_options: MetadataOptions::SERVING_STATUS, ..Settings::default() };
    let rows = vec![("v", vec![(vec![Int64(-5)], 0, vec![Int64(3)])])];
    let mut world = World::with_settings(settings, NUMBERED, rows);
    let with = r#"{"result":{"features":["3"]},"metadata":{"features":[{"status":"PRESENT"}]}}"#;
    let without = r#"{"result":{"features":["3"]}}"#;
    let mut check = |options: &str, expected: &str| {
        world.check(&format!("{{\"featureViewName\":\"v\",\"joinKeyMap\":{{\"n\":-5}}{options}}}"), 200, expected);
    };
    check("", with);
    check(",\"metadataOptions\":{}", with);
    check(",\"metadataOptions\":{\"includeNames\":null}", with);
    check(",\"metadataOptions\":{\"includeNames\":false}", without);
}

const NUMBERED: &str = r#"
workspace = "prod"
[entities.number]
join_keys = { n = "int64" }
[feature_views.v]
entity = "number"
timestamp = "t"
source = { parquet = "x.parquet" }
features = { a = "int64" }
"#;

#[test]
fn int64_keys_are_accepted_however_they_are_written() {
    let rows = vec![
        (vec![Int64(5)], 0, vec![Int64(1)]),
        (vec![Int64(9_007_199_254_740_993)], 0, vec![Int64(2)]),
        (vec![Int64(i64::MIN)], 0, vec![Int64(3)]),
    ];
    let mut world = World::new(NUMBERED, vec![("v", rows)]);
    for (key, value) in [
        ("5", "\"1\""),
        ("5.0", "\"1\""),
        ("5e0", "\"1\""),
        ("0.5E+1", "\"1\""),
        ("\"5\"", "\"1\""),
        ("6", "null"),
        ("null", "null"),
        ("9007199254740993", "\"2\""),
        ("9007199254740993.0", "\"2\""),
        ("\"-9223372036854775808\"", "\"3\""),
        ("-9223372036854775808.0", "\"3\""),
    ] {
        let expected = format!("{{\"result\":{{\"features\":[{value}]}}}}");
        world.check(&format!("{{\"featureViewName\":\"v\",\"joinKeyMap\":{{\"n\":{key}}}}}"), 200, &expected);
    }
}

const EVERY_TYPE: &str = r#"
workspace = "prod"
[entities.thing]
join_keys = { id = "string" }
[feature_views."every:v2"]
entity = "thing"
timestamp = "t"
source = { parquet = "x.parquet" }
features = [
  { name = "a", type = "boolean" },
  { name = "b", type = "int64" },
  { name = "c", type = "float32" },
  { name = "d", type = "float64" },
  { name = "e", type = "string", description = "A \"word\"", tags = { owner = "risk", tier = "1" } },
  { name = "f", type = "timestamp" },
  { name = "g", type = "array<int64>" },
  { name = "h", type = "struct<x:int64,y:array<float64>>" },
  { name = "i", type = "map<string,timestamp>" },
  { name = "j", type = "array<struct<p:string,q:boolean>>" },
]
"#;

fn every_type() -> World {
    let full = vec![
        Boolean(true),
        Int64(i64::MIN),
        Float32(0.1),
        Float64(-2.46),
        text("Köln \"am\" Rhein\n"),
        Timestamp(1),
        Array(vec![Int64(1), Null, Int64(-3)]),
        Struct(vec![Int64(2), Array(vec![Float64(f64::NAN), Float64(f64::NEG_INFINITY), Null])]),
        Map(vec![("k\"1".to_owned(), Timestamp(0)), ("k2".to_owned(), Null)]),
        Array(vec![Struct(vec![text("s"), Boolean(false)]), Null, Struct(vec![Null, Null])]),
    ];
    let empty = vec![
        Boolean(false),
        Int64(0),
        Float32(0.0),
        Float64(-0.0),
        text(""),
        Timestamp(0),
        Array(vec![]),
        Struct(vec![Null, Array(vec![])]),
        Map(vec![]),
        Array(vec![]),
    ];
    let rows = [("full", full), ("empty", empty), ("null", vec![Null; 10])];
    let rows = rows.map(|(key, values): (_, Vec<Value>)| (vec![text(key)], 0, values));
    World::new(EVERY_TYPE, vec![("every:v2", rows.to_vec())])
}

#[test]
fn every_type_is_spelt_as_callers_expect_wherever_a_null_stands() {
    let mut world = every_type();
    let mut check = |key: &str, features: &str| {
        let params = format!("{{\"featureViewName\":\"every:v2\",\"joinKeyMap\":{{\"id\":\"{key}\"}}}}");
        world.check(&params, 200, &format!("{{\"result\":{{\"features\":[{features}]}}}}"));
    };
    check(
        "full",
        r#"true,"-9223372036854775808",0.1,-2.46,"Köln \"am\" Rhein\n","1970-01-01T00:00:00.000001Z",["1",null,"-3"],
        ["2",["NaN","-Infinity",null]],{"k\"1":"1970-01-01T00:00:00Z","k2":null},[["s",false],null,[null,null]]"#,
    );
    check("empty", r#"false,"0",0,-0,"","1970-01-01T00:00:00Z",[],[null,[]],{},[]"#);
    check("null", "null,null,null,null,null,null,null,null,null,null");
    check("nobody", "null,null,null,null,null,null,null,null,null,null");
}

#[test]
fn every_option_adds_its_member_in_a_fixed_order() {
    let mut world = every_type();
    let mut check = |options: &str, item: usize, expected: &str| {
        let params = format!(
            "{{\"params\":{{\"featureViewName\":\"every:v2\",\"joinKeyMap\":{{\"id\":\"null\"}},\"metadataOptions\":{{{options}}}}}}}"
        );
        let (_, body) = world.get_features(&params);
        let start = body.find("\"metadata\":{\"features\":[").unwrap() + "\"metadata\":{\"features\":[".len();
        let items: Vec<Box<serde_json::value::RawValue>> =
            serde_json::from_str(&body[start - 1..body.len() - 2]).unwrap();
        assert_eq!(items[item].get(), expected);
    };
    let all = r#""includeNames":true,"includeEffectiveTimes":true,"includeTypes":true,"includeDataTypes":true,
        "includeServingStatus":true,"includeFeatureDescriptions":true,"includeFeatureTags":true"#;
    check(
        all,
        4,
        r#"{"name":"every:v2.e","effectiveTime":"1970-01-01T00:00:00Z","dataType":{"type":"string"},"type":"string","status":"PRESENT","description":"A \"word\"","tags":{"owner":"risk","tier":"1"}}"#,
    );
    check(
        all,
        0,
        r#"{"name":"every:v2.a","effectiveTime":"1970-01-01T00:00:00Z","dataType":{"type":"boolean"},"type":"boolean","status":"PRESENT"}"#,
    );
    check("\"includeFeatureTags\":true", 0, "{}");
    check("\"includeEffectiveTimes\":true", 9, r#"{"effectiveTime":"1970-01-01T00:00:00Z"}"#);
    check("\"includeTypes\":true", 2, r#"{"type":"float32"}"#);
    check("\"includeDataTypes\":true", 6, r#"{"dataType":{"type":"array","elementType":{"type":"int64"}}}"#);
    check(
        "\"includeDataTypes\":true",
        7,
        r#"{"dataType":{"type":"struct","fields":[{"name":"x","dataType":{"type":"int64"}},{"name":"y","dataType":{"type":"array","elementType":{"type":"float64"}}}]}}"#,
    );
    check(
        "\"includeDataTypes\":true",
        8,
        r#"{"dataType":{"type":"map","keyType":{"type":"string"},"valueType":{"type":"timestamp"}}}"#,
    );
}

/// Asks for keys of `v` at a moment: the time of the row that must be served of each, or none.
#[track_caller]
fn check_ages(world: &mut World, unix_us: i64, expected: [Option<&str>; 3]) {
    world.now.unix_us = unix_us;
    for (n, effective) in (1..).zip(expected) {
        let (value, item) = match effective {
            Some(time) => ("\"8\"", format!("{{\"effectiveTime\":\"{time}\",\"status\":\"PRESENT\"}}")),
            None => ("null", "{\"status\":\"MISSING_DATA\"}".to_owned()),
        };
        world.check(
            &format!(
                "{{\"featureViewName\":\"v\",\"joinKeyMap\":{{\"n\":{n}}},\
                 \"metadataOptions\":{{\"includeEffectiveTimes\":true,\"includeServingStatus\":true}}}}"
            ),
            200,
            &format!("{{\"result\":{{\"features\":[{value}]}},\"metadata\":{{\"features\":[{item}]}}}}"),
        );
    }
}

/// Of ages 0, an hour without a microsecond, and an hour at the sample's time; with a TTL of an hour.
fn aged() -> (String, Rows) {
    let definitions = NUMBERED.replace("timestamp = \"t\"", "timestamp = \"t\"\nttl = \"1h\"");
    let row = |n: i64, age_us: i64| (vec![Int64(n)], SAMPLE_US - age_us, vec![Int64(8)]);
    (definitions, vec![row(1, 0), row(2, HOUR_US - 1), row(3, HOUR_US)])
}

const HOUR_US: i64 = 3_600_000_000;
const NEWEST: Option<&str> = Some("2021-08-21T01:23:58.996Z");
const OLDER: Option<&str> = Some("2021-08-21T00:23:58.996001Z");
const OLDEST: Option<&str> = Some("2021-08-21T00:23:58.996Z");

#[test]
fn a_value_is_served_while_it_is_younger_than_its_time_to_live() {
    let (definitions, rows) = aged();
    let mut store = Store::changed(
        &definitions,
        |definitions| {
            let workspace = definitions.workspaces.get_mut("prod").unwrap();
            workspace.feature_views.get_mut("v").unwrap().stream = Some("events".to_owned());
        },
        vec![("v", rows)],
    );
    let world = &mut store.world;
    check_ages(world, SAMPLE_US, [NEWEST, OLDER, None]);
    check_ages(world, SAMPLE_US + 1, [NEWEST, None, None]);
    check_ages(world, SAMPLE_US + HOUR_US - 1, [NEWEST, None, None]);
    check_ages(world, SAMPLE_US + HOUR_US, [None; 3]);
    check_ages(world, SAMPLE_US - HOUR_US, [NEWEST, OLDER, OLDEST]); // events of the future are served
}

/// What only batch jobs fill grows old when the next one has come, and not while it is late.
#[test]
fn values_of_a_batch_are_as_old_as_they_were_where_its_data_ends() {
    let (definitions, rows) = aged();
    let mut world = World::new(&definitions, vec![("v", rows)]);
    for late_us in [0, 1, HOUR_US, 1000 * HOUR_US] {
        check_ages(&mut world, SAMPLE_US + late_us, [NEWEST, OLDER, None]);
    }
    check_ages(&mut world, SAMPLE_US - HOUR_US, [NEWEST, OLDER, OLDEST]);
}

#[test]
fn renamed_and_combined_keys_reach_their_views() {
    let definitions = r#"
workspace = "prod"
[entities.user]
join_keys = { user_id = "string" }
[entities.ad]
join_keys = { ad_id = "int64" }
[feature_views.both]
entities = ["user", "ad"]
timestamp = "t"
source = { parquet = "x.parquet" }
features = { x = "int64" }
[feature_views.one]
entity = "user"
timestamp = "t"
source = { parquet = "y.parquet" }
features = { y = "int64", z = "string" }
[feature_services.s]
features = ["both", { view = "one", as = "buyer" }, { view = "one", as = "seller", features = ["z"], join_keys = { user_id = "seller_id" } }]
"#;
    let both = vec![(vec![Int64(7), text("u")], 0, vec![Int64(70)])];
    let one = vec![(vec![text("u")], 0, vec![Int64(1), text("uz")]), (vec![text("s")], 1, vec![Int64(2), text("sz")])];
    let mut world = World::new(definitions, vec![("both", both), ("one", one)]);
    let mut check = |keys: &str, features: &str| {
        let params = format!("{{\"featureServiceName\":\"s\",\"joinKeyMap\":{{{keys}}}}}");
        world.check(&params, 200, &format!("{{\"result\":{{\"features\":[{features}]}}}}"));
    };
    check(r#""user_id":"u","ad_id":7,"seller_id":"s""#, r#""70","1","uz","sz""#);
    check(r#""seller_id":"u","user_id":"s","ad_id":"7""#, r#"null,"2","sz","uz""#);
    check(r#""seller_id":null,"user_id":"u","ad_id":null"#, r#"null,"1","uz",null"#);
    let long = "x".repeat(5000);
    check(&format!(r#""seller_id":"{long}","user_id":"u","ad_id":7"#), r#""70","1","uz",null"#);
}

#[test]
fn requests_of_one_turn_are_answered_each_by_its_own() {
    use gannet_engine::{
        Finished, Service,
        http::{Method, Request},
    };

    use crate::fixture::{GET_FEATURES, head};
    let rows = (0..500).map(|n| (vec![Int64(n)], n, vec![Int64(n * 3)])).collect();
    let mut world = World::new(NUMBERED, vec![("v", rows)]);
    world.bring_in();
    world.core.turn(world.now);
    let tickets: Vec<_> = (0..100)
        .map(|n| {
            let key = if n % 10 == 9 { "\"x\"".to_owned() } else { (n * 7).to_string() };
            let mut body =
                format!("{{\"params\":{{\"featureViewName\":\"v\",\"joinKeyMap\":{{\"n\":{key}}}}}}}").into_bytes();
            let head = head(Method::Post, GET_FEATURES);
            world.core.begin(world.now, Request { head, body: &mut body, seen_ns: 0, asked: false })
        })
        .collect();
    world.core.gather(world.now);
    for (n, ticket) in (0..).zip(tickets) {
        let mut out = Vec::new();
        let Finished::Answer(answer) = world.core.finish(world.now, ticket, &mut out) else { panic!("all is there") };
        let body = String::from_utf8(out).unwrap();
        if n % 10 == 9 {
            assert_eq!(answer.status.0, 400);
        } else {
            let value = if n * 7 < 500 { format!("\"{}\"", n * 21) } else { "null".to_owned() };
            assert_eq!(body, format!("{{\"result\":{{\"features\":[{value}]}}}}"));
        }
    }
    world.core.turned(world.now);
}
