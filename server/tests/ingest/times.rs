use serde_json::json;

use crate::{
    data::{at, purchase, purchases, world},
    server::start,
};

#[test]
fn the_newest_event_time_wins_and_of_equal_ones_the_last_written() {
    let world = world();
    let server = start(&world, &[]);
    let check = |records: &[(i64, i64)], expected: i64| {
        let records: Vec<_> = records.iter().map(|(time, n)| purchase("ann", *time, *n)).collect();
        server.ingest(&purchases(&records)).ok();
        assert_eq!(server.features("newest", "ann"), json!([expected.to_string()]));
    };
    check(&[(20, 1)], 1);
    check(&[(10, 2)], 1); // late
    check(&[(20, 3)], 3); // equal
    check(&[(30, 4), (25, 5)], 4); // within a request as between them
    check(&[(30, 6), (30, 7)], 7);
    check(&[(29, 8)], 7);
}

#[test]
fn late_events_count_in_their_tiles() {
    let world = world();
    let server = start(&world, &[]);
    let check = |records: &[(i64, i64)], expected: [&str; 2]| {
        let records: Vec<_> = records.iter().map(|(time, n)| purchase("ann", *time, *n)).collect();
        server.ingest(&purchases(&records)).ok();
        assert_eq!(server.features("sums", "ann"), json!(expected));
    };
    check(&[(0, 5)], ["1", "5"]);
    check(&[(-3_600_000, 7), (0, 1)], ["3", "13"]); // an hour late, and the same moment once more
    check(&[(-22 * 3_600_000 - 300_000, 100)], ["3", "13"]); // further back than the window reaches
    check(&[(7_200_000 + 3_600_000, 100)], ["3", "13"]); // in an hour
}

#[test]
fn times_are_read_as_they_are_written() {
    let world = world();
    let server = start(&world, &[]);
    let moment: jiff::Timestamp = at(0).parse().unwrap();
    let seconds = moment.as_second().div_euclid(60) * 60;
    let text = |seconds: i64| jiff::Timestamp::from_second(seconds).unwrap().to_string();
    let minute = text(seconds).trim_end_matches(":00Z").to_owned();
    // Each is newer than the one before, by no more than what is written last.
    let times = [
        minute.clone(),
        format!("{minute}:00.000001"),
        format!("{minute}:00.000002Z"),
        format!("{minute}:00.000003999Z"),
        format!("{}:00.000004+01:00", text(seconds + 3600).trim_end_matches(":00Z")),
        format!("{}:01-00:30", text(seconds - 1800).trim_end_matches(":00Z")),
    ];
    for (n, time) in times.iter().enumerate() {
        let record = json!({"record": {"user_id": "ann", "at": time, "n": n}});
        server.ingest(&purchases(&[record])).ok();
        assert_eq!(server.features("newest", "ann"), json!([n.to_string()]), "{time}");
    }
    let records = [json!({"record": {"user_id": "ann", "at": times[1], "n": 99}})];
    server.ingest(&purchases(&records)).ok();
    assert_eq!(server.features("newest", "ann"), json!(["5"]));
}
