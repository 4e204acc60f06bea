use serde_json::{Value, json};

use crate::{
    data::{at, counts, nothing, purchase, purchases, request, visit, world},
    server::{Server, start},
};

const PATHS: [&str; 3] = ["/api/v1/ingest", "/v1/ingest", "/ingest"];

#[test]
fn a_request_with_several_sources_says_what_each_view_took() {
    let world = world();
    let server = start(&world, &[]);
    for (n, path) in PATHS.iter().enumerate() {
        let user = format!("user-{n}");
        let records = json!({
            "purchases": [purchase(&user, 0, 1), purchase(&user, 1, 2), purchase("ann", 0, 3)],
            "visits": [visit(&user, 0, 9)],
        });
        let answer = server.ask("POST", path, &request(&records)).ok();
        assert_eq!(answer["workspaceName"], "prod");
        let expected = [("latest", "3"), ("shops", "3"), ("totals", "3"), ("visited", "1")];
        assert_eq!(counts(&answer), expected.map(|(view, count)| (view.to_owned(), count.to_owned())), "{answer}");
        for view in answer["ingestMetrics"]["featureViewIngestMetrics"].as_array().unwrap() {
            assert_eq!(view["offlineRecordIngestCount"], "0", "{answer}");
            let id = view["featureViewId"].as_str().unwrap();
            assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{answer}");
        }
        assert_eq!(server.features("streamed", &user), json!(["2", "2", "3", "9"]));
    }
    assert_eq!(server.features("sums", "ann"), json!(["3", "9"]));
}

#[test]
fn both_spellings_are_the_same_request() {
    let world = world();
    let server = start(&world, &[]);
    let body = json!({"workspaceName": "prod", "dryRun": false, "records": {"purchases": [purchase("ann", 0, 1)]}});
    server.ingest(&body).ok();
    assert_eq!(server.features("newest", "ann"), json!(["1"]));
}

#[test]
fn a_dry_run_checks_everything_and_writes_nothing() {
    let world = world();
    let server = start(&world, &[]);
    let mut body = purchases(&[purchase("ann", 0, 1)]);
    body["dry_run"] = json!(true);
    let answer = server.ingest(&body).ok();
    assert!(counts(&answer).iter().all(|(_, count)| count == "0"), "{answer}");
    assert_eq!(server.features("streamed", "ann"), nothing());
    body["records"]["purchases"][0]["record"]["n"] = json!("x");
    refused(&server, &body, 400, "");
}

/// The error of a request that is refused, whose message holds `says`.
#[track_caller]
fn refused(server: &Server, body: &Value, status: u16, says: &str) -> Value {
    let answer = server.ingest(body);
    assert_eq!(answer.status, status, "{body}: {answer:?}");
    assert!(answer.body.contains(says), "{body}: {answer:?}");
    let error = answer.json();
    match error.get("recordErrors") {
        Some(errors) => {
            assert_eq!(error["workspaceName"], "prod", "{error}");
            for error in errors.as_array().unwrap() {
                assert_eq!(error["errorType"], "TectonObjectValidationError", "{error}");
                assert!(error["errorMessage"].is_string() && error["pushSourceName"].is_string(), "{error}");
            }
        }
        None => assert_eq!(error["requestError"]["errorType"], "RequestValidationError", "{error}"),
    }
    error
}

