use serde_json::json;

use crate::{
    client::Answer,
    data::{purchase, purchases, world},
    server::{create_key, start},
};

const READ: &str = "/api/v1/feature-service/get-features";

#[test]
fn a_role_says_what_a_key_may_do() {
    let world = world();
    let server = start(&world, &[]);
    let write = purchases(&[purchase("ann", 0, 1)]);
    let mut try_out = write.clone();
    try_out["dry_run"] = json!(true);
    let delete = json!({"workspace_name": "prod", "join_key_maps": [{"user_id": "nobody"}]});
    let read = json!({"params": {"featureServiceName": "newest", "joinKeyMap": {"user_id": "ann"}}});
    // Reading, trying out, writing, deleting.
    for (roles, expected) in [
        (&["--role", "viewer"][..], [403, 200, 403, 403]),
        (&["--role", "consumer"], [200, 200, 403, 403]),
        (&["--role", "editor"], [200; 4]),
        (&["--role", "admin"], [200; 4]),
        (&[], [200, 200, 403, 403]),
        (&["--role", "prod=editor"], [200; 4]),
        (&["--role", "elsewhere=admin"], [403; 4]),
        (&["--role", "viewer", "--role", "prod=editor"], [200; 4]),
        (&["--role", "editor", "--role", "prod=viewer"], [200; 4]),
    ] {
        let key = create_key(&world, roles);
        let ask = |method, path, body: &serde_json::Value| {
            server.connect_as(&key).ask(method, path, &body.to_string()).unwrap()
        };
        crate::server::within(std::time::Duration::from_secs(5), &false, || ask("POST", READ, &read).status == 401);
        let answers = [
            ask("POST", READ, &read),
            ask("POST", "/ingest", &try_out),
            ask("POST", "/ingest", &write),
            ask("DELETE", "/ingest", &delete),
        ];
        assert_eq!(answers.each_ref().map(|answer| answer.status), expected, "{roles:?}: {answers:?}");
        for refused in answers[1..].iter().filter(|answer| answer.status == 403) {
            is_request_error(
                refused,
                "Not Authorized. Note that access control changes may take up to 60 seconds to apply.",
            );
        }
    }
}

#[test]
fn without_a_key_nothing_is_written() {
    let world = world();
    let server = start(&world, &[]);
    let write = purchases(&[purchase("ann", 0, 1)]).to_string();
    for (method, key) in [("POST", "wrong"), ("DELETE", "wrong"), ("POST", "")] {
        let answer = server.connect_as(key).ask(method, "/ingest", &write).unwrap();
        assert_eq!(answer.status, 401, "{answer:?}");
        is_request_error(&answer, "invalid 'Tecton-key' authorization header");
    }
    assert_eq!(server.features("newest", "ann"), json!([null]));
}

fn is_request_error(answer: &Answer, message: &str) {
    let body = answer.json();
    assert_eq!(body["requestError"]["errorType"], "RequestValidationError", "{body}");
    assert!(body["requestError"]["errorMessage"].as_str().unwrap().contains(message), "{body}");
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    assert!(answer.head.contains("content-type: application/json\r\n"), "{answer:?}");
}
