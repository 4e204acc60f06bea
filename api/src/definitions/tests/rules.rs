//! Every rule: a case is some lines of a file with the errors they give, each as `#~ column: message` at the end of its
//! line. What the cases refer to is in `PRELUDE`.

use super::{super::check, files};
use crate::budget::LatencyBudget;

const PRELUDE: &str = r#"
workspace = "prod"
[entities.plane]
join_keys = { tail_number = "string" }
[entities.airport]
join_keys = { origin = "string" }
[entities.flight]
join_keys = { carrier = "string", number = "int64" }
[feature_views.planes]
entity = "plane"
source = { parquet = "planes.parquet" }
features = { seats = "int64", engine = "string" }
[feature_views.weather]
entity = "airport"
timestamp = "observed_at"
source = { parquet = "weather.parquet" }
features = { wind = "float64" }
[feature_views.flights]
entity = "flight"
source = { csv = "flights.csv" }
features = { distance = "int64" }
"#;

/// Checks a file of workspace `prod` against the errors marked in it.
#[track_caller]
pub(super) fn check_case(case: &str) {
    let text = format!("workspace = \"prod\"\n{case}");
    let marked = text
        .lines()
        .zip(1..)
        .flat_map(|(line, number)| line.split(" #~ ").skip(1).map(move |error| format!("case.toml:{number}:{error}")));
    let expected: Vec<String> = marked.collect();
    let errors = check(&files(&[("a_prelude.toml", PRELUDE), ("case.toml", &text)])).err().unwrap_or_default();
    let found: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(found.join("\n"), expected.join("\n"), "{text}");
}

#[track_caller]
fn check_entity(keys: &str) {
    check_case(&format!("[entities.x]\n{keys}\n"));
}

/// A view with these keys, and with what a view must have unless they say it.
#[track_caller]
fn check_view(keys: &str) {
    let mut view = format!("[feature_views.v]\n{keys}\n");
    let others = [
        ("entit", "entity = \"plane\""),
        ("source", "source = { parquet = \"v.parquet\" }"),
        ("features", "features = { a = \"int64\" }"),
    ];
    for (key, line) in others {
        if !keys.lines().any(|line| line.starts_with(key)) {
            view.push_str(line);
            view.push('\n');
        }
    }
    check_case(&view);
}

#[track_caller]
fn check_service(keys: &str) {
    check_case(&format!("[feature_services.s]\n{keys}\n"));
}

#[test]
fn entities_need_join_keys_of_known_types() {
    check_case(
        r##"
[entities.x] #~ 11: no `join_keys` in entity `x`; expected at least one join key, such as `join_keys = { user_id = "string" }`
"##,
    );
    check_entity(
        r##"join_keys = {} #~ 1: no join keys in entity `x`; expected at least one join key, such as `join_keys = { user_id = "string" }`"##,
    );
    check_entity(
        r##"join_keys = [] #~ 1: no join keys in entity `x`; expected at least one join key, such as `join_keys = { user_id = "string" }`"##,
    );
    check_entity(
        r##"join_keys = "user_id" #~ 13: the string `user_id` for `join_keys` of entity `x`; expected at least one join key, such as `join_keys = { user_id = "string" }`"##,
    );
    check_entity(
        r##"join_keys = { id = "int32" } #~ 20: the type `int32` for the join key `id` of entity `x`; expected one of: int64, string (use int64)"##,
    );
    check_entity(
        r##"join_keys = { id = "strng" } #~ 20: the type `strng` for the join key `id` of entity `x`; expected one of: int64, string (did you mean `string`?)"##,
    );
    check_entity(
        r##"join_keys = { id = 7 } #~ 20: the integer `7` for the join key `id` of entity `x`; expected one of: int64, string"##,
    );
    check_entity(
        r##"join_keys = { "a.b" = "string" } #~ 15: illegal name `a.b` for a join key; expected letters, digits, `_` and `-` (a dot separates view and feature in served names)"##,
    );
    check_entity(
        r##"join_keys = [{ name = "id" }, { type = "string" }, { name = "id", type = "string", kind = 1 }, "id"] #~ 14: no `type` in a join key of entity `x`; expected one of: int64, string #~ 31: no `name` in a join key of entity `x`; expected at least one join key, such as `join_keys = { user_id = "string" }` #~ 84: unknown key `kind` in a join key of entity `x`; expected one of: name, type #~ 96: the string `id` in `join_keys` of entity `x`; expected at least one join key, such as `join_keys = { user_id = "string" }`"##,
    );
    check_entity(
        r##"join_keys = [{ name = "id", type = "string" }, { name = "id", type = "int64" }] #~ 57: the join key `id` twice in entity `x`; expected each name once"##,
    );
    check_entity(
        r##"join_keys = { id = "string" }
joinkeys = 1 #~ 1: unknown key `joinkeys` in entity `x`; expected one of: join_keys, description, tags (did you mean `join_keys`?)"##,
    );
    check_case(
        r##"
[entities]
x = 3 #~ 5: the integer `3` for entity `x`; expected a table, such as `[entities.x]`
"##,
    );
    check_case(
        r##"
[entities.plane] #~ 11: entity `plane` defined again; expected one definition; the first is at a_prelude.toml:3:11
join_keys = { id = "string" }
"##,
    );
    check_case(
        r##"
[entities."a b"] #~ 11: illegal name `a b` for an entity; expected ASCII letters, digits, `_` and `-`
join_keys = { id = "string" }
"##,
    );
    check_case(
        r##"
[entities."x:v2"] #~ 11: illegal name `x:v2` for an entity; expected ASCII letters, digits, `_` and `-`
join_keys = { id = "string" }
"##,
    );
    check_entity(
        r##"join_keys = { id = "string" }
workspace = "prod" #~ 1: unknown key `workspace` in entity `x`; expected one of: join_keys, description, tags (`workspace` stands at the top of the file, before the first table)"##,
    );
}

