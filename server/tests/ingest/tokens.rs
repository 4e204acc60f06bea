use serde_json::{Value, json};

use crate::{
    data::{counts, purchase, purchases, world},
    server::start,
};

/// A purchase of 1 that carries a token.
fn with_token(source: &str, partition: i64, sequence: i64) -> Value {
    let mut body = purchases(&[purchase("ann", sequence, 1)]);
    body["source_token"] = json!({"source": source, "partition": partition, "sequence": sequence});
    body
}

#[test]
fn a_token_that_was_seen_is_acknowledged_and_not_applied_again() {
    let world = world();
    let server = start(&world, &[]);
    let check = |server: &crate::server::Server, body: &Value, total: &str| {
        server.ingest(body).ok();
        assert_eq!(server.features("sums", "ann"), json!([total, total]));
    };
    check(&server, &with_token("orders", 0, 17), "1");
    check(&server, &with_token("orders", 0, 17), "1");
    check(&server, &with_token("orders", 0, 16), "1");
    check(&server, &with_token("orders", 0, 18), "2");
    check(&server, &with_token("orders", 1, 17), "3"); // another partition
    check(&server, &with_token("refunds", 0, 17), "4"); // another source
    server.kill();

    let server = start(&world, &[]);
    check(&server, &with_token("orders", 0, 18), "4");
    check(&server, &with_token("orders", 0, 19), "5");
    assert_eq!(server.stop().code(), Some(0));
    let server = start(&world, &[]);
    check(&server, &with_token("orders", 0, 19), "5");
    check(&server, &with_token("orders", 1, 17), "5");
    check(&server, &with_token("refunds", 0, 18), "6");
}

#[test]
fn a_token_is_whole_or_refused() {
    let world = world();
    let server = start(&world, &[]);
    for token in [
        json!("orders"),
        json!({}),
        json!({"source": "orders", "partition": 0}),
        json!({"source": "orders", "partition": -1, "sequence": 1}),
        json!({"source": 7, "partition": 0, "sequence": 1}),
    ] {
        let mut body = with_token("orders", 0, 1);
        body["source_token"] = token;
        let answer = server.ingest(&body);
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        assert_eq!(answer.json()["requestError"]["errorType"], "RequestValidationError");
    }
    let mut dry = with_token("orders", 0, 1);
    dry["dry_run"] = json!(true);
    server.ingest(&dry).ok();
    // A dry run leaves no trace of its token.
    let answer = server.ingest(&with_token("orders", 0, 1)).ok();
    assert!(counts(&answer).iter().all(|(_, count)| count == "1"), "{answer}");
    assert_eq!(server.features("sums", "ann"), json!(["1", "1"]));
}
