//! What callers are told when something is wrong.

use gannet_api::State;
use gannet_engine::http::{Head, Method};
use gannet_store::Value::Int64;

use crate::fixture::{GET_FEATURES, World, head, text};

const DEFINITIONS: &str = r#"
workspace = "prod"
[entities.user]
join_keys = { user_id = "string" }
[entities.ad]
join_keys = { content_id = "int64" }
[feature_views.pair]
entities = ["user", "ad"]
timestamp = "t"
source = { parquet = "x.parquet" }
features = { x = "int64" }
[feature_views.bare]
entity = "user"
timestamp = "t"
source = { parquet = "x.parquet" }
features = { y = "int64" }
[feature_services.fs]
features = ["pair"]
[feature_services.waiting]
features = ["pair", "bare"]
"#;

fn world() -> World {
    World::new(DEFINITIONS, vec![("pair", vec![(vec![Int64(1), text("u")], 0, vec![Int64(10)])])])
}

#[test]
fn faults_of_a_body_are_told_in_their_order() {
    let mut world = world();
    let mut check = |params: &str, message: &str| world.check_error(params, 400, 3, message);
    check("5", "Unexpected JSON type for params. Expected object.");
    check(r#"{"workspaceName":"nowhere"}"#, "Exactly one of featureServiceName and featureServiceId must be set.");
    check(r#"{"featurePackageId":"x","workspaceName":"nowhere"}"#, "FeaturePackage locators are not supported.");
    check(r#"{"featureServiceName":"fs","joinKeyMap":[]}"#, "Unexpected JSON type for joinKeyMap. Expected object.");
    check(r#"{"featureServiceName":"fs"}"#, "Missing required join key: content_id");
    check(
        r#"{"featureServiceName":"fs","joinKeyMap":{"z":1,"content_id":"x"},"requestOptions":{"latencyBudgetMs":0}}"#,
        "Missing required join key: user_id",
    );
    check(
        r#"{"featureServiceName":"fs","joinKeyMap":{"z":1,"join_key":1,"content_id":"x","user_id":1}}"#,
        "Unknown join key: join_key, expected one of: [content_id user_id]",
    );
    check(
        r#"{"featureServiceName":"fs","joinKeyMap":{"content_id":"x","user_id":1}}"#,
        "Unexpected JSON type for content_id in joinKeyMap. Expected int64 or null.",
    );
    for wrong in ["true", "5.5", "9223372036854775808", "1e40", "\"5.0\"", "\"+5\"", "\"\"", "[]", "{}"] {
        check(
            &format!(r#"{{"featureServiceName":"fs","joinKeyMap":{{"content_id":{wrong},"user_id":null}}}}"#),
            "Unexpected JSON type for content_id in joinKeyMap. Expected int64 or null.",
        );
    }
    for wrong in ["true", "5", "5.5", "[]", "{}"] {
        check(
            &format!(r#"{{"featureServiceName":"fs","joinKeyMap":{{"content_id":null,"user_id":{wrong}}}}}"#),
            "Unexpected JSON type for user_id in joinKeyMap. Expected string or null.",
        );
    }
    let options = |options: &str| {
        format!(
            r#"{{"featureServiceName":"fs","joinKeyMap":{{"content_id":1,"user_id":"u"}},"requestOptions":{options}}}"#
        )
    };
    let budget = "latencyBudgetMs must be a number of milliseconds from 0.1 to 60000.";
    check(&options(r#"{"latencyBudgetMs":"0"}"#), budget);
    check(
        &options(r#"{"aggregationLeadingEdge":"NOW"}"#),
        "Unexpected value for aggregationLeadingEdge. Expected one of: AGGREGATION_MODE_UNSPECIFIED, \
         AGGREGATION_MODE_WALL_CLOCK_TIME, AGGREGATION_MODE_LATEST_EVENT_TIME.",
    );
}

#[test]
fn malformed_bodies_get_the_json_error_body() {
    let mut world = world();
    let mut check = |body: &[u8], message: &str| {
        let (answer, told) = world.ask(head(Method::Post, GET_FEATURES), body);
        assert_eq!(answer.status.0, 400);
        assert_eq!(told, format!("{{\"error\":\"{message}\",\"message\":\"{message}\",\"code\":3}}"));
    };
    check(b"", "Invalid JSON in request body: empty body at byte 0");
    check(b"{\"params\":{}", "Invalid JSON in request body: unexpected end at byte 12");
    check(b"{\"params\":\"\xff\"}", "Invalid JSON in request body: invalid UTF-8 at byte 11");
    check(b"{}", "Missing field: params");
}

#[test]
fn unknown_services_and_workspaces_are_told_alike() {
    let mut world = world();
    let unknown = |service: &str, workspace: &str| {
        format!(
            "Unable to query FeatureService `{service}` for workspace `{workspace}`. Newly created feature services may \
             take up to 60 seconds to query. Also, ensure that the workspace is a live workspace."
        )
    };
    let mut check = |params: &str, message: &str| world.check_error(params, 404, 5, message);
    check(r#"{"featureServiceName":"fs","workspaceName":"nowhere"}"#, &unknown("fs", "nowhere"));
    check(r#"{"featureServiceName":"no \"such\"\n"}"#, &unknown("no \"such\"\n", "prod"));
    check(r#"{"featureServiceName":"pair"}"#, &unknown("pair", "prod"));
    check(r#"{"featureViewName":"fs"}"#, &unknown("fs", "prod"));
    check(r#"{"featureServiceId":"fs"}"#, &unknown("fs", "prod"));
    let long = "s".repeat(1000);
    check(&format!("{{\"featureServiceName\":\"{long}\"}}"), &unknown(&long[..256], "prod"));
    let waiting = "Cannot retrieve features. FeatureView: bare has no materialized data in the online store.";
    check(r#"{"featureServiceName":"waiting","joinKeyMap":{}}"#, waiting);
    check(r#"{"featureViewName":"bare"}"#, waiting);
}

#[test]
fn what_the_head_shows_is_told_before_the_body_is_looked_at() {
    let mut world = world();
    let mut check = |head: Head<'_>, status: u16, code: u8, message: &str| {
        let (answer, told) = world.ask(head, b"not json");
        assert_eq!(answer.status.0, status);
        assert_eq!(told, format!("{{\"error\":\"{message}\",\"message\":\"{message}\",\"code\":{code}}}"));
        answer
    };
    let denied = "invalid 'Tecton-key' authorization header. \
                  Note that newly created credentials may take up to 60 seconds to be usable.";
    let post = head(Method::Post, GET_FEATURES);
    for header in [None, Some(&b"Tecton-key wrong"[..]), Some(b"quickstart"), Some(b"Basic quickstart")] {
        let answer = check(Head { authorization: header, ..post }, 401, 16, denied);
        assert_eq!(answer.authenticate, Some("Tecton-key"));
    }
    check(Head { authorization: None, path: b"/nowhere", ..post }, 401, 16, denied);
    check(Head { authorization: Some(b"bearer quickstart"), path: b"/nowhere", ..post }, 404, 5, "Not Found");
    let answer = check(Head { method: Method::Get, ..post }, 405, 12, "Method Not Allowed");
    assert_eq!(answer.allow, Some("POST, OPTIONS"));
    let unauthorised = Head { authorization: None, ..head(Method::Delete, "/metrics") };
    assert_eq!(check(unauthorised, 405, 12, "Method Not Allowed").allow, Some("GET, HEAD, OPTIONS"));
    let coded = Head { content_encoding: Some(b"gzip"), ..post };
    let answer = check(coded, 415, 3, "Unsupported Content-Encoding. Expected identity.");
    assert_eq!(answer.accept_encoding, Some("identity"));
    let identity = Head { content_encoding: Some(b"Identity"), ..post };
    assert_eq!(world.ask(identity, b"{}").0.status.0, 400);
}

#[test]
fn a_refusal_before_the_body_comes_is_that_of_the_whole_request() {
    use gannet_engine::{Finished, Service};
    let mut world = world();
    world.core.turn(world.now);
    let post = head(Method::Post, GET_FEATURES);
    assert!(world.core.refuse_early(world.now, &post).is_none());
    let ticket = world.core.refuse_early(world.now, &Head { authorization: None, ..post }).unwrap();
    world.core.gather(world.now);
    let mut body = Vec::new();
    let Finished::Answer(answer) = world.core.finish(world.now, ticket, &mut body) else { panic!("nothing waits") };
    assert_eq!(answer.status.0, 401);
    assert!(body.starts_with(b"{\"error\":\"invalid 'Tecton-key'"));
}

#[test]
fn probes_need_no_key_and_tell_the_state() {
    let mut world = world();
    let probe = |path| Head { authorization: None, ..head(Method::Get, path) };
    assert_eq!(world.ask(probe("/healthz"), b"").1, "{\"status\":\"ok\"}");
    assert_eq!(world.ask(probe("/readyz"), b"").1, "{\"status\":\"ready\"}");
    world.shared.set_state(State::Draining("draining".to_owned()));
    let (answer, body) = world.ask(probe("/readyz"), b"");
    assert_eq!((answer.status.0, answer.retry_after_s), (503, Some(1)));
    assert_eq!(body, "{\"error\":\"draining\",\"message\":\"draining\",\"code\":14}");
    let params = r#"{"params":{"featureServiceName":"fs","joinKeyMap":{"content_id":1,"user_id":"u"}}}"#;
    assert_eq!(world.get_features(params).0, 200, "what still arrives is answered");
    world.shared.set_state(State::Ready);
    world.shared.publish(None);
    assert_eq!(world.ask(probe("/readyz"), b"").0.status.0, 503);
    let (status, body) = world.get_features(params);
    assert_eq!(status, 503);
    assert!(body.starts_with("{\"error\":\"503 Service Temporarily Unavailable\""), "{body}");
    let (answer, body) = world.ask(Head { authorization: None, ..head(Method::Options, "*") }, b"");
    assert_eq!((answer.status.0, answer.allow, body.as_str()), (204, Some("GET, HEAD, POST, DELETE, OPTIONS"), ""));
}

/// Senders of writes know their own shape of errors only.
#[test]
fn what_http_refuses_has_the_shape_of_the_path_it_was_sent_to() {
    use gannet_engine::{Service, http::Fault};
    let mut world = world();
    let mut told = |path, fault: Fault| {
        let form = world.core.form(&head(Method::Post, path));
        let mut body = Vec::new();
        world.core.refused(fault, form, &mut body);
        String::from_utf8(body).unwrap()
    };
    for path in ["/ingest", "/v1/ingest", "/api/v1/ingest"] {
        let expected =
            r#"{"requestError":{"errorMessage":"Request body too large","errorType":"RequestValidationError"}}"#;
        assert_eq!(told(path, Fault::BodyTooLarge), expected);
    }
    assert!(told("/ingest", Fault::MethodUnknown).ends_with("\"errorType\":\"InternalError\"}}"));
    let features = r#"{"error":"Request body too large","message":"Request body too large","code":8}"#;
    assert_eq!(told(GET_FEATURES, Fault::BodyTooLarge), features);
}
