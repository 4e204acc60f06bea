//! Plans as people read them: each case is two versions of a workspace and the whole text.

use super::*;
use crate::definitions::{check, model::Definitions};

const OLD: &str = r#"
[entities.plane]
join_keys = { tail_number = "string" }
[feature_views.planes]
entity = "plane"
ttl = "30d"
source = { parquet = "planes.parquet" }
features = { engine = "string", seats = "int64" }
[feature_services.model]
features = ["planes"]
"#;

fn definitions(text: &str) -> Definitions {
    let text = format!("workspace = \"prod\"\n{text}");
    check(&[("prod.toml".to_owned(), text)]).unwrap_or_else(|errors| panic!("{}", errors[0]))
}

/// The plan from `OLD` to `OLD` with some text replaced.
#[track_caller]
fn check_plan(replacements: &[(&str, &str)], expected: &str) {
    let mut new = OLD.to_owned();
    for (from, to) in replacements {
        assert!(new.contains(from), "{from}");
        new = new.replace(from, to);
    }
    check_diff(&definitions(OLD), &definitions(&new), expected);
}

#[track_caller]
fn check_diff(old: &Definitions, new: &Definitions, expected: &str) {
    let plan = diff(old, new);
    assert_eq!(plan.render(false), expected.trim_start_matches('\n'), "\n{}", plan.render(false));
    assert!(diff(old, old).is_empty() && diff(new, new).is_empty());
    let json = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
    // colour adds nothing but escapes
    let plain = plan
        .render(true)
        .split('\x1b')
        .zip(0..)
        .map(|(part, at)| if at == 0 { part } else { part.split_once('m').unwrap().1 })
        .collect::<String>();
    assert_eq!(plain, plan.render(false));
}

#[test]
fn same_meaning_is_no_change() {
    check_plan(&[], "No changes: the definitions mean what is applied already.\n");
    check_plan(&[("ttl = \"30d\"", "ttl = \"720h\"")], "No changes: the definitions mean what is applied already.\n");
    check_plan(
        &[("entity = \"plane\"", "entities = [\"plane\"]")],
        "No changes: the definitions mean what is applied already.\n",
    );
}

#[test]
fn first_version_adds_everything() {
    check_diff(
        &Definitions::default(),
        &definitions(OLD),
        r#"
+ workspace prod
  + entity plane
      + join_keys  tail_number string
  + feature view planes  (materialize)
      + entities        plane
      + join_keys       tail_number string
      + source          parquet "planes.parquet"
      + ttl             30d
      + feature engine  string
      + feature seats   int64
  + feature service model
      + join key tail_number   string
      + feature planes.engine  string
      + feature planes.seats   int64

Plan: 4 to add, 0 to change, 0 to remove.
To materialize: prod/planes.
"#,
    );
}

#[test]
fn nothing_left_removes_everything() {
    check_diff(
        &definitions(OLD),
        &Definitions::default(),
        r#"
- workspace prod
  - entity plane
  - feature view planes
      ! its stored rows are no longer served, used by model
  - feature service model
      ! its callers get 404

Plan: 0 to add, 0 to change, 4 to remove.
2 changes break what somebody may rely on (marked !).
"#,
    );
}

#[test]
fn ttl_and_texts_leave_stored_rows_alone() {
    check_plan(
        &[("ttl = \"30d\"", "ttl = \"60d\"\ndescription = \"all planes\"\ntags = { team = \"ops\" }")],
        r#"
workspace prod
  ~ feature view planes
      + description  "all planes"
      + tag team     "ops"
      ~ ttl          30d → 60d

Plan: 0 to add, 1 to change, 0 to remove.
"#,
    );
}

#[test]
fn new_feature_moves_those_behind_it() {
    check_plan(
        &[("seats = \"int64\"", "range = \"float32\", seats = \"int64\"")],
        r#"
workspace prod
  ~ feature view planes  (materialize)
      + feature range  float32
  ~ feature service model
      + feature planes.range  float32
      ! 1 feature moves to another position of the vector

Plan: 0 to add, 2 to change, 0 to remove.
To materialize: prod/planes.
Not served from apply until materialized: feature view prod/planes, feature service prod/model. `gannet apply --materialize` leaves no such gap.
1 change breaks what somebody may rely on (marked !).
"#,
    );
}

