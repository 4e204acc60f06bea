use std::{fs::File, sync::Arc};

use arrow_array::{
    ArrayRef, DictionaryArray, Float32Array, Int32Array, ListArray, RecordBatch, StringArray, StructArray,
    TimestampNanosecondArray,
    types::{Int8Type, Int32Type},
};
use gannet_store::{Table, directory::DataDirectory};
use parquet::arrow::ArrowWriter;
use serde_json::json;

use crate::{
    data::{USERS, applied, world},
    gannet::World,
};

#[test]
fn csv_keeps_the_newest_row_of_each_key() {
    let world = world();
    let row = world.row("profile", "a");
    assert_eq!(row["effectiveTime"], "2024-01-02T00:00:00Z");
    assert_eq!(row["features"], json!({"age": "2", "score": 1.5}));
    assert_eq!(world.row("profile", "b")["features"], json!({"age": null, "score": "NaN"}));
    assert_eq!(world.row("prod/profile", "user_id=c")["effectiveTime"], "2024-01-01T00:00:00Z");
    assert_eq!(world.run(&["inspect", "key", "profile", "d"]).code, Some(1));
    assert!(world.succeed(&["verify"]).starts_with("Sound: 1 generation"));
}

#[test]
fn ndjson_with_nested_values_and_the_time_of_materialization() {
    let world = World::new();
    world.write(
        "definitions/users.toml",
        USERS
            .replace("timestamp = \"at\"\n", "")
            .replace("csv = \"../data/users.csv\"", "ndjson = \"../data/*.ndjson\"")
            .replace(
                "features = { age = \"int64\", score = \"float64\" }",
                "features = { tags = \"array<string>\", place = \"struct<lat:float64,lon:float64>\", counts = \"map<string,int64>\" }",
            ),
    );
    let first = r#"{"user_id":"a","tags":["x",null],"place":{"lon":2,"lat":1.5},"counts":{"b":"2","a":1},"more":[{}]}"#;
    world.write("data/1.ndjson", format!("{first}\n\n{{\"user_id\":\"b\",\"tags\":[\"old\"]}}\n"));
    world.write("data/2.ndjson", "{\"user_id\":\"b\",\"tags\":[]}");
    world.succeed(&["apply", "definitions"]);
    world.succeed(&["materialize", "--workers", "2"]);
    let features = &world.row("profile", "a")["features"];
    assert_eq!(*features, json!({"tags": ["x", null], "place": [1.5, 2.0], "counts": {"a": "1", "b": "2"}}));
    // All rows have one time; of the same key, the one in the later file stays.
    assert_eq!(world.row("profile", "b")["features"]["tags"], json!([]));
}

