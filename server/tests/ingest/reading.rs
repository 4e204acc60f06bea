use serde_json::json;

use crate::{
    data::{purchase, purchases, world},
    server::{features, start},
};

#[test]
fn what_was_answered_is_readable_on_every_core() {
    let world = world();
    let server = start(&world, &[]);
    // The kernel spreads connections over the cores by their ports: of so many, none is left out.
    let mut connections: Vec<_> = (0..48).map(|_| server.connect()).collect();
    for n in 0..150 {
        let writer = n % connections.len();
        let n = i64::try_from(n).unwrap();
        let body = purchases(&[purchase("ann", n, n)]).to_string();
        let answer = connections[writer].ask("POST", "/ingest", &body).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        for reader in &mut connections {
            assert_eq!(features(reader, "newest", "ann").unwrap(), json!([n.to_string()]));
        }
    }
    let sum: i64 = (0..150).sum();
    for reader in &mut connections {
        assert_eq!(features(reader, "sums", "ann").unwrap(), json!(["150", sum.to_string()]));
    }
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn writers_at_once_lose_nothing() {
    let world = world();
    let server = start(&world, &[]);
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let server = &server;
            scope.spawn(move || {
                let mut connection = server.connect();
                for n in 0..50 {
                    let own = format!("writer-{writer}");
                    let records = [purchase(&own, n, n), purchase("everybody", writer * 50 + n, 1)];
                    let answer = connection.ask("POST", "/ingest", &purchases(&records).to_string()).unwrap();
                    assert_eq!(answer.status, 200, "{answer:?}");
                    assert_eq!(features(&mut connection, "newest", &own).unwrap(), json!([n.to_string()]));
                }
            });
        }
    });
    assert_eq!(server.features("sums", "everybody"), json!(["400", "400"]));
    for writer in 0..8 {
        assert_eq!(server.features("sums", &format!("writer-{writer}")), json!(["50", "1225"]));
    }
}
