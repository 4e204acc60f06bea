use std::{
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
    time::Duration,
};

use serde_json::json;

use crate::{
    client::Connection,
    data::{SHOP, nothing, purchase, purchases, world},
    server::{Server, command, create_key, features, start, within},
};

#[test]
fn what_was_written_is_there_after_a_restart() {
    let world = world();
    let server = start(&world, &[]);
    server.ingest(&purchases(&[purchase("ann", 0, 1), purchase("ann", 1, 2)])).ok();
    assert_eq!(server.stop().code(), Some(0));
    for round in 0..3 {
        let server = start(&world, &[]);
        let sum: i64 = 3 + round * 10;
        assert_eq!(server.features("sums", "ann"), json!([(2 + round).to_string(), sum.to_string()]));
        assert_eq!(server.features("profiles", "ann"), json!(["30"]));
        server.ingest(&purchases(&[purchase("ann", 2 + round, 10)])).ok();
        if round % 2 == 0 { server.kill() } else { assert_eq!(server.stop().code(), Some(0)) }
    }
    world.succeed(&["verify", "--all"]);
}

#[test]
fn a_restart_refuses_nobody_who_may_ask() {
    let world = world();
    let key = create_key(&world, &["--role", "admin"]);
    let mut server = Server::start(command(&world, &[]), &key);
    let address = server.address.clone();
    for _ in 0..20 {
        server.kill();
        let is_up = AtomicBool::new(false);
        server = std::thread::scope(|scope| {
            // As soon as the port is open, and while it is only being opened.
            scope.spawn(|| {
                let mut answered = 0;
                while answered < 3 {
                    let Ok(mut connection) = Connection::open(&address, &key) else { continue };
                    let Ok(answer) =
                        connection.ask("POST", "/ingest", &purchases(&[purchase("ann", 0, 1)]).to_string())
                    else {
                        continue;
                    };
                    assert!([200, 503].contains(&answer.status), "{answer:?}");
                    answered += i32::from(is_up.load(Ordering::Relaxed));
                }
            });
            let server = Server::start(command(&world, &["--listen", &address]), &key);
            is_up.store(true, Ordering::Relaxed);
            server
        });
    }
}

#[test]
fn a_second_server_on_one_directory_refuses() {
    let world = world();
    let server = start(&world, &[]);
    server.ingest(&purchases(&[purchase("ann", 0, 1)])).ok();
    let second = command(&world, &[]).output().unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{said}");
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("error: ") && last.contains("LOCK"), "{said}");
    server.ingest(&purchases(&[purchase("ann", 1, 2)])).ok();
    assert_eq!(server.features("sums", "ann"), json!(["2", "3"]));
    server.kill();
    // The lock goes with the process.
    assert_eq!(start(&world, &[]).features("sums", "ann"), json!(["2", "3"]));
}

/// Nothing of it is in a generation yet, so nothing else would say that it was there.
#[test]
fn a_server_whose_log_is_gone_refuses_to_start_until_it_is_given_up() {
    let world = world();
    let server = start(&world, &[]);
    server.ingest(&purchases(&[purchase("ann", 0, 1)])).ok();
    let second = command(&world, &["--give-up-log"]).output().unwrap();
    assert_eq!(second.status.code(), Some(1), "another process has the log");
    server.kill();
    assert_eq!(start(&world, &["--give-up-log"]).features("sums", "ann"), json!(["1", "1"]), "it can be read");

    let log = world.path("store/log");
    let file = log.join("0000000001.log");
    let gone: [&dyn Fn(); 2] = [&|| std::fs::remove_file(&file).unwrap(), &|| std::fs::remove_dir_all(&log).unwrap()];
    for (n, lose) in (1..).zip(gone) {
        lose();
        let refused = command(&world, &[]).output().unwrap();
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        let last = said.lines().last().unwrap();
        for expected in ["error: ", "--give-up-log", "0000000001.log", "none of them"] {
            assert!(last.contains(expected), "{expected}: {said}");
        }
        assert!(world.run(&["verify"]).err.contains("none of them"));
        let server = start(&world, &["--give-up-log"]);
        assert!(server.log().contains("message=\"the write log is given up"), "{}", server.log());
        assert_eq!(server.features("streamed", "ann"), nothing());
        server.ingest(&purchases(&[purchase("bob", 0, n)])).ok();
        server.kill();
        let server = start(&world, &[]);
        assert_eq!(server.features("sums", "bob"), json!(["1", n.to_string()]));
        server.kill();
    }
}