#[test]
fn what_is_missing_is_named() {
    let world = world();
    let server = start(&world, &[]);
    for field in ["workspace_name", "dry_run", "records"] {
        let mut body = purchases(&[purchase("ann", 0, 1)]);
        body.as_object_mut().unwrap().remove(field);
        let message = format!("Required field `{field}` is missing in the request");
        assert_eq!(refused(&server, &body, 400, "")["requestError"]["errorMessage"], message);
    }
    let mut elsewhere = purchases(&[purchase("ann", 0, 1)]);
    elsewhere["workspace_name"] = json!("elsewhere");
    refused(&server, &elsewhere, 404, "elsewhere");
    refused(&server, &request(&json!({"returns": [purchase("ann", 0, 1)]})), 404, "returns");
    refused(&server, &request(&json!({"unused": [{"record": {"user_id": "ann", "at": at(0)}}]})), 404, "unused");
    refused(&server, &request(&json!({})), 400, "");
    refused(&server, &purchases(&[]), 400, "");
    let malformed = server.connect().ask("POST", "/ingest", r#"{"workspace_name":"#).unwrap();
    assert_eq!(malformed.status, 400, "{malformed:?}");
    assert_eq!(malformed.json()["requestError"]["errorType"], "RequestValidationError");
    assert_eq!(server.features("streamed", "ann"), nothing());
}

#[test]
fn one_bad_record_and_nothing_is_written() {
    let world = world();
    let server = start(&world, &[]);
    let at = at(0);
    let old = "2000-01-01T00:00:00Z";
    for (record, says) in [
        (json!({"user_id": "eve", "at": at, "n": "x"}), "n"),
        (json!({"user_id": "eve", "at": at, "n": 1.5}), "n"),
        (json!({"user_id": "eve", "at": at, "n": 9_223_372_036_854_775_808_u64}), "n"),
        (json!({"user_id": "eve", "at": at, "shop": 7}), "shop"),
        (json!({"user_id": "eve", "at": at, "amount": "much"}), "amount"),
        (json!({"user_id": "eve", "at": at, "colour": "red"}), "colour"),
        (json!({"user_id": null, "at": at, "n": 1}), "user_id"),
        (json!({"at": at, "n": 1}), "user_id"),
        (json!({"user_id": 7, "at": at, "n": 1}), "user_id"),
        (json!({"user_id": "eve", "n": 1}), "timestamp field at is missing"),
        (json!({"user_id": "eve", "at": "yesterday", "n": 1}), "at"),
        (json!({"user_id": "eve", "at": 1_700_000_000, "n": 1}), "at"),
        (json!({"user_id": "eve", "at": old, "n": 1}), "timestamp value is outside of the serving TTL"),
    ] {
        let records = [purchase("ann", 0, 1), json!({ "record": record }), purchase("bob", 0, 1)];
        let body = request(&json!({"purchases": records, "visits": [visit("ann", 0, 1)]}));
        let error = refused(&server, &body, 400, says);
        assert!(error["recordErrors"].is_array(), "{record}: {error}");
        for user in ["ann", "bob", "eve"] {
            assert_eq!(server.features("streamed", user), nothing(), "{record}");
        }
    }
    // Each bad record of each view is told.
    let bad = json!({"record": {"user_id": "eve", "at": old, "n": 1}});
    let error = refused(&server, &purchases(&[bad.clone(), purchase("ann", 0, 1), bad]), 400, "");
    let errors = error["recordErrors"].as_array().unwrap();
    assert_eq!(errors.len(), 2, "{error}");
    assert!(errors.iter().all(|error| error["featureViewName"] == "totals"), "{error}");
}

#[test]
fn null_fields_and_extremes_are_values() {
    let world = world();
    let server = start(&world, &[]);
    let check = |milliseconds: i64, n: Value, expected: Value| {
        let record = json!({"record": {"user_id": "ann", "at": at(milliseconds), "n": n}});
        server.ingest(&purchases(&[record])).ok();
        assert_eq!(server.features("newest", "ann"), json!([expected]));
    };
    check(0, json!(null), json!(null));
    check(1, json!(i64::MAX), json!(i64::MAX.to_string()));
    check(2, json!(i64::MIN), json!(i64::MIN.to_string()));
    let without = json!({"record": {"user_id": "ann", "at": at(3)}});
    server.ingest(&purchases(&[without])).ok();
    assert_eq!(server.features("newest", "ann"), json!([null]));
}

#[test]
fn ten_thousand_records_are_a_request_and_one_more_is_none() {
    let world = world();
    let server = start(&world, &[]);
    let records: Vec<_> = (0..10_001).map(|n| visit(&format!("user-{n}"), 0, n)).collect();
    let visits = |records: &[Value]| request(&json!({ "visits": records }));
    refused(&server, &visits(&records), 400, "10000");
    assert_eq!(server.features("pages", "user-0"), json!([null]));
    let answer = server.ingest(&visits(&records[..10_000])).ok();
    assert_eq!(counts(&answer), [("visited".to_owned(), "10000".to_owned())], "{answer}");
    for n in [0, 5_000, 9_999] {
        assert_eq!(server.features("pages", &format!("user-{n}")), json!([n.to_string()]));
    }
    assert_eq!(server.features("pages", "user-10000"), json!([null]));
}
