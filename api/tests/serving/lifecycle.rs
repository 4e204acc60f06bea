//! Catalogs and keys that change, data older than definitions, and bytes that are not what was written.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use gannet_api::{Catalog, auth::KeyTable};
use gannet_store::{Value::Int64, levels::Levels};

use crate::{
    fixture::{Rows, World, streams, table, text},
    users::{definitions, row},
};

const PARAMS: &str = r#"{"featureViewName":"v","joinKeyMap":{"user_id":"u"},
    "metadataOptions":{"includeNames":true,"includeEffectiveTimes":true,"includeServingStatus":true}}"#;

fn rows() -> Rows {
    row(vec![Int64(1), text("x")])
}

fn world(rows: Vec<(&str, Rows)>) -> World {
    World::new(&definitions(&[("v", "a = \"int64\", b = \"string\"")], ""), rows)
}

#[test]
fn a_feature_that_the_table_does_not_have_yet_is_missing() {
    let mut world = world(vec![]);
    let old = &world.definitions.workspaces["prod"].feature_views["v"];
    let table = Arc::new(table(&world.folder, "prod/v", old, &rows()));
    let mut definitions = world.definitions.clone();
    let view = definitions.workspaces.get_mut("prod").unwrap().feature_views.get_mut("v").unwrap();
    let mut added = view.features[0].clone();
    added.name = "aa".to_owned();
    view.features.insert(1, added);
    view.features[2].data_type = gannet_store::ColumnType::Float64;
    let levels = BTreeMap::from([("prod/v".to_owned(), Levels { base: Some(table), ..Levels::default() })]);
    let catalog = Catalog::compile(&definitions, levels.clone(), &streams(&definitions), 8, world.shared.metrics());
    world.shared.publish(Some(Arc::new(catalog)));
    world.check(
        PARAMS,
        200,
        r#"{"result":{"features":["1",null,null]},"metadata":{"features":[
        {"name":"v.a","effectiveTime":"1970-01-01T00:00:00Z","status":"PRESENT"},
        {"name":"v.aa","status":"MISSING_DATA"},{"name":"v.b","status":"MISSING_DATA"}]}}"#,
    );
    let view = definitions.workspaces.get_mut("prod").unwrap().feature_views.get_mut("v").unwrap();
    view.join_keys[0].key_type = gannet_store::KeyType::Int64;
    let catalog = Catalog::compile(&definitions, levels, &streams(&definitions), 9, world.shared.metrics());
    world.shared.publish(Some(Arc::new(catalog)));
    let message = "Cannot retrieve features. FeatureView: v has no materialized data in the online store.";
    world.check_error(PARAMS, 404, 5, message);
}

#[test]
fn a_revoked_key_is_refused_from_the_next_turn_on() {
    let mut world = world(vec![("v", rows())]);
    let body = format!("{{\"params\":{PARAMS}}}");
    assert_eq!(world.get_features(&body).0, 200);
    world.shared.set_keys(KeyTable::default());
    assert_eq!(world.get_features(&body).0, 401);
}

#[test]
fn a_published_catalog_gives_back_the_one_before() {
    let world = world(vec![("v", rows())]);
    let before = world.shared.publish(None).unwrap();
    assert_eq!((before.generation(), before.services()), (7, 0));
    assert!(world.shared.publish(None).is_none());
}

#[test]
fn damaged_rows_are_an_error_and_never_a_value() {
    let mut world = world(vec![("v", rows())]);
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&lines);
    world.shared.set_log(move |line| log.lock().unwrap().push(line.to_owned()));
    // Blocks are verified when first touched, so damage that is there before is met.
    for file in files(world.folder.path()) {
        let mut bytes = fs::read(&file).unwrap();
        let length = bytes.len();
        for byte in &mut bytes[4096.min(length / 2)..] {
            *byte ^= 0xff;
        }
        fs::write(&file, bytes).unwrap();
    }
    world.check_error(PARAMS, 500, 13, "Internal server error");
    world.check_error(PARAMS, 500, 13, "Internal server error");
    let lines = lines.lock().unwrap();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("core 0: a request failed: "), "{lines:?}");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
