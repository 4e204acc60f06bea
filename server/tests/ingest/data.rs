//! Definitions and records that several tests use.

use serde_json::{Value, json};

use crate::gannet::World;

/// A stream of purchases that a view of the newest, and a view of sums, take; and one of visits. `profile` comes from a file.
pub(crate) const SHOP: &str = r#"
workspace = "prod"
[entities.user]
join_keys = { user_id = "string" }
[stream_sources.purchases]
timestamp = "at"
fields = { user_id = "string", at = "timestamp", n = "int64", shop = "string", amount = "float64" }
[stream_sources.visits]
timestamp = "seen"
fields = { user_id = "string", seen = "timestamp", page = "int64" }
[stream_sources.unused]
timestamp = "at"
fields = { user_id = "string", at = "timestamp" }
[feature_views.latest]
entity = "user"
stream = "purchases"
features = { n = "int64" }
[feature_views.shops]
entity = "user"
stream = "purchases"
features = { shop = "string" }
[feature_views.totals]
entity = "user"
stream = "purchases"
aggregation_interval = "1m"
features = [
  { column = "n", function = "count", window = "1d", name = "count" },
  { column = "n", function = "sum", window = "1d", name = "sum" },
]
[feature_views.visited]
entity = "user"
stream = "visits"
features = { page = "int64" }
[feature_views.profile]
entity = "user"
timestamp = "at"
source = { csv = "../data/users.csv" }
features = { age = "int64" }
[feature_services.newest]
features = ["latest"]
[feature_services.sums]
features = ["totals"]
[feature_services.pages]
features = ["visited"]
[feature_services.profiles]
features = ["profile"]
[feature_services.streamed]
features = ["latest", "totals", "visited"]
"#;

/// What [`SHOP`] says of a user of whom nothing is known.
pub(crate) fn nothing() -> Value {
    json!([null, null, null, null])
}

pub(crate) fn world() -> World {
    let world = World::new();
    world.write("data/users.csv", "user_id,at,age\nann,2024-01-01,30\nbob,2024-01-01,40\n");
    world.write("definitions/shop.toml", SHOP).succeed(&["apply", "definitions", "--materialize"]);
    world
}

/// Two hours before now, and so many milliseconds later: inside every window, and in tiles that are over.
pub(crate) fn at(milliseconds: i64) -> String {
    let us = base_us() + milliseconds * 1000;
    jiff::Timestamp::from_microsecond(us).unwrap().to_string()
}

/// The same moment throughout a process.
fn base_us() -> i64 {
    use std::{
        sync::OnceLock,
        time::{SystemTime, UNIX_EPOCH},
    };
    static BASE: OnceLock<i64> = OnceLock::new();
    #[expect(clippy::disallowed_methods, reason = "the server has this clock, too")]
    *BASE.get_or_init(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
        i64::try_from(now).unwrap() - 7_200_000_000
    })
}

pub(crate) fn purchase(user: &str, milliseconds: i64, n: i64) -> Value {
    json!({"record": {"user_id": user, "at": at(milliseconds), "n": n}})
}

pub(crate) fn visit(user: &str, milliseconds: i64, page: i64) -> Value {
    json!({"record": {"user_id": user, "seen": at(milliseconds), "page": page}})
}

/// A request with these records by source.
pub(crate) fn request(records: &Value) -> Value {
    json!({"workspace_name": "prod", "dry_run": false, "records": records})
}

pub(crate) fn purchases(records: &[Value]) -> Value {
    request(&json!({ "purchases": records }))
}

/// Views and how many rows each took, of a 200.
pub(crate) fn counts(answer: &Value) -> Vec<(String, String)> {
    let views = answer["ingestMetrics"]["featureViewIngestMetrics"].as_array().unwrap();
    let text = |view: &Value, field: &str| view[field].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    let mut counts: Vec<_> =
        views.iter().map(|view| (text(view, "featureViewName"), text(view, "onlineRecordIngestCount"))).collect();
    counts.sort();
    counts
}
