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

    // Real flights streamed in: what the features are by hand, from the data.
    let row = |feature: &str| -> Vec<String> {
        let line = said.lines().find_map(|line| line.trim().strip_prefix(feature));
        line.unwrap_or_else(|| panic!("no {feature}: {said}")).split_whitespace().map(str::to_owned).collect()
    };
    for (window, before, after) in [
        ("1d", ["148", "21.1689", "306"], ["145", "10.8690", "122"]),
        ("7d", ["1043", "18.4123", "306"], ["1032", "15.2006", "306"]),
        ("30d", ["4659", "17.5203", "392"], ["4679", "18.0417", "392"]),
    ] {
        for (at, function) in ["count", "mean", "max"].into_iter().enumerate() {
            let feature = format!("departure_delay_minutes_{function}_{window}_1d");
            assert_eq!(row(&feature), [before[at], after[at]], "{feature}");
        }
    }
    assert!(!said.contains("not counted twice"), "{said}");

    let samples: Vec<&str> =
        said.lines().filter_map(|line| line.trim().strip_prefix("-d '")?.strip_suffix('\'')).collect();
    let ask = |request: &str| {
        let (status, body) = server.ask("POST", "/api/v1/feature-service/get-features", "quickstart", request);
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<serde_json::Value>(&body).unwrap()
    };
    let mut answer = ask(samples[0]);
    let slo = answer["metadata"].as_object_mut().unwrap().remove("sloInfo").unwrap();
    let sample = serde_json::json!({
        "result": { "features": ["0", "1", 216_409, null] },
        "metadata": { "features": [
            {
                "name": "transaction_amount_is_high.transaction_amount_is_high",
                "dataType": { "type": "int64" },
                "status": "PRESENT"
            },
            {
                "name": "transaction_amount_is_higher_than_average.transaction_amount_is_higher_than_average",
                "dataType": { "type": "int64" },
                "status": "PRESENT"
            },
            {
                "name": "last_transaction_amount_sql.amount",
                "effectiveTime": "2021-08-21T01:23:58.996Z",
                "dataType": { "type": "float64" },
                "status": "PRESENT"
            },
            {
                "name": "transaction_amount_last_1000d.sum",
                "dataType": { "type": "int64" },
                "status": "TIME_OUT"
            },
        ] },
    });
    assert_eq!(answer, sample);
    assert_eq!(slo["sloEligible"], true, "{slo}");
    assert!(slo["serverTimeSeconds"].is_f64() && slo["storeResponseSizeBytes"].is_u64(), "{slo}");

    let answer = ask(samples[1]);
    let slow = &answer["metadata"]["features"][3];
    assert_eq!((&slow["name"], &slow["status"]), (&sample["metadata"]["features"][3]["name"], &"PRESENT".into()));
    assert!(answer["result"]["features"][3].is_string(), "{answer}");

    // The two that show a write: one more departure, and what it changes.
    let [record, history] = samples[samples.len() - 2..] else { panic!("{said}") };
    let (status, body) = server.ask("POST", "/ingest", "quickstart", record);
    assert_eq!(status, 200, "{body}");
    let answer = ask(history);
    let names = answer["metadata"]["features"].as_array().unwrap();
    let count = names.iter().position(|feature| feature["name"] == COUNT).unwrap();
    assert_eq!(answer["result"]["features"][count], "146");

    server.signal("INT");
    assert_eq!(server.wait().code(), Some(0));
    let (mut server, said) = start(&world);
    assert!(said.contains("Nothing to change") && said.contains("not counted twice"), "{said}");
    let again = said.lines().find(|line| line.contains("_count_1d_1d")).unwrap();
    assert_eq!(again.split_whitespace().skip(1).collect::<Vec<_>>(), ["146", "146"]);
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}

const COUNT: &str = "carrier_delays.departure_delay_minutes_count_1d_1d";
