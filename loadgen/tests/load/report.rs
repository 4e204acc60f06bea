//! What holds of every report.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{Act, measure, serve};

/// No request is lost between plan and report, in no stream and no stretch of time.
pub(crate) fn assert_adds_up(report: &Value) {
    let streams = report["streams"].as_array().unwrap();
    for stream in streams.iter().chain([&report["total"]]) {
        adds_up(&stream["counts"]);
    }
    for (stream, series) in streams.iter().zip(report["series"]["streams"].as_array().unwrap()) {
        for rows in [&series["per_second"], &series["per_100ms"]] {
            for (field, all) in stream["counts"].as_object().unwrap() {
                let sum: u64 = rows.as_array().unwrap().iter().map(|row| row[field].as_u64().unwrap()).sum();
                assert_eq!(Some(sum), all.as_u64(), "{field}");
            }
        }
    }
    for (field, total) in report["total"]["counts"].as_object().unwrap() {
        let sum: u64 = streams.iter().map(|s| s["counts"][field].as_u64().unwrap()).sum();
        assert_eq!(Some(sum), total.as_u64(), "{field}");
    }
}

fn adds_up(counts: &Value) {
    let sum = |fields: &[&str]| fields.iter().map(|field| counts[field].as_u64().unwrap()).sum::<u64>();
    assert_eq!(sum(&["planned"]), sum(&["sent", "shed", "unsent"]), "{counts}");
    let fates = ["full", "partial", "refused", "other", "errors", "unanswered"];
    assert_eq!(sum(&["sent"]), sum(&fates), "{counts}");
    assert_eq!(sum(&["full", "partial"]), sum(&["good", "late"]), "{counts}");
}

/// The page explains the JSON, so it must name what is in it, and nothing that is not.
#[test]
fn every_field_of_the_json_is_on_the_page() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/loadgen.md")).unwrap();
    let fields = page.split("\n## The JSON").nth(1).unwrap().split("\n## ").next().unwrap();
    let named = fields.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let named: BTreeSet<String> =
        named.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(ToOwned::to_owned).collect();
    let address = serve(|_| Act::Answer(404, ""));
    let report = measure(address, "--rate 100 --duration 200ms --jitter-thread 0");
    let mut found = BTreeSet::new();
    collect(&report, "", &mut found);
    assert_eq!(found, named);
}

/// Paths to all fields; a list stands for its first element.
fn collect(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) if !path.ends_with("other_statuses") => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect(value, &path, found);
            }
        }
        Value::Array(values) if values.first().is_some_and(Value::is_object) => {
            collect(&values[0], &format!("{path}[]"), found);
        }
        _ => {
            found.insert(path.to_owned());
        }
    }
}