#[test]
fn descriptions_are_strings_and_tags_tables_of_strings() {
    check_entity(
        r##"join_keys = { id = "string" }
description = 3 #~ 15: the integer `3` for `description` of entity `x`; expected a string
tags = { team = 1, "a.b" = "x" } #~ 17: the integer `1` for the tag `team` of entity `x`; expected a string #~ 20: illegal name `a.b` for a tag; expected letters, digits, `_` and `-` (a dot separates view and feature in served names)"##,
    );
    check_entity(
        r##"join_keys = { id = "string" }
tags = "risk" #~ 8: the string `risk` for `tags` of entity `x`; expected a table of strings, such as `{ team = "risk" }`"##,
    );
}

#[test]
fn views_name_their_entities_and_columns_have_one_meaning() {
    check_case(
        r##"
[feature_views.v] #~ 16: no `entity` in feature view `v`; expected `entity = "…"` or `entities = ["…", …]` #~ 16: no `source` and no `stream` in feature view `v`; expected one format and a path, such as `source = { parquet = "planes.parquet" }`, or the name of a stream source #~ 16: no `features` in feature view `v`; expected names and types, such as `features = { seats = "int64" }`, or a list of tables
"##,
    );
    check_view(
        r##"ttls = "30d" #~ 1: unknown key `ttls` in feature view `v`; expected one of: entity, entities, stream, source, timestamp, ttl, features, aggregation_interval, leading_edge, lifetime_start, secondary_key, vector_position, description, tags (did you mean `ttl`?)"##,
    );
    check_view(
        r##"entity = "plan" #~ 10: unknown entity `plan`; expected one of: airport, flight, plane (did you mean `plane`?)"##,
    );
    check_view(
        r##"entity = "plane"
entities = ["plane"] #~ 1: both `entity` and `entities` in feature view `v`; expected one of the two"##,
    );
    check_view(
        r##"entities = [] #~ 12: an empty array for `entities` of feature view `v`; expected a list of at least one entity's name"##,
    );
    check_view(
        r##"entities = ["plane", 3, "plane"] #~ 22: the integer `3` for an entity of feature view `v`; expected an entity's name"##,
    );
    check_view(
        r##"entities = ["plane", "plane"] #~ 22: entity `plane` twice in feature view `v`; expected each entity once"##,
    );
    check_case(
        r##"
[entities.other]
join_keys = { tail_number = "int64" }
[feature_views.v]
entities = ["plane", "other"] #~ 22: the join key `tail_number` as int64 in entity `other`; expected string, as entity `plane` has it
source = { parquet = "v.parquet" }
features = { a = "int64" }
"##,
    );
    check_view(
        r##"timestamp = "" #~ 13: an empty `timestamp` in feature view `v`; expected the name of the event-time column (leave the key out when the source has no event time)"##,
    );
    check_view(
        r##"timestamp = "tail_number" #~ 13: the join key `tail_number` as timestamp of feature view `v`; expected the event-time column"##,
    );
    check_view(
        r##"timestamp = "at"
features = { at = "int64" } #~ 14: the event-time column `at` as another type in feature view `v`; expected type timestamp"##,
    );
    check_view(
        r##"features = { tail_number = "string" } #~ 14: the feature `tail_number` of feature view `v`, which is a join key; expected a column that callers do not already have"##,
    );
    check_view(
        r##"features = { number = { type = "string", column = "tail_number" } } #~ 14: the feature `number` of feature view `v`, which is a join key; expected a column that callers do not already have"##,
    );
    check_case(
        r##"
[feature_views.planes] #~ 16: feature view `planes` defined again; expected one definition; the first is at a_prelude.toml:9:16
entity = "plane"
source = { parquet = "v.parquet" }
features = { a = "int64" }
"##,
    );
    check_case(
        r##"
[feature_views."v:"] #~ 16: illegal name `v:` for a feature view; expected ASCII letters, digits, `_` and `-`, and optionally one `:variant` of the same
entity = "plane"
source = { parquet = "v.parquet" }
features = { a = "int64" }
"##,
    );
    check_case(
        r##"
[feature_views."v.w"] #~ 16: illegal name `v.w` for a feature view; expected ASCII letters, digits, `_` and `-`, and optionally one `:variant` of the same
entity = "plane"
source = { parquet = "v.parquet" }
features = { a = "int64" }
"##,
    );
    check_view(
        r##"vector_position = "last" #~ 19: the vector position `last` of feature view `v`; expected "first" or "by_name""##,
    );
}