#[test]
fn inspect_shows_what_the_log_has_of_a_key_beside_a_server() {
    let world = world();
    let server = start(&world, &[]);
    let row = |view: &str, user: &str| world.run(&["inspect", "key", view, user]);
    let shown = |view: &str, user: &str| {
        let shown = world.row(view, user);
        (shown["features"].clone(), shown["in"].as_str().unwrap().to_owned())
    };
    server.ingest(&purchases(&[purchase("ann", 1, 7)])).ok();
    assert_eq!(shown("latest", "ann"), (json!({"n": "7"}), "write log".to_owned()));
    server.ingest(&purchases(&[purchase("ann", 0, 5)])).ok(); // older
    assert_eq!(shown("latest", "ann"), (json!({"n": "7"}), "write log".to_owned()));
    assert_eq!(shown("profile", "ann"), (json!({"age": "30"}), "tables".to_owned()));
    assert!(row("totals", "ann").err.contains("in the write log: 2 rows of "), "{:?}", row("totals", "ann"));
    let bob = row("latest", "bob");
    assert_eq!(bob.code, Some(1), "{bob:?}");
    let delete = json!({"workspace_name": "prod", "join_key_maps": [{"user_id": "ann"}]});
    server.ask("DELETE", "/ingest", &delete).ok();
    for view in ["latest", "profile"] {
        let deleted = row(view, "ann");
        assert!(deleted.code == Some(1) && deleted.err.contains("as the write log has it"), "{deleted:?}");
    }
    assert_eq!(shown("profile", "bob"), (json!({"age": "40"}), "tables".to_owned()));
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn sigterm_finishes_what_was_begun() {
    let world = world();
    let server = start(&world, &[]);
    let written: Vec<AtomicI64> = (0..4).map(|_| AtomicI64::new(0)).collect();
    let ends = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (writer, written) in written.iter().enumerate() {
            let (mut connection, ends) = (server.connect(), &ends);
            scope.spawn(move || {
                let user = format!("writer-{writer}");
                for n in 1.. {
                    let body = purchases(&[purchase(&user, n, 1)]).to_string();
                    let Ok(answer) = connection.ask("POST", "/ingest", &body) else { break };
                    if answer.status != 200 {
                        assert!(ends.load(Ordering::Relaxed) && answer.status == 503, "{answer:?}");
                        break;
                    }
                    written.store(n, Ordering::Relaxed);
                }
            });
        }
        within(Duration::from_secs(20), &true, || written.iter().all(|n| n.load(Ordering::Relaxed) > 20));
        ends.store(true, Ordering::Relaxed);
        server.signal("TERM");
    });
    let mut server = server;
    assert_eq!(server.child.wait().unwrap().code(), Some(0), "{}", server.log());
    drop(server);
    let server = start(&world, &[]);
    for (writer, written) in written.iter().enumerate() {
        // A drained server answers whatever it has taken, so nothing is there of which nobody was told.
        let expected = written.load(Ordering::Relaxed).to_string();
        assert_eq!(server.features("sums", &format!("writer-{writer}")), json!([expected, expected]));
    }
}

/// Writers that go on until they are told that their connection ends, one that has stopped, and one that never asked.
#[test]
fn sigterm_waits_for_nobody_who_asks_for_nothing() {
    let world = world();
    world.write("patient.toml", "drain_seconds_max = 300\n");
    let server = start(&world, &["--config", "patient.toml"]);
    let (mut stopped, _silent) = (server.connect(), server.connect());
    let body = |n| purchases(&[purchase("ann", n, 1)]).to_string();
    assert_eq!(stopped.ask("POST", "/ingest", &body(0)).unwrap().status, 200);
    let written = AtomicI64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (mut connection, written) = (server.connect(), &written);
            scope.spawn(move || {
                while let Ok(answer) = connection.ask("POST", "/ingest", &body(written.fetch_add(1, Ordering::Relaxed)))
                    && answer.status == 200
                {}
            });
        }
        within(Duration::from_secs(20), &true, || written.load(Ordering::Relaxed) > 100);
        server.signal("TERM");
    });
    let mut server = server;
    within(Duration::from_secs(60), &Some(0), || server.child.try_wait().unwrap().and_then(|status| status.code()));
    assert!(server.log().contains("message=stopped"), "{}", server.log());
}

#[test]
fn definitions_and_batches_change_while_writes_go_on() {
    let world = world();
    let server = start(&world, &[]);
    let written = AtomicI64::new(0);
    let ends = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (mut connection, server) = (server.connect(), &server);
        let (written, ends, world) = (&written, &ends, &world);
        scope.spawn(move || {
            for n in 1.. {
                if ends.load(Ordering::Relaxed) {
                    break;
                }
                let answer = connection.ask("POST", "/ingest", &purchases(&[purchase("ann", n, 1)]).to_string());
                assert_eq!(answer.unwrap().status, 200);
                written.store(n, Ordering::Relaxed);
                let n = n.to_string();
                assert_eq!(features(&mut connection, "sums", "ann").unwrap(), json!([n, n]));
            }
        });
        let changed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let more = r#"
[feature_views.amounts]
entity = "user"
stream = "purchases"
features = { amount = "float64" }
[feature_services.spent]
features = ["amounts"]
"#;
            world.write("definitions/shop.toml", format!("{SHOP}{more}")).succeed(&["apply", "definitions"]);
            let mut record = purchase("bob", 0, 5);
            record["record"]["amount"] = json!(2.5);
            within(Duration::from_secs(5), &json!([2.5]), || {
                server.ingest(&purchases(&[record.clone()])).ok();
                let params = json!({"featureServiceName": "spent", "joinKeyMap": {"user_id": "bob"}});
                let answer = server.ask("POST", "/v1/feature-service/get-features", &json!({ "params": params }));
                answer.json()["result"]["features"].clone()
            });
            for age in 31..36 {
                world.write(
                    "data/users.csv",
                    format!("user_id,at,age\nann,2024-02-{age},{age}\n").replace("02-3", "03-0"),
                );
                world.succeed(&["materialize"]);
                within(Duration::from_secs(5), &json!([age.to_string()]), || server.features("profiles", "ann"));
                server.signal("HUP");
            }
        }));
        ends.store(true, Ordering::Relaxed); // or the other thread would go on for ever
        changed.unwrap();
    });
    let total = written.load(Ordering::Relaxed).to_string();
    server.kill();
    let server = start(&world, &[]);
    assert_eq!(server.features("sums", "ann"), json!([total, total]));
    assert_eq!(server.features("streamed", "nobody"), nothing());
}
