use std::{fs, time::Duration};

use serde_json::{Value, json};

use crate::{
    data::{SHOP, nothing, purchase, purchases, request, visit, world},
    gannet::{World, files},
    server::{Server, start, within},
};

fn delete(server: &Server, views: Option<&[&str]>, users: &[&str]) -> Value {
    let keys: Vec<_> = users.iter().map(|user| json!({ "user_id": user })).collect();
    let mut body = json!({"workspace_name": "prod", "join_key_maps": keys});
    if let Some(views) = views {
        body["feature_view_names"] = json!(views);
    }
    server.ask("DELETE", "/ingest", &body).ok()
}

fn fill(server: &Server, users: &[&str]) {
    for user in users {
        let records = json!({"purchases": [purchase(user, 0, 1), purchase(user, 1, 2)], "visits": [visit(user, 0, 9)]});
        server.ingest(&request(&records)).ok();
    }
}

#[test]
fn a_deleted_key_is_gone_from_every_view_and_stays_gone() {
    let world = world();
    let mut server = start(&world, &[]);
    fill(&server, &["ann", "bob"]);
    let answer = delete(&server, None, &["ann"]);
    assert_eq!(answer["workspaceName"], "prod");
    let views: Vec<_> =
        answer["deletedKeyCounts"].as_array().unwrap().iter().map(|one| &one["featureViewName"]).collect();
    assert_eq!(views, ["latest", "profile", "shops", "totals", "visited"], "{answer}");
    assert!(answer["deletedKeyCounts"].as_array().unwrap().iter().all(|one| one["keyCount"] == "1"), "{answer}");
    for round in 0..3 {
        assert_eq!(server.features("streamed", "ann"), nothing());
        assert_eq!(server.features("profiles", "ann"), json!([null]));
        assert_eq!(server.features("streamed", "bob"), json!(["2", "2", "3", "9"]));
        assert_eq!(server.features("profiles", "bob"), json!(["40"]));
        if round == 0 {
            server.kill()
        } else {
            assert_eq!(server.stop().code(), Some(0))
        }
        server = start(&world, &[]);
    }
}

#[test]
fn only_what_was_named_is_deleted() {
    let world = world();
    let server = start(&world, &[]);
    fill(&server, &["ann", "bob"]);
    delete(&server, Some(&["totals", "profile"]), &["ann", "nobody"]);
    assert_eq!(server.features("streamed", "ann"), json!(["2", null, null, "9"]));
    assert_eq!(server.features("profiles", "ann"), json!([null]));
    assert_eq!(server.features("streamed", "bob"), json!(["2", "2", "3", "9"]));
    let check = |body: Value, status: u16| {
        let answer = server.ask("DELETE", "/v1/ingest", &body);
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        assert!(answer.json()["requestError"]["errorMessage"].is_string(), "{answer:?}");
    };
    check(
        json!({"workspace_name": "prod", "feature_view_names": ["no_such"], "join_key_maps": [{"user_id": "bob"}]}),
        404,
    );
    check(json!({"workspace_name": "elsewhere", "join_key_maps": [{"user_id": "bob"}]}), 404);
    check(json!({"workspace_name": "prod", "join_key_maps": []}), 400);
    check(json!({"workspace_name": "prod", "join_key_maps": [{"shop": "x"}]}), 404); // no view has these join keys
    check(json!({"workspace_name": "prod", "feature_view_names": ["latest"], "join_key_maps": [{"shop": "x"}]}), 400);
    check(json!({"workspace_name": "prod", "join_key_maps": [{"user_id": null}]}), 400);
    check(json!({"join_key_maps": [{"user_id": "bob"}]}), 400);
    assert_eq!(server.features("streamed", "bob"), json!(["2", "2", "3", "9"]));
}

#[test]
fn a_key_begins_anew_after_its_deletion() {
    let world = world();
    let mut server = start(&world, &[]);
    fill(&server, &["ann"]);
    delete(&server, None, &["ann"]);
    // Older than the deletion: hidden where the newest row counts; an event all the same where events are counted.
    server.ingest(&purchases(&[purchase("ann", 2, 7)])).ok();
    for _ in 0..2 {
        assert_eq!(server.features("streamed", "ann"), json!([null, "1", "7", null]));
        server.kill();
        server = start(&world, &[]);
    }
    let in_an_hour = 3 * 3_600_000; // newer than the deletion, as an event of this moment would be
    server.ingest(&purchases(&[purchase("ann", in_an_hour, 8)])).ok();
    assert_eq!(server.features("streamed", "ann"), json!(["8", "1", "7", null]));
}

/// Names of files below the data directory that hold these bytes.
fn holding(world: &World, bytes: &[u8]) -> Vec<String> {
    let all = files(&world.path("store")).into_iter();
    let holds = |path: &std::path::PathBuf| {
        fs::read(path).is_ok_and(|content| memchr::memmem::find(&content, bytes).is_some()) // or it was dropped meanwhile
    };
    all.filter(holds).map(|path| path.display().to_string()).collect()
}

/// Whether it is a segment of a view in which the newest row counts.
fn is_of_newest(path: &str) -> bool {
    path.contains("/segments/") && !path.contains("/totals/")
}

/// A view that a file begins and a stream goes on with.
const BOTH: &str = r#"
[feature_views.favorite]
entity = "user"
timestamp = "at"
source = { csv = "../data/shops.csv" }
stream = "purchases"
features = { shop = "string" }
[feature_services.favorites]
features = ["favorite"]
"#;

/// Of views that count the newest row, the key stays a day, in a tombstone.
#[test]
fn in_the_end_no_file_holds_what_was_stored_of_a_deleted_key() {
    let world = world();
    world.write(
        "data/shops.csv",
        "user_id,at,shop\nsomebody-private,2024-01-01,their-private-shop\nbob,2024-01-01,any\n",
    );
    let both = format!("{SHOP}{BOTH}");
    world.write("definitions/shop.toml", &both).succeed(&["apply", "definitions", "--materialize"]);
    let config = crate::server::small_overlay(&world);
    let server = start(&world, &["--config", config]);
    fill(&server, &["somebody-private"]);
    let mut record = purchase("somebody-private", 2, 3);
    record["record"]["shop"] = json!("their-private-shop");
    server.ingest(&purchases(&[record])).ok();
    assert!(!holding(&world, b"somebody-private").is_empty() && !holding(&world, b"their-private-shop").is_empty());
    delete(&server, None, &["somebody-private"]);
    // Others write on, so that what is in memory goes to segments, these are compacted, and the log is cut behind them.
    let mut n = 0;
    within(Duration::from_secs(60), &Vec::new(), || {
        for _ in 0..20 {
            let records: Vec<_> = (0..1000).map(|i| purchase(&format!("user-{}", n * 1000 + i), 0, 1)).collect();
            let answer = server.ingest(&purchases(&records));
            assert!([200, 429].contains(&answer.status), "{answer:?}");
            n += i64::from(answer.status == 200);
        }
        let mut found = holding(&world, b"their-private-shop");
        found.extend(holding(&world, b"somebody-private").into_iter().filter(|path| !is_of_newest(path)));
        found
    });
    assert_eq!(server.features("streamed", "somebody-private"), nothing());
    assert_eq!(server.features("favorites", "somebody-private"), json!([null]));
    assert_eq!(server.features("favorites", "bob"), json!(["any"]));
    assert_eq!(server.features("newest", "user-0"), json!(["1"]));
}