#[test]
fn removed_feature_breaks_its_users() {
    check_plan(
        &[("engine = \"string\", ", "")],
        r#"
workspace prod
  ~ feature view planes  (materialize)
      - feature engine  string
      ! feature engine is no longer served, used by model
  ~ feature service model
      - feature planes.engine  string
      ! planes.engine is no longer in the vector
      ! 1 feature moves to another position of the vector

Plan: 0 to add, 2 to change, 0 to remove.
To materialize: prod/planes.
Not served from apply until materialized: feature view prod/planes, feature service prod/model. `gannet apply --materialize` leaves no such gap.
2 changes break what somebody may rely on (marked !).
"#,
    );
}

#[test]
fn changed_type_and_column_need_new_rows() {
    check_plan(
        &[("seats = \"int64\"", "seats = { type = \"float64\", column = \"n_seats\" }")],
        r#"
workspace prod
  ~ feature view planes  (materialize)
      ~ feature seats  int64 → float64 from column "n_seats"
  ~ feature service model
      ~ feature planes.seats  int64 → float64
      ! planes.seats becomes float64, was int64

Plan: 0 to add, 2 to change, 0 to remove.
To materialize: prod/planes.
Not served from apply until materialized: feature view prod/planes, feature service prod/model. `gannet apply --materialize` leaves no such gap.
1 change breaks what somebody may rely on (marked !).
"#,
    );
}

#[test]
fn changed_join_key_shows_at_entity_view_and_service() {
    check_plan(
        &[("tail_number = \"string\"", "plane_id = \"int64\"")],
        r#"
workspace prod
  ~ entity plane
      ~ join_keys  tail_number string → plane_id int64
  ~ feature view planes  (materialize)
      ~ join_keys  tail_number string → plane_id int64
  ~ feature service model
      + join key plane_id     int64
      - join key tail_number  string
      ! callers must send join key plane_id
      ! callers that still send join key tail_number are refused

Plan: 0 to add, 3 to change, 0 to remove.
To materialize: prod/planes.
Not served from apply until materialized: feature view prod/planes, feature service prod/model. `gannet apply --materialize` leaves no such gap.
1 change breaks what somebody may rely on (marked !).
"#,
    );
}

#[test]
fn renamed_key_and_namespace_change_the_contract() {
    let selection = "{ view = \"planes\", as = \"aircraft\", join_keys = { tail_number = \"plane\" } }";
    check_plan(
        &[("[\"planes\"]", &format!("[{selection}]"))],
        r#"
workspace prod
  ~ feature service model
      + join key plane           string
      - join key tail_number     string
      + view of aircraft         planes tail_number=plane
      + feature aircraft.engine  string
      + feature aircraft.seats   int64
      - feature planes.engine    string
      - feature planes.seats     int64
      ! planes.engine is no longer in the vector
      ! planes.seats is no longer in the vector
      ! callers must send join key plane
      ! callers that still send join key tail_number are refused

Plan: 0 to add, 1 to change, 0 to remove.
1 change breaks what somebody may rely on (marked !).
"#,
    );
}

#[test]
fn position_changes_the_order_only() {
    let second = "[feature_views.airports]\nentity = \"plane\"\nsource = { csv = \"a.csv\" }\nfeatures = { x = \"int64\" }\n[feature_services.model]\nfeatures = [\"airports\", ";
    let old = OLD.replace("[feature_services.model]\nfeatures = [", second);
    let new = old.replace("ttl = \"30d\"", "ttl = \"30d\"\nvector_position = \"first\"");
    check_diff(
        &definitions(&old),
        &definitions(&new),
        r#"
workspace prod
  ~ feature view planes
      + vector_position  first
  ~ feature service model
      ~ vector order  airports.x, planes.engine, planes.seats → planes.engine, planes.seats, airports.x
      ! 3 features move to other positions of the vector

Plan: 0 to add, 2 to change, 0 to remove.
1 change breaks what somebody may rely on (marked !).
"#,
    );
}

#[test]
fn removed_view_and_service_break_their_callers() {
    let second = "[feature_views.airports]\nentity = \"plane\"\nsource = { csv = \"a.csv\" }\nfeatures = { x = \"int64\" }\n[feature_services.old]\nfeatures = [\"airports\"]\n";
    check_diff(
        &definitions(&format!("{OLD}{second}")),
        &definitions(OLD),
        r#"
workspace prod
  - feature view airports
      ! its stored rows are no longer served, used by old
  - feature service old
      ! its callers get 404

Plan: 0 to add, 0 to change, 2 to remove.
2 changes break what somebody may rely on (marked !).
"#,
    );
}

