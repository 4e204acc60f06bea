//! A day of departures, sent through `POST /ingest` as a sender would, and what that does to features.

use std::{fmt::Write as _, net::SocketAddr};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::request::{DELAY_HISTORY, INGEST, post};

/// What `delay_history` said of a carrier before the day's departures were sent, and after.
#[derive(Debug)]
pub(crate) struct Replay {
    records: usize,
    before: Vec<(String, String)>,
    after: Vec<(String, String)>,
}

/// Sends `departures`, one record a line, and looks before and after it. Sent again, they count once.
pub(crate) fn replay(address: SocketAddr, key: &str, departures: &str) -> Result<Replay> {
    let lines: Vec<&str> = departures.lines().collect();
    let before = ask(address, key)?;
    for (at, records) in lines.chunks(RECORDS_PER_REQUEST).enumerate() {
        let body = request(at + 1, records);
        post(address, key, INGEST, &body).with_context(|| format!("request {} of the departures failed", at + 1))?;
    }
    Ok(Replay { records: lines.len(), before, after: ask(address, key)? })
}

impl Replay {
    /// Both side by side, for people.
    pub(crate) fn table(&self) -> String {
        let mut table = String::new();
        let width = self.before.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let _ = writeln!(table, "  {:<width$}  {:>10}  {:>10}", "", "before", "after");
        for ((name, before), (_, after)) in self.before.iter().zip(&self.after) {
            let _ = writeln!(table, "  {name:<width$}  {before:>10}  {after:>10}");
        }
        table
    }

    pub(crate) fn records(&self) -> usize {
        self.records
    }

    pub(crate) fn changed(&self) -> bool {
        self.before != self.after
    }
}

/// One write. The token says how far the sender is, so that a request that was sent at an earlier start is not applied again.
fn request(sequence: usize, records: &[&str]) -> String {
    let records: Vec<String> = records.iter().map(|record| format!("{{\"record\":{record}}}")).collect();
    format!(
        "{{\"workspace_name\":\"prod\",\"dry_run\":false,\
         \"source_token\":{{\"source\":\"{SOURCE}\",\"partition\":0,\"sequence\":{sequence}}},\
         \"records\":{{\"flights\":[{}]}}}}",
        records.join(",")
    )
}

/// The carrier's features by name, as they are shown.
fn ask(address: SocketAddr, key: &str) -> Result<Vec<(String, String)>> {
    features(&DELAY_HISTORY.send(address, key)?).context("the answer of `delay_history` is not understood")
}

fn features(answer: &str) -> Option<Vec<(String, String)>> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    let values = answer["result"]["features"].as_array()?;
    let names = answer["metadata"]["features"].as_array()?;
    let named = names.iter().map(|feature| feature["name"].as_str()).zip(values);
    let of_carrier = named.filter_map(|(name, value)| Some((name?.strip_prefix(CARRIER)?, value)));
    Some(of_carrier.map(|(name, value)| (name.to_owned(), shown(value))).collect())
}

/// An int64 is a string on the wire.
fn shown(value: &Value) -> String {
    match (value.as_str(), value.as_f64()) {
        (Some(text), _) => text.to_owned(),
        (None, Some(number)) if number.fract() == 0.0 => number.to_string(),
        (None, Some(number)) => format!("{number:.4}"),
        (None, None) => value.to_string(),
    }
}

/// A good size, says docs/ingest.md.
const RECORDS_PER_REQUEST: usize = 100;

const SOURCE: &str = "flights-2013-12-31.ndjson";

/// Of the carrier there is more to see than of one plane.
const CARRIER: &str = "carrier_delays.";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &str, expected: &[(&str, &str)]) {
        let features = features(answer).unwrap();
        let features: Vec<_> = features.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(features, expected);
    }

    #[test]
    fn the_carriers_features_are_shown_as_people_read_them() {
        check(
            r#"{"result":{"features":["148",21.16891,306,null,"3"]},"metadata":{"features":[{"name":"carrier_delays.count"},
               {"name":"carrier_delays.mean"},{"name":"carrier_delays.max"},{"name":"carrier_delays.min"},{"name":"plane_delays.count"}]}}"#,
            &[("count", "148"), ("mean", "21.1689"), ("max", "306"), ("min", "null")],
        );
        assert!(features(r#"{"result":{}}"#).is_none());
    }

    #[test]
    fn both_answers_stand_side_by_side() {
        let of = |value: &str| vec![("count".to_owned(), value.to_owned())];
        let replay = Replay { records: 1, before: of("148"), after: of("145") };
        let expected = "             before       after\n  count         148         145\n";
        assert_eq!(replay.table(), expected);
        assert!(replay.changed());
    }

    #[test]
    fn a_request_says_how_far_its_sender_is() {
        let body: Value = serde_json::from_str(&request(2, &[r#"{"a":1}"#, r#"{"a":2}"#])).unwrap();
        assert_eq!(body["source_token"]["sequence"], 2);
        assert_eq!(body["records"]["flights"], serde_json::json!([{"record": {"a": 1}}, {"record": {"a": 2}}]));
    }
}
