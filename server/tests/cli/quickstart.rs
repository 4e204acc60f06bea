use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use crate::{gannet::World, serve::Server};

/// Starts it; what it printed until it was ready.
fn start(world: &World) -> (Server, String) {
    let mut command = world.command(&["quickstart", "--users", "100", "--listen", "127.0.0.1:0"]);
    command.env_remove("GANNET_DATA").stdout(Stdio::piped());
    let mut server = Server::start(command);
    let mut out = BufReader::new(server.child.stdout.take().unwrap());
    let mut said = String::new();
    while !said.contains("Ctrl-C ends it.") {
        assert_ne!(out.read_line(&mut said).unwrap(), 0, "it ended: {said}");
    }
    (server, said)
}

#[test]
fn it_serves_the_sample_answer_and_finds_its_data_again() {
    let world = World::new();
    let (mut server, said) = start(&world);
    assert!(said.contains("N14228") && said.contains("/metrics"), "{said}");
    // Not below the data directory that the other commands take unless told otherwise.
    assert!(said.starts_with("Example data in quickstart-data:") && world.path("quickstart-data/CURRENT").exists());
    assert_eq!(std::fs::read_dir(world.path("data")).unwrap().count(), 0);

    let request = r#"{"params":{"workspaceName":"prod","featureServiceName":"fraud_detection_feature_service",
        "joinKeyMap":{"user_id":"C1000262126"},"requestOptions":{"latencyBudgetMs":"200"},
        "metadataOptions":{"includeNames":true,"includeEffectiveTimes":true,"includeDataTypes":true,
        "includeSloInfo":true,"includeServingStatus":true}}}"#;
    let (status, body) = server.ask("POST", "/api/v1/feature-service/get-features", "quickstart", request);
    assert_eq!(status, 200, "{body}");
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
    let features = &answer["result"]["features"];
    assert_eq!((&features[0], &features[1]), (&"0".into(), &"1".into()), "{body}");
    assert_eq!(features[2], 216_409, "{body}");
    let metadata = answer["metadata"]["features"].as_array().unwrap();
    let names: Vec<_> = metadata.iter().map(|feature| feature["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "transaction_amount_is_high.transaction_amount_is_high",
            "transaction_amount_is_higher_than_average.transaction_amount_is_higher_than_average",
            "last_transaction_amount_sql.amount",
            "transaction_amount_last_1000d.sum",
        ]
    );
    let types: Vec<_> = metadata.iter().map(|feature| feature["dataType"]["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["int64", "int64", "float64", "int64"]);
    assert!(metadata.iter().all(|feature| feature["status"] == "PRESENT"), "{body}");
    assert_eq!(metadata[0].get("effectiveTime"), None, "{body}");
    assert_eq!(metadata[2]["effectiveTime"], "2021-08-21T01:23:58.996Z");

    server.signal("INT");
    assert_eq!(server.wait().code(), Some(0));
    let (mut server, said) = start(&world);
    assert!(said.contains("Nothing to change"), "{said}");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}