#[test]
fn a_budget_is_the_services_own() {
    let budget = |keys: &str| format!("features = [\"planes\"]\n{keys}");
    check_plan(
        &[("features = [\"planes\"]", &budget("latency_budget = \"0.5ms\""))],
        r#"
workspace prod
  ~ feature service model
      + latency_budget  0.5ms

Plan: 0 to add, 1 to change, 0 to remove.
"#,
    );
    let old = OLD.replace("features = [\"planes\"]", &budget("latency_budget = \"20ms\""));
    check_diff(
        &definitions(&old),
        &definitions(&old.replace("\"20ms\"", "\"20ms\"\nbudget_cap = true")),
        r#"
workspace prod
  ~ feature service model
      ~ latency_budget  20ms → 20ms, cap

Plan: 0 to add, 1 to change, 0 to remove.
"#,
    );
    check_diff(
        &definitions(&old),
        &definitions(&old.replace("20ms", "0.02s")),
        "No changes: the definitions mean what is applied already.\n",
    );
}

/// A service is interrupted with a view that it reads, whatever it takes of it, and by a view that has no rows yet.
#[test]
fn what_is_not_served_until_it_is_materialized_is_told() {
    let interrupted = |from: &str, to: &str| {
        let plan = diff(&definitions(OLD), &definitions(&OLD.replace(from, to)));
        plan.interrupted.into_iter().map(|gone| format!("{} {}", gone.kind.name(), gone.name)).collect::<Vec<_>>()
    };
    let both = ["feature view planes", "feature service model"];
    assert_eq!(interrupted("seats = \"int64\"", "seats = \"int64\", wings = \"int64\""), both);
    assert_eq!(interrupted("tail_number = ", "tail = "), both);
    let none: [&str; 0] = [];
    assert_eq!(interrupted("planes.parquet", "more-planes.parquet"), none, "the rows of before still fit");
    assert_eq!(interrupted("features = [\"planes\"]", "features = [\"planes[seats]\"]"), none);
    let airports =
        "[feature_views.airports]\nentity = \"plane\"\nsource = { csv = \"a.csv\" }\nfeatures = { x = \"int64\" }\n";
    let service = "[feature_services.model]\n";
    assert_eq!(interrupted(service, &format!("{airports}{service}")), none, "nobody reads it yet");
    let reads = format!("{airports}{service}features = [\"planes\", \"airports\"]\n[feature_services.other]\n");
    assert_eq!(interrupted(service, &reads), ["feature service model"], "the other is new itself");
    assert_eq!(diff(&definitions(OLD), &Definitions::default()).interrupted, []);
    assert_eq!(diff(&Definitions::default(), &definitions(OLD)).interrupted, []);
}

#[test]
fn json_is_stable() {
    let plan = diff(&definitions(OLD), &definitions(&OLD.replace("30d", "60d")));
    let expected = r#"{"changes":[{"action":"change","kind":"feature_view","workspace":"prod","name":"planes","fields":[{"field":"ttl","old":"30d","new":"60d"}],"materialize":false,"breaks":[]}]}"#;
    assert_eq!(serde_json::to_string(&plan).unwrap(), expected);
    assert_eq!(plan.summary(), "Plan: 0 to add, 1 to change, 0 to remove.");
    assert!(!plan.is_breaking());
}

#[test]
fn a_limit_of_concurrency_is_shown_and_breaks_nothing() {
    let limited = "features = [\"planes\"]\nconcurrency_max = 8";
    check_plan(
        &[("features = [\"planes\"]", limited)],
        r#"
workspace prod
  ~ feature service model
      + concurrency_max  8

Plan: 0 to add, 1 to change, 0 to remove.
"#,
    );
    let old = OLD.replace("features = [\"planes\"]", limited);
    check_diff(
        &definitions(&old),
        &definitions(&old.replace("= 8", "= 16")),
        r#"
workspace prod
  ~ feature service model
      ~ concurrency_max  8 → 16

Plan: 0 to add, 1 to change, 0 to remove.
"#,
    );
}