#[test]
fn ttl_is_a_positive_duration() {
    check_view(
        r##"ttl = 30 #~ 7: the integer `30` for `ttl` of feature view `v`; expected a duration such as "30d", "1h30m", "10m", "30s" or "500ms""##,
    );
    check_view(
        r##"ttl = "30" #~ 7: the ttl `30` of feature view `v`; expected a duration such as "30d", "1h30m", "10m", "30s" or "500ms""##,
    );
    check_view(
        r##"ttl = "0s" #~ 7: the ttl `0s` of feature view `v`; expected more than zero (leave the key out for features that never expire)"##,
    );
    check_view(
        r##"ttl = "36501d" #~ 7: the ttl `36501d` of feature view `v`; expected at most 36500d (TTL_DAYS_MAX) (leave the key out for features that never expire)"##,
    );
}

#[test]
fn sources_are_one_format_and_a_path() {
    check_view(
        r##"source = "v.parquet" #~ 10: the string `v.parquet` for `source` of feature view `v`; expected one format and a path, such as `source = { parquet = "planes.parquet" }`"##,
    );
    check_view(
        r##"source = {} #~ 1: no formats in the source of feature view `v`; expected one format and a path, such as `source = { parquet = "planes.parquet" }`"##,
    );
    check_view(
        r##"source = { parquet = "v.parquet", csv = "v.csv" } #~ 1: several formats in the source of feature view `v`; expected one format and a path, such as `source = { parquet = "planes.parquet" }`"##,
    );
    check_view(
        r##"source = { parket = "v.parquet" } #~ 12: unknown key `parket` in the source of feature view `v`; expected one of: parquet, csv, ndjson (did you mean `parquet`?)"##,
    );
    check_view(r##"source = { csv = "" } #~ 18: the path ``; expected the path of a file"##);
    check_view(r##"source = { csv = "2013/" } #~ 18: the path `2013/`; expected the path of a file"##);
    check_view(
        r##"source = { csv = "*/v.csv" } #~ 18: the path `*/v.csv`; expected `*` in the last part of the path only"##,
    );
    check_view(
        r##"source = { csv = ["v.csv"] } #~ 18: an array for `csv` of the source of feature view `v`; expected a path"##,
    );
}

#[test]
fn features_have_names_and_types() {
    check_view(
        r##"features = {} #~ 1: no features in feature view `v`; expected names and types, such as `features = { seats = "int64" }`, or a list of tables"##,
    );
    check_view(
        r##"features = ["seats"] #~ 13: the string `seats` in `features` of feature view `v`; expected names and types, such as `features = { seats = "int64" }`, or a list of tables"##,
    );
    check_view(
        r##"features = "seats" #~ 12: the string `seats` for `features` of feature view `v`; expected names and types, such as `features = { seats = "int64" }`, or a list of tables"##,
    );
    check_view(
        r##"features = { a = 1 } #~ 18: the integer `1` for the feature `a` of feature view `v`; expected one of: boolean, int64, float32, float64, string, timestamp, array<T>, struct<name:T,…>, map<string,T>"##,
    );
    check_view(
        r##"features = { "a.b" = "int64" } #~ 14: illegal name `a.b` for a feature; expected letters, digits, `_` and `-` (a dot separates view and feature in served names)"##,
    );
    check_view(
        r##"features = { a = { column = "b" } } #~ 14: no `type` in the feature `a` of feature view `v`; expected one of: boolean, int64, float32, float64, string, timestamp, array<T>, struct<name:T,…>, map<string,T>"##,
    );
    check_view(
        r##"features = { a = { type = "int64", colum = "b" } } #~ 36: unknown key `colum` in the feature `a` of feature view `v`; expected one of: type, column, description, tags (did you mean `column`?)"##,
    );
    check_view(
        r##"features = { a = { type = "int64", column = "" } } #~ 45: the column name ``; expected visible characters"##,
    );
    check_view(
        r##"features = [{ type = "int64" }] #~ 13: no `name` in a feature of feature view `v`; expected the feature's name"##,
    );
    check_view(
        r##"features = [{ name = "a", type = "int64" }, { name = "a", type = "string" }] #~ 54: the feature `a` twice in feature view `v`; expected each name once; the first is at case.toml:3:22"##,
    );
}

#[test]
fn types_are_spelled_as_served() {
    check_case(
        r##"
[feature_views.v]
entity = "plane"
source = { parquet = "v.parquet" }
[feature_views.v.features]
a = "int32" #~ 6: unknown type `int32` for the feature `a` of feature view `v`; expected one of: boolean, int64, float32, float64, string, timestamp, array<T>, struct<name:T,…>, map<string,T> (use int64)
b = "bool" #~ 6: unknown type `bool` for the feature `b` of feature view `v`; expected one of: boolean, int64, float32, float64, string, timestamp, array<T>, struct<name:T,…>, map<string,T> (use boolean)
c = "strin" #~ 6: unknown type `strin` for the feature `c` of feature view `v`; expected one of: boolean, int64, float32, float64, string, timestamp, array<T>, struct<name:T,…>, map<string,T> (did you mean `string`?)
d = "" #~ 6: no type for the feature `d` of feature view `v`; expected one of: boolean, int64, float32, float64, string, timestamp, array<T>, struct<name:T,…>, map<string,T>
e = "array" #~ 11: the end of a type for the feature `e` of feature view `v`; expected the element's type in `<…>`
f = "array<int64" #~ 17: the end of a type for the feature `f` of feature view `v`; expected `>` after the element's type
g = "array<int64>>" #~ 18: `>` after the type for the feature `g` of feature view `v`; expected its end
h = "struct<>" #~ 13: an empty name for a struct's field for the feature `h` of feature view `v`; expected at least one character
i = "struct<a:int64,a:string>" #~ 21: the field `a` twice in one struct for the feature `i` of feature view `v`; expected each name once
j = "struct<a>" #~ 14: `>` in a type for the feature `j` of feature view `v`; expected `:` and a type after the field's name
k = "struct<a:int64" #~ 20: the end of a type for the feature `k` of feature view `v`; expected `,` or `>` after a struct's field
l = "map<int64,string>" #~ 10: map keys of type `int64` for the feature `l` of feature view `v`; expected `string`: keys of a map are strings
m = "map<string,double>" #~ 17: unknown type `double` for the feature `m` of feature view `v`; expected one of: boolean, int64, float32, float64, string, timestamp, array<T>, struct<name:T,…>, map<string,T> (use float64, or float32 for half the bytes)
n = "array<array<array<array<array<array<array<array<int64>>>>>>>>" #~ 54: a type nested 9 levels deep for the feature `n` of feature view `v`; expected at most 8 levels (TYPE_DEPTH_MAX)
o = "int64 string" #~ 12: `string` after the type for the feature `o` of feature view `v`; expected its end
p = "struct<a b:int64>" #~ 15: `b` in a type for the feature `p` of feature view `v`; expected `:` and a type after the field's name
q = "decimal" #~ 6: unknown type `decimal` for the feature `q` of feature view `v`; expected one of: boolean, int64, float32, float64, string, timestamp, array<T>, struct<name:T,…>, map<string,T>
"##,
    );
}

#[test]
fn services_select_known_features_once() {
    check_case(
        r##"
[feature_services.s] #~ 19: no `features` in feature service `s`; expected at least one selection: `"view"`, `"view[feature]"` or `{ view = "…", as = "…" }`
"##,
    );
    check_service(
        r##"features = [] #~ 1: no features in feature service `s`; expected at least one selection: `"view"`, `"view[feature]"` or `{ view = "…", as = "…" }`"##,
    );
    check_service(
        r##"features = "planes" #~ 12: the string `planes` for `features` of feature service `s`; expected at least one selection: `"view"`, `"view[feature]"` or `{ view = "…", as = "…" }`"##,
    );
    check_service(
        r##"features = [3] #~ 13: the integer `3` among the features of feature service `s`; expected at least one selection: `"view"`, `"view[feature]"` or `{ view = "…", as = "…" }`"##,
    );
    check_service(
        r##"features = ["plane"] #~ 14: unknown feature view `plane`; expected one of: flights, planes, weather (did you mean `planes`?)"##,
    );
    check_service(
        r##"features = ["planes[seat]"] #~ 21: unknown feature `seat` of feature view `planes`; expected one of: engine, seats (did you mean `seats`?)"##,
    );
    check_service(
        r##"features = ["planes[seats, seats]"] #~ 28: the feature `seats` twice; expected each feature once"##,
    );
    check_service(r##"features = ["planes[]"] #~ 21: an empty name for a feature; expected at least one character"##);
    check_service(
        r##"features = ["planes[seats"] #~ 13: `planes[seats` among the features of feature service `s`; expected `view` or `view[feature,feature]`"##,
    );
    check_service(
        r##"features = ["planes.seats"] #~ 14: illegal name `planes.seats` for a feature view; expected ASCII letters, digits, `_` and `-`, and optionally one `:variant` of the same"##,
    );
    check_service(
        r##"features = ["planes", "weather", "planes[seats]"] #~ 35: the namespace `planes` twice in feature service `s`; expected each namespace once; the first is at case.toml:3:14 (give one of the two another name with `as = "…"`)"##,
    );
    check_service(
        r##"features = ["planes", { view = "weather", as = "planes" }] #~ 48: the namespace `planes` twice in feature service `s`; expected each namespace once; the first is at case.toml:3:14 (give one of the two another name with `as = "…"`)"##,
    );
    check_service(
        r##"features = [{ as = "x" }] #~ 13: no `view` in a selection of feature service `s`; expected the name of a feature view"##,
    );
    check_service(
        r##"features = [{ view = "planes", as = "x.y" }] #~ 37: illegal name `x.y` for a namespace; expected ASCII letters, digits, `_` and `-`, and optionally one `:variant` of the same"##,
    );
    check_service(
        r##"features = [{ view = "planes", named = "x" }] #~ 32: unknown key `named` in a selection of feature service `s`; expected one of: view, as, join_keys, features"##,
    );
    check_service(
        r##"features = [{ view = "planes", features = [] }] #~ 43: an empty array for `features` of a selection of feature service `s`; expected a list of feature names; leave the key out for all of the view's features"##,
    );
    check_service(
        r##"features = [{ view = "planes", features = ["seats", "wings"] }] #~ 53: unknown feature `wings` of feature view `planes`; expected one of: engine, seats"##,
    );
    check_service(
        r##"features = [{ view = "weather", join_keys = { orign = "destination" } }] #~ 47: unknown join key `orign` of feature view `weather`; expected one of: origin (did you mean `origin`?)"##,
    );
    check_service(
        r##"features = [{ view = "weather", join_keys = { origin = "a.b" } }] #~ 56: illegal name `a.b` for a join key; expected letters, digits, `_` and `-` (a dot separates view and feature in served names)"##,
    );
    check_service(
        r##"features = [{ view = "weather", join_keys = "destination" }] #~ 45: the string `destination` for `join_keys` of a selection of feature service `s`; expected the view's join key and the key that callers send: `{ origin = "destination" }`"##,
    );
    check_service(
        r##"features = ["flights", { view = "weather", join_keys = { origin = "number" } }] #~ 67: the join key `number` as string for `weather` in feature service `s`; expected int64, as `flights` has it"##,
    );
    check_service(
        r##"features = [{ view = "flights", join_keys = { carrier = "number" } }] #~ 13: two join keys of `flights` sent as `number`; expected a key of its own for each"##,
    );
    check_case(
        r##"
[feature_services."s t"] #~ 19: illegal name `s t` for a feature service; expected ASCII letters, digits, `_` and `-`, and optionally one `:variant` of the same
features = ["planes"]
"##,
    );
    check_service(
        r##"features = ["planes"]
view = "planes" #~ 1: unknown key `view` in feature service `s`; expected one of: features, latency_budget, budget_cap, concurrency_max, description, tags"##,
    );
}

#[test]
fn latency_budgets_have_a_unit_and_a_range() {
    let check = |keys: &str| check_service(&format!("features = [\"planes\"]\n{keys}"));
    for accepted in ["20ms", "0.5ms", "1s", "0.1ms", "60s"] {
        check(&format!("latency_budget = \"{accepted}\""));
        check(&format!("latency_budget = \"{accepted}\"\nbudget_cap = true"));
        check(&format!("budget_cap = false\nlatency_budget = \"{accepted}\""));
    }
    for refused in ["20", "0.09ms", "61s", "1m", "", "-1ms", "0.1234ms"] {
        check(&format!(
            "latency_budget = \"{refused}\" #~ 18: the latency budget `{refused}` of feature service `s`; expected {}",
            LatencyBudget::EXPECTED
        ));
    }
    check(
        r##"latency_budget = 20 #~ 18: the integer `20` for `latency_budget` of feature service `s`; expected a latency budget from "0.1ms" to "60s", such as "20ms", "0.5ms" or "1s""##,
    );
    check(
        r##"latency_budget = "1s"
budget_cap = "yes" #~ 14: the string `yes` for `budget_cap` of feature service `s`; expected true or false"##,
    );
    check(
        r##"budget_cap = true #~ 1: `budget_cap` without `latency_budget` in feature service `s`; expected a `latency_budget` that it makes a cap"##,
    );
    check(
        r##"latency_budgt = "1s" #~ 1: unknown key `latency_budgt` in feature service `s`; expected one of: features, latency_budget, budget_cap, concurrency_max, description, tags (did you mean `latency_budget`?)"##,
    );
}

#[test]
fn a_limit_of_concurrency_is_a_whole_number_above_zero() {
    for accepted in ["1", "64", "4294967295"] {
        check_service(&format!("features = [\"planes\"]\nconcurrency_max = {accepted}"));
    }
    for (refused, found) in [("0", "integer `0`"), ("-1", "integer `-1`"), ("4294967296", "integer `4294967296`")] {
        check_service(&format!(
            "features = [\"planes\"]\nconcurrency_max = {refused} #~ 19: the {found} for `concurrency_max` of feature service `s`; \
             expected a number of requests, 1 to 4294967295"
        ));
    }
}

#[test]
fn syntax_errors_do_not_hide_the_others() {
    check_case(
        r##"
[feature_services.s]
features = ["planes"
[entities.x] #~ 1: TOML syntax: missing comma between array elements; expected `,` #~ 11: no `join_keys` in entity `x`; expected at least one join key, such as `join_keys = { user_id = "string" }`
join_key = 1 #~ 1: unknown key `join_key` in entity `x`; expected one of: join_keys, description, tags (did you mean `join_keys`?)
"##,
    );
    check_case(
        r##"
[entities.x]
join_keys = { id = "string" }
[entities.x] #~ 11: `x` defined again; expected each key of a table, and each table of a file, once
join_keys = { id = "string" }
[entities.y] #~ 11: no `join_keys` in entity `y`; expected at least one join key, such as `join_keys = { user_id = "string" }`
"##,
    );
    check_case(
        r##"
[entities.x]
join_keys = { id = "string" }
join_keys = { id = "int64" } #~ 1: `join_keys` defined again; expected each key of a table, and each table of a file, once
"##,
    );
    check_case(
        r##"
[entities.x]
join_keys = { id = string } #~ 20: TOML syntax: string values must be quoted at `string`; expected literal string
[feature_services.s]
features = ["unknown_but_maybe_in_x"]
[feature_view.x] #~ 2: unknown key `feature_view` in a definitions file; expected one of: workspace, entities, stream_sources, feature_views, feature_services (did you mean `feature_views`?)
entity = "plane"
"##,
    );
}
