//! `DELETE /ingest`, and who may write at all.

use gannet_api::auth::{KeyRecord, KeyTable, Role, Roles};
use gannet_engine::http::{Head, Method};

use crate::{
    fixture::{GET_FEATURES, head},
    writing::{HOUR_US, Writing, records, with_key},
};

const DELETE: fn() -> Head<'static> = || head(Method::Delete, "/ingest");

#[test]
fn keys_are_deleted_from_every_view_that_has_exactly_them() {
    let mut writing = Writing::new();
    let now_us = writing.world.now.unix_us;
    let body = r#"{"workspace_name":"prod","join_key_maps":[{"user_id":"C1"},{"user_id":"ü"}]}"#;
    let (told, rows) = writing.write(DELETE(), body);
    let counts =
        ["batch", "last", "sums", "wide"].map(|view| format!("{{\"featureViewName\":\"{view}\",\"keyCount\":\"2\"}}"));
    assert_eq!(told, format!("{{\"workspaceName\":\"prod\",\"deletedKeyCounts\":[{}]}}", counts.join(",")));
    assert_eq!(rows.len(), 8);
    assert_eq!(rows[0], format!("prod/batch \"C1\" @{now_us} deleted"));
    let two = r#"{"workspaceName":"prod","joinKeyMaps":[{"user_id":"C1","ad_id":"-7"}]}"#;
    let (told, rows) = writing.write(head(Method::Delete, "/api/v1/ingest"), two);
    assert_eq!(told, r#"{"workspaceName":"prod","deletedKeyCounts":[{"featureViewName":"visits","keyCount":"1"}]}"#);
    assert_eq!(rows.len(), 1);
    let named =
        r#"{"workspace_name":"prod","feature_view_names":["last","batch","last"],"join_key_maps":[{"user_id":"C1"}]}"#;
    let (told, _) = writing.write(head(Method::Delete, "/v1/ingest"), named);
    assert!(told.contains("\"batch\"") && told.contains("\"last\"") && !told.contains("\"sums\""), "{told}");
    let shown = writing.world.ask(head(Method::Get, "/metrics"), b"").1;
    let line = "gannet_deleted_keys_total{workspace=\"prod\",feature_view=\"last\"} 3";
    assert!(shown.lines().any(|shown| shown == line), "{shown}");
}

/// Senders' clocks run ahead, by whatever: what was written is gone all the same, and the delete is no event of its own.
#[test]
fn a_delete_reaches_the_newest_event_that_was_written() {
    for (ahead_us, reached_us) in [(-HOUR_US, 0), (5_000_000, 5_000_000), (48 * HOUR_US, 48 * HOUR_US)] {
        let mut writing = Writing::new();
        let now_us = writing.world.now.unix_us;
        writing.streams.get("prod/last").unwrap().advance_watermark(now_us + ahead_us);
        let body = r#"{"workspace_name":"prod","feature_view_names":["last"],"join_key_maps":[{"user_id":"C1"}]}"#;
        let (_, rows) = writing.write(DELETE(), body);
        assert_eq!(rows, [format!("prod/last \"C1\" @{} deleted", now_us + reached_us)]);
        assert_eq!(writing.streams.get("prod/last").unwrap().watermark_us(), Some(now_us + ahead_us));
    }
}

#[test]
fn faults_of_a_delete_are_told_in_the_request_shape() {
    let mut writing = Writing::new();
    let mut check = |body: &str, status: u16, message: &str| {
        let (answer, told) = writing.told(DELETE(), body);
        let message = serde_json::to_string(message).unwrap();
        let expected =
            format!("{{\"requestError\":{{\"errorMessage\":{message},\"errorType\":\"RequestValidationError\"}}}}");
        assert_eq!((answer.status.0, told), (status, expected), "{body}");
        assert_eq!(writing.far.waiting(), 0);
    };
    check("{}", 400, "Required field `workspace_name` is missing in the request");
    check(r#"{"workspace_name":"prod"}"#, 400, "Required field `join_key_maps` is missing in the request");
    let keys = |keys: &str| format!(r#"{{"workspace_name":"prod","join_key_maps":[{keys}]}}"#);
    check(&keys(""), 400, "A request holds from 1 to 10000 join_key_maps; this one holds 0.");
    check(
        &keys(&vec!["{}"; 10_001].join(",")),
        400,
        "A request holds from 1 to 10000 join_key_maps; this one holds 10001.",
    );
    check(&keys("5"), 400, "Unexpected JSON type for join_key_maps. Expected array of objects.");
    let none = "Workspace `prod` has no feature view with exactly the join keys of join_key_maps[1].";
    check(&keys(r#"{"user_id":"u"},{"ad_id":1}"#), 404, none);
    check(&keys(r#"{"user_id":"u","user_id":"v"}"#), 400, "Duplicate field: user_id");
    check(&keys(r#"{"user_id":null}"#), 400, "Unexpected JSON type for user_id in join_key_maps[0]. Expected string.");
    let int64 = "Unexpected JSON type for ad_id in join_key_maps[0]. Expected int64.";
    check(&keys(r#"{"user_id":"u","ad_id":"x"}"#), 400, int64);
    check(&keys(r#"{"user_id":"u","ad_id":1.5}"#), 400, int64);
    let long = format!("{{\"user_id\":\"{}\"}}", "k".repeat(1025));
    check(&keys(&long), 400, "The join keys of join_key_maps[0] come to more bytes than any key has.");
    let of = |views: &str, keys: &str| {
        format!(r#"{{"workspace_name":"prod","feature_view_names":[{views}],"join_key_maps":[{keys}]}}"#)
    };
    check(&of("\"none\"", "{}"), 404, "Feature view `none` was not found in workspace `prod`.");
    check(&of("5", "{}"), 400, "Unexpected JSON type for feature_view_names. Expected array of strings.");
    check(&of("\"visits\"", r#"{"user_id":"u"}"#), 400, "Missing required join key: ad_id");
    check(&of("\"last\"", r#"{"user_id":"u","x":1}"#), 400, "Unknown join key: x, expected one of: [user_id]");
    let missing = "Workspace `test` was not found. Ensure that the workspace is a live workspace.";
    check(&keys("{}").replace("prod", "test"), 404, missing);
}

#[test]
fn a_dry_run_of_a_delete_deletes_nothing() {
    let mut writing = Writing::new();
    let body =
        r#"{"workspace_name":"prod","dry_run":true,"feature_view_names":["last"],"join_key_maps":[{"user_id":"C1"}]}"#;
    let (answer, told) = writing.told(DELETE(), body);
    assert_eq!(answer.status.0, 200);
    assert_eq!(told, r#"{"workspaceName":"prod","deletedKeyCounts":[{"featureViewName":"last","keyCount":"0"}]}"#);
    assert_eq!(writing.far.waiting(), 0);
}

#[test]
fn a_role_that_is_not_enough_is_refused_behind_the_workspace_and_before_the_rest() {
    let mut writing = Writing::new();
    let key = |key: &str, workspace: Option<&str>, role| {
        let mut record = KeyRecord::of(key, "", 0);
        record.roles = Roles::none();
        record.roles.add(workspace, role);
        record
    };
    let table = vec![
        key("viewer", None, Role::Viewer),
        key("consumer", None, Role::Consumer),
        key("editor", Some("prod"), Role::Editor),
        key("elsewhere", Some("test"), Role::Admin),
    ];
    writing.world.shared.set_keys(KeyTable::new(table).unwrap());
    let record = r#"{"record":{"user_id":"u","at":"2021-08-21T01:23:58Z"}}"#;
    let body = records("clicks", record);
    let (dry, unknown) = (body.replace("false", "true"), records("nowhere", record));
    let delete = r#"{"workspace_name":"prod","join_key_maps":[{"user_id":"C1"}]}"#;
    let features = r#"{"params":{"featureViewName":"batch","joinKeyMap":{"user_id":"u"}}}"#;
    let denied = "Not Authorized. Note that access control changes may take up to 60 seconds to apply.";
    let forbidden =
        format!("{{\"requestError\":{{\"errorMessage\":\"{denied}\",\"errorType\":\"RequestValidationError\"}}}}");
    let forbidden_read = format!("{{\"error\":\"{denied}\",\"message\":\"{denied}\",\"code\":7}}");
    let mut check = |key: &str, method, path: &str, body: &str, status: u16| {
        let key = format!("Bearer {key}");
        let (answer, told) = writing.told(with_key(&key, head(method, path)), body);
        assert_eq!(answer.status.0, status, "{key} {path} {told}");
        let expected = if path == GET_FEATURES { &forbidden_read } else { &forbidden };
        assert_eq!(status == 403, told == *expected, "{told}");
    };
    for key in ["viewer", "consumer", "elsewhere"] {
        check(key, Method::Post, "/ingest", &body, 403);
        check(key, Method::Post, "/ingest", &unknown, 403);
        check(key, Method::Post, "/ingest", &body.replace("prod", "none"), 404);
        check(key, Method::Delete, "/ingest", delete, 403);
    }
    check("editor", Method::Post, "/ingest", &unknown, 404);
    check("viewer", Method::Post, "/ingest", &dry, 200);
    check("elsewhere", Method::Post, "/ingest", &dry, 403);
    check("viewer", Method::Post, GET_FEATURES, features, 403);
    check("elsewhere", Method::Post, GET_FEATURES, features, 403);
    check(
        "elsewhere",
        Method::Post,
        GET_FEATURES,
        &features.replace("\"featureViewName\"", "\"workspaceName\":\"none\",\"featureViewName\""),
        404,
    );
    check("consumer", Method::Post, GET_FEATURES, features, 404); // never materialized
    check("editor", Method::Post, GET_FEATURES, features, 404);
}