const STREAMED: &str = r#"
[entities.user]
join_keys = { user_id = "string" }
[stream_sources.payments]
timestamp = "at"
fields = { user_id = "string", at = "timestamp", amount = "float64", shop = "string" }
[feature_views.last]
entity = "user"
stream = "payments"
features = { amount = "float64" }
[feature_views.spent]
entity = "user"
stream = "payments"
source = { csv = "before.csv" }
timestamp = "at"
aggregation_interval = "1d"
lifetime_start = 2024-01-01
secondary_key = "shop"
features = [{ column = "amount", function = "sum", windows = ["1d", "lifetime"] }]
[feature_services.model]
features = ["last", "spent"]
"#;

#[test]
fn streams_and_aggregates_are_shown() {
    let old = STREAMED.split("[stream_sources").next().unwrap();
    let new = STREAMED.split("[feature_services").next().unwrap();
    check_diff(&definitions(old), &definitions(new), ADDED);
    let changed = new
        .replace("amount = \"float64\"", "amount = \"int64\"")
        .replace(", shop = \"string\"", ", mall = \"string\"")
        .replace("secondary_key = \"shop\"\n", "leading_edge = \"latest_event_time\"\n")
        .replace("\"sum\", windows = [\"1d\", ", "\"approx_percentile(0.5)\", windows = [\"2d\", ");
    check_diff(&definitions(new), &definitions(&changed), CHANGED);
}

#[test]
fn what_is_streamed_is_served_from_the_start() {
    let before = STREAMED.split("[feature_views").next().unwrap();
    assert_eq!(diff(&definitions(before), &definitions(STREAMED)).interrupted, []);
    let service = "[feature_services.model]\nfeatures = [\"last\"]\n";
    let old = STREAMED.replace("features = [\"last\", \"spent\"]\n", "features = [\"last\"]\n");
    assert!(old.ends_with(service));
    assert_eq!(diff(&definitions(&old), &definitions(STREAMED)).interrupted, []);
    let other_tiles = STREAMED.replace("aggregation_interval = \"1d\"", "aggregation_interval = \"12h\"");
    let plan = diff(&definitions(STREAMED), &definitions(&other_tiles));
    assert_eq!(plan.interrupted, []);
    let lost = "rows that were streamed in are no longer served".to_owned();
    assert!(plan.changes.iter().any(|change| change.name == "spent" && change.breaks.contains(&lost)));
}

const ADDED: &str = r#"
workspace prod
  + stream source payments
      + timestamp      at
      + field amount   float64
      + field at       timestamp
      + field shop     string
      + field user_id  string
  + feature view last
      + entities        user
      + join_keys       user_id string
      + stream          payments
      + feature amount  float64
  + feature view spent  (materialize)
      + aggregation_interval         1d
      + entities                     user
      + join_keys                    user_id string
      + lifetime_start               2024-01-01T00:00:00Z
      + secondary_key                shop
      + source                       csv "before.csv"
      + stream                       payments
      + timestamp                    at
      + feature amount_sum_1d_1d     array<float64>, sum of amount over 1d
      + feature amount_sum_lifetime  array<float64>, sum of amount over lifetime
      + feature shop_keys_1d         array<string>, the values of shop
      + feature shop_keys_lifetime   array<string>, the values of shop

Plan: 3 to add, 0 to change, 0 to remove.
To materialize: prod/spent.
"#;
const CHANGED: &str = r#"
workspace prod
  ~ stream source payments
      ~ field amount  float64 → int64
      + field mall    string
      - field shop    string
      ! records with the field amount as before are refused
      ! records with the field shop are refused
  ~ feature view last
      ~ feature amount  float64 → int64
      ! rows that were streamed in are no longer served
  ~ feature view spent  (materialize)
      + leading_edge                                    latest_event_time
      - secondary_key                                   shop
      + feature amount_approx_percentile_p0_5_2d_1d     float64, approx_percentile(0.5, 100) of amount over 2d
      + feature amount_approx_percentile_p0_5_lifetime  float64, approx_percentile(0.5, 100) of amount over lifetime
      - feature amount_sum_1d_1d                        array<float64>, sum of amount over 1d
      - feature amount_sum_lifetime                     array<float64>, sum of amount over lifetime
      - feature shop_keys_1d                            array<string>, the values of shop
      - feature shop_keys_lifetime                      array<string>, the values of shop
      ! rows that were streamed in are no longer served
      ! feature amount_sum_1d_1d is no longer served
      ! feature amount_sum_lifetime is no longer served
      ! feature shop_keys_1d is no longer served
      ! feature shop_keys_lifetime is no longer served

Plan: 0 to add, 3 to change, 0 to remove.
To materialize: prod/spent.
3 changes break what somebody may rely on (marked !).
"#;