fn parquet(world: &World, name: &str, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(world.path(name)).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn parquet_world(features: &str) -> World {
    let definitions = USERS.replace("csv = \"../data/users.csv\"", "parquet = \"../data/users.parquet\"");
    let features = format!("features = {features}");
    applied(&definitions.replace("features = { age = \"int64\", score = \"float64\" }", &features))
}

#[test]
fn parquet_of_many_types_is_cast_as_documented() {
    let world = parquet_world(
        r#"{ small = "int64", whole = "int64", word = "string", list = "array<int64>", pair = "struct<b:string,a:int64>" }"#,
    );
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
    let pair = StructArray::from(vec![
        (
            Arc::new(arrow_schema::Field::new("a", arrow_schema::DataType::Int32, true)),
            Arc::new(Int32Array::from(vec![1, 2, 3])) as ArrayRef,
        ),
        (
            Arc::new(arrow_schema::Field::new("b", arrow_schema::DataType::Utf8, true)),
            Arc::new(StringArray::from(vec![Some("x"), None, Some("z")])) as ArrayRef,
        ),
    ]);
    parquet(
        &world,
        "data/users.parquet",
        vec![
            ("unused", Arc::new(Int32Array::from(vec![9, 9, 9]))),
            ("user_id", Arc::new(StringArray::from(vec!["a", "b", "c"]))),
            ("at", Arc::new(TimestampNanosecondArray::from(vec![1_999, 2_000, 3_000]).with_timezone("Europe/Berlin"))),
            ("small", Arc::new(Int32Array::from(vec![Some(-1), None, Some(7)]))),
            ("whole", Arc::new(Float32Array::from(vec![Some(3.0), None, Some(-0.0)]))),
            ("word", Arc::new(DictionaryArray::<Int8Type>::from_iter([Some("red"), None, Some("red")]))),
            ("list", Arc::new(list)),
            ("pair", Arc::new(pair)),
        ],
    );
    world.succeed(&["materialize", "--strict"]);
    let row = world.row("profile", "a");
    assert_eq!(row["effectiveTime"], "1970-01-01T00:00:00.000001Z");
    let expected = json!({"small": "-1", "whole": "3", "word": "red", "list": ["1", null], "pair": ["x", "1"]});
    assert_eq!(row["features"], expected);
    let expected = json!({"small": null, "whole": null, "word": null, "list": null, "pair": [null, "2"]});
    assert_eq!(world.row("profile", "b")["features"], expected);
    assert_eq!(world.row("profile", "c")["features"]["list"], json!([]));
}

#[test]
fn columns_of_the_wrong_type_are_all_named_before_anything_is_read() {
    let world = parquet_world(r#"{ age = "string", absent = "int64" }"#);
    let live = world.current();
    parquet(
        &world,
        "data/users.parquet",
        vec![
            ("user_id", Arc::new(StringArray::from(vec!["a"]))),
            ("at", Arc::new(TimestampNanosecondArray::from(vec![1]))),
            ("age", Arc::new(Int32Array::from(vec![1]))),
        ],
    );
    world.fail(&["materialize"], "column `age` (feature) is of type Int32, which cannot be read as string");
    world.fail(&["materialize"], "no column `absent` (feature of type int64)");
    assert_eq!(world.current(), live);
    world.write("data/users.parquet", "not parquet");
    world.fail(&["materialize"], "users.parquet is not a Parquet file");
}

#[test]
fn only_what_changed_is_read_again() {
    let world = world();
    assert!(world.succeed(&["materialize", "--changed"]).contains("Nothing to do"));
    world.write("data/users.csv", "user_id,at,age,score\na,2025-01-01,9,9\n");
    assert!(world.succeed(&["materialize", "--changed"]).contains("Published 1 table"));
    assert_eq!(world.row("profile", "a")["features"]["age"], "9");
}

#[test]
fn damage_is_named_by_file_and_offset() {
    let world = world();
    let segments = crate::gannet::files(&world.path("store/segments"));
    let mut bytes = std::fs::read(&segments[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segments[0], bytes).unwrap();
    let run = world.run(&["verify"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let name = segments[0].file_name().unwrap().to_str().unwrap();
    assert!(run.err.contains(name) && run.err.contains("damaged at byte"), "{run:?}");
}

#[test]
fn a_segment_can_be_looked_into() {
    let world = world();
    let segments = crate::gannet::files(&world.path("store/segments"));
    let shown = world.succeed(&["inspect", "segment", segments[0].to_str().unwrap()]);
    assert!(shown.contains("prod/profile") && shown.contains("rows            3"), "{shown}");
    // The file system of the test decides; the store has found out.
    let data = DataDirectory::open(world.path("store")).unwrap();
    let table = Table::open(data.root(), &data.current().unwrap().unwrap().tables["prod/profile"]).unwrap();
    let direct =
        if table.segments().next().unwrap().direct_io { "yes" } else { "no: cold rows come through the page cache" };
    assert!(shown.lines().any(|line| line == format!("direct I/O      {direct}")), "{shown}");
    world.fail(&["inspect", "segment", "definitions/users.toml"], "is no segment");
}
