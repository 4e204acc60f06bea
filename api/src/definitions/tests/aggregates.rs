//! Stream sources, and views that take them or aggregate: what they mean, and every rule with the error it gives.

use gannet_store::{ColumnType, Field};

use super::{super::model::*, accepted, rules::check_case};
use crate::aggregates::{Function, LeadingEdge, Window};

const DAY_US: i64 = 86_400_000_000;

const BANK: &str = r#"
workspace = "bank"
[entities.user]
join_keys = { user_id = "string" }
[stream_sources.transactions]
timestamp = "at"
fields = { user_id = "string", at = "timestamp", amount = "float64", merchant = "string", cents = "int64" }
tags = { team = "risk" }
[feature_views.last]
entity = "user"
stream = "transactions"
features = { amount = "float64" }
ttl = "30d"
[feature_views.amounts]
entity = "user"
stream = "transactions"
source = { parquet = "before.parquet" }
timestamp = "at"
aggregation_interval = "1d"
leading_edge = "latest_event_time"
lifetime_start = "2013-01-01T02:00:00+02:00"
secondary_key = "merchant"
features = [
  { column = "amount", function = "sum", windows = ["1d", "7d", "lifetime"], type = "float64", description = "Spent." },
  { column = "cents", function = "last(3)", window = "1d", offset = "-1d", name = "yesterday" },
]
[feature_views.now]
entity = "user"
stream = "transactions"
[feature_views.now.features]
n = { column = "merchant", function = "count", window = "1h" }
"#;

/// Views with one aggregate of transactions, and of a file.
const PRELUDE: &str = r#"
[entities.user]
join_keys = { user_id = "string" }
[stream_sources.transactions]
timestamp = "at"
fields = { user_id = "string", at = "timestamp", amount = "float64", merchant = "string", ok = "boolean" }
"#;

#[track_caller]
fn check_stream(keys: &str) {
    check_case(&format!("[stream_sources.s]\n{keys}\n"));
}

/// A view of the stream with these keys.
#[track_caller]
fn check_view(keys: &str) {
    check_case(&format!("{PRELUDE}[feature_views.v]\nentity = \"user\"\n{keys}\n"));
}

#[track_caller]
fn check_prelude(case: &str) {
    check_case(&format!("{PRELUDE}{case}\n"));
}

#[test]
fn streams_and_aggregates_mean_what_they_say() {
    let definitions = accepted(&[("a.toml", BANK)]);
    let bank = &definitions.workspaces["bank"];
    let source = &bank.stream_sources["transactions"];
    assert_eq!((source.timestamp.as_str(), source.tags["team"].as_str()), ("at", "risk"));
    let names: Vec<_> = source.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["amount", "at", "cents", "merchant", "user_id"]);

    let last = &bank.feature_views["last"];
    assert_eq!((last.stream.as_deref(), &last.source, &last.aggregation), (Some("transactions"), &None, &None));
    assert_eq!(last.ttl_us, Some(30 * DAY_US));

    let amounts = &bank.feature_views["amounts"];
    let Aggregation { specification, leading_edge } = amounts.aggregation.as_ref().unwrap();
    assert_eq!(*leading_edge, LeadingEdge::LatestEventTime);
    assert_eq!(specification.interval_us, Some(DAY_US));
    assert_eq!(specification.lifetime_start_us, Some(1_356_998_400_000_000));
    assert_eq!(specification.secondary_key.as_deref(), Some("merchant"));
    let columns: Vec<_> = specification.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(columns, ["amount", "cents", "merchant"], "only what is asked for, whatever else the stream has");
    let parts: Vec<_> = specification.aggregations.iter().map(|one| (one.function, one.window)).collect();
    let of_days = |length: i64, offset: i64| Window::Time { length_us: length * DAY_US, offset_us: offset * DAY_US };
    assert_eq!(
        parts,
        [
            (Function::Sum, of_days(1, 0)),
            (Function::Sum, of_days(7, 0)),
            (Function::Sum, Window::Lifetime),
            (Function::LastN(3), of_days(1, -1)),
        ]
    );
    let shown: Vec<_> = amounts.features.iter().map(|one| (one.name.as_str(), one.column.as_str())).collect();
    assert_eq!(
        shown,
        [
            ("amount_sum_1d_1d", "amount"),
            ("amount_sum_7d_1d", "amount"),
            ("amount_sum_lifetime", "amount"),
            ("merchant_keys_1d", "merchant"),
            ("merchant_keys_1d_offset_1d", "merchant"),
            ("merchant_keys_7d", "merchant"),
            ("merchant_keys_lifetime", "merchant"),
            ("yesterday", "cents"),
        ]
    );
    assert_eq!(amounts.features[0].data_type, ColumnType::Array(Box::new(ColumnType::Float64)));
    assert_eq!(amounts.features[1].description, "Spent.");

    let now = &bank.feature_views["now"];
    assert_eq!((now.features[0].name.as_str(), &now.features[0].data_type), ("n", &ColumnType::Int64));
    assert_eq!(now.aggregation.as_ref().unwrap().specification.interval_us, None);
}

#[test]
fn rows_of_aggregates_are_one_column_named_by_their_shape() {
    let view = |text: &str| accepted(&[("a.toml", text)]).workspaces["bank"].feature_views["amounts"].clone();
    let amounts = view(BANK);
    let fingerprint = amounts.aggregates().unwrap().fingerprint();
    let column = Field { name: format!("tiles_{fingerprint:08x}"), column_type: ColumnType::Binary };
    assert_eq!(amounts.schema().columns, [column]);
    // pinned: data materialized by an older release must not look changed to a newer one
    assert_eq!(amounts.fingerprint(), "7dce65d450afa8e94a8cedc352f0aab2");
    let check = |from: &str, to: &str, same_schema: bool, same_rows: bool| {
        assert!(BANK.contains(from), "{from}");
        let other = view(&BANK.replacen(from, to, 1));
        assert_eq!(other.schema() == amounts.schema(), same_schema, "schema after {to}");
        assert_eq!(other.fingerprint() == amounts.fingerprint(), same_rows, "rows after {to}");
    };
    check("name = \"yesterday\"", "name = \"other\"", true, true);
    check("offset = \"-1d\"", "offset = \"-2d\"", true, true);
    check("latest_event_time", "wall_clock", true, true);
    check("2013-01-01T02", "2014-01-01T02", true, false);
    check("secondary_key = \"merchant\"\n", "", false, false);
    check("before.parquet", "then.parquet", true, false);
    check("last(3)", "last(4)", false, false);
    check("aggregation_interval = \"1d\"", "aggregation_interval = \"12h\"", false, false);
    check("function = \"sum\"", "function = \"mean\"", true, true);
    check("function = \"sum\"", "function = \"max\"", false, false);
    let bounded = BANK.replacen(", \"lifetime\"]", "]", 1);
    let longer = bounded.replacen("\"7d\"", "\"8d\"", 1);
    assert_eq!(view(&bounded).schema(), view(&longer).schema());
    assert_ne!(view(&bounded).fingerprint(), view(&longer).fingerprint(), "what only the longer one reaches is gone");
}

#[test]
fn stream_sources_have_fields_and_one_of_them_is_the_time() {
    check_case(
        r##"
[stream_sources.s] #~ 17: no `fields` in stream source `s`; expected names and types, such as `fields = { user_id = "string", at = "timestamp" }`
timestamp = "at"
"##,
    );
    check_case(
        r##"
[stream_sources.s] #~ 17: no `timestamp` in stream source `s`; expected the name of the field with the event time
fields = { at = "timestamp" }
"##,
    );
    check_stream(
        r##"timestamp = "at"
fields = {} #~ 1: no fields in stream source `s`; expected names and types, such as `fields = { user_id = "string", at = "timestamp" }`"##,
    );
    check_stream(
        r##"timestamp = "at"
fields = ["at"] #~ 10: an array for `fields` of stream source `s`; expected names and types, such as `fields = { user_id = "string", at = "timestamp" }`"##,
    );
    check_stream(
        r##"timestamp = "at"
fields = { at = "timestamp", n = "int" } #~ 35: unknown type `int` for the field `n` of stream source `s`; expected one of: boolean, int64, float32, float64, string, timestamp, array<T>, struct<name:T,…>, map<string,T> (use int64)"##,
    );
    check_stream(
        r##"timestamp = "at" #~ 13: the timestamp `at` of stream source `s`, a field of type string; expected a field of type timestamp
fields = { at = "string" }"##,
    );
    check_stream(
        r##"timestamp = "tme" #~ 13: the timestamp `tme` of stream source `s`; expected a field of type timestamp (did you mean `time`?)
fields = { time = "timestamp" }"##,
    );
    check_case(
        r##"
[stream_sources.s] #~ 17: no `fields` in stream source `s`; expected names and types, such as `fields = { user_id = "string", at = "timestamp" }` #~ 17: no `timestamp` in stream source `s`; expected the name of the field with the event time
timestamp_field = "at" #~ 1: unknown key `timestamp_field` in stream source `s`; expected one of: timestamp, fields, description, tags (use `timestamp`)
schema = { at = "timestamp" } #~ 1: unknown key `schema` in stream source `s`; expected one of: timestamp, fields, description, tags (use `fields`)
"##,
    );
    check_case(
        r##"
[stream_sources."s:v2"] #~ 17: illegal name `s:v2` for a stream source; expected ASCII letters, digits, `_` and `-`
timestamp = "at"
fields = { at = "timestamp" }
"##,
    );
    check_case(
        r##"
[stream_sources.s]
timestamp = "at"
fields = { at = "timestamp" }
[stream_sources]
s.timestamp = 3 #~ 1: `s` defined again; expected each key of a table, and each table of a file, once
"##,
    );
}

#[test]
fn a_view_takes_fields_of_its_stream() {
    check_view(
        r##"stream = "transaction" #~ 10: unknown stream source `transaction`; expected one of: transactions (did you mean `transactions`?)
features = { amount = "float64" }"##,
    );
    check_view(
        r##"stream = 3 #~ 10: the integer `3` for `stream` of feature view `v`; expected the name of a stream source
features = { amount = "float64" }"##,
    );
    check_view(
        r##"stream = "transactions"
features = { amount = "float32", amunt = "float64", m = { type = "string", column = "merchant" } } #~ 14: the type float32 for `amount`; expected float64, as the field `amount` of stream source `transactions` has it #~ 34: the column `amunt` of feature view `v`, which is no field of stream source `transactions`; expected one of: amount, at, merchant, ok, user_id (did you mean `amount`?)"##,
    );
    check_view(
        r##"stream = "transactions"
timestamp = "at" #~ 13: a `timestamp` in feature view `v`, which has no source; expected no `timestamp` (of records that are streamed the stream source names it)
features = { amount = "float64" }"##,
    );
    check_case(
        r##"
[stream_sources.s]
timestamp = "at"
fields = { at = "timestamp", tail_numbers = "string", number = "string", carrier = "string" }
[feature_views.v]
entity = "plane"
stream = "s" #~ 10: the join key `tail_number` of feature view `v`, which is no field of stream source `s`; expected one of: at, carrier, number, tail_numbers (did you mean `tail_numbers`?)
features = { at = "timestamp" }
[feature_views.w]
entity = "flight"
stream = "s" #~ 10: the field `number` of stream source `s` as string; expected int64, as the join key of feature view `w`
features = { at = "timestamp" }
"##,
    );
}

#[test]
fn aggregates_have_a_column_a_function_and_windows() {
    check_view(
        r##"stream = "transactions"
features = [{ function = "sum" }] #~ 13: no `column` in a feature of feature view `v`; expected the name of the column that is aggregated #~ 13: no `windows` in a feature of feature view `v`; expected at least one window, such as `windows = ["1d", "7d"]` or `window = "lifetime"`"##,
    );
    check_view(
        r##"stream = "transactions"
features = [{ column = "amount", function = "summ", window = "1d" }] #~ 45: the function `summ` of a feature of feature view `v`; expected one of count, sum, mean, min, max, var_samp, var_pop, stddev_samp, stddev_pop, last, first, last(n), first(n), last_distinct(n), first_distinct(n), approx_count_distinct(precision), approx_percentile(share, precision) (did you mean `sum`?)"##,
    );
    check_view(
        r##"stream = "transactions"
features = [{ column = "amount", function = "avg", window = "1d" }, { column = "amount", function = "last(0)", window = "1d" }, { column = "amount", function = "last(x)", window = "1d" }] #~ 45: the function `avg` of a feature of feature view `v`; expected one of count, sum, mean, min, max, var_samp, var_pop, stddev_samp, stddev_pop, last, first, last(n), first(n), last_distinct(n), first_distinct(n), approx_count_distinct(precision), approx_percentile(share, precision) (use mean) #~ 101: the n 0 of a function of feature view `v`; expected 1 to 1000 #~ 161: the function `last(x)` of a feature of feature view `v`; expected one of count, sum, mean, min, max, var_samp, var_pop, stddev_samp, stddev_pop, last, first, last(n), first(n), last_distinct(n), first_distinct(n), approx_count_distinct(precision), approx_percentile(share, precision)"##,
    );
    check_view(
        r##"stream = "transactions"
features = [{ column = "amnt", function = "sum", window = "1d" }] #~ 24: the column `amnt` of feature view `v`, which is no field of stream source `transactions`; expected one of: amount, at, merchant, ok, user_id"##,
    );
    check_view(
        r##"stream = "transactions"
features = [{ column = "merchant", function = "sum", window = "1d" }] #~ 47: the column `merchant` of type string for sum in feature view `v`; expected a column whose type sum aggregates"##,
    );
    check_view(
        r##"stream = "transactions"
features = [{ column = "user_id", function = "count", window = "1d" }] #~ 24: the join key `user_id` aggregated in feature view `v`; expected a column that callers do not already have"##,
    );
    check_view(
        r##"stream = "transactions"
features = [{ column = "amount", function = "sum", window = "1d", type = "int64" }] #~ 74: the type int64 for `amount`; expected float64, as the field `amount` of stream source `transactions` has it"##,
    );
    check_view(
        r##"stream = "transactions"
features = [{ column = "amount", function = "sum", windows = [] }] #~ 62: an empty array for `windows` of a feature of feature view `v`; expected at least one window, such as `windows = ["1d", "7d"]` or `window = "lifetime"`"##,
    );
    check_view(
        r##"stream = "transactions"
features = [{ column = "amount", function = "sum", windows = ["1d", "week"], window = "1d" }] #~ 52: both `window` and `windows` in a feature of feature view `v`; expected one of the two"##,
    );
    check_view(
        r##"stream = "transactions"
features = [{ column = "amount", function = "sum", windows = ["1d", "week"] }] #~ 69: the window `week` of a feature of feature view `v`; expected a duration such as "1d" or "1h30m", or "lifetime""##,
    );
    check_view(
        r##"stream = "transactions"
features = [{ column = "amount", function = "sum", time_window = "1d" }] #~ 52: unknown key `time_window` in a feature of feature view `v`; expected one of: column, function, windows, window, offset, name, type, description, tags (use `window`)"##,
    );
    check_view(
        r##"stream = "transactions"
features = [{ column = "amount", function = "sum", windows = ["1d", "2d"], name = "n" }] #~ 83: one name, `n`, for 2 windows in a feature of feature view `v`; expected one window, or no name"##,
    );
    check_view(
        r##"stream = "transactions"
features = [{ column = "amount", function = "sum", window = "0s" }, { column = "amount", function = "sum", window = "36501d" }] #~ 61: the window `0s` of feature view `v`; expected more than 0s and at most 36500d #~ 117: the window `36501d` of feature view `v`; expected more than 0s and at most 36500d"##,
    );
    check_view(
        r##"stream = "transactions"
features = [{ column = "amount", function = "sum", window = "1d", offset = "1d" }] #~ 76: the offset `1d` of a feature of feature view `v`; expected a negative duration such as "-1d""##,
    );
    check_view(
        r##"stream = "transactions"
aggregation_interval = "1h"
features = [{ column = "amount", function = "sum", window = "90m" }, { column = "amount", function = "sum", window = "2h", offset = "-30m" }] #~ 61: the window `1h30m` of feature view `v`; expected a multiple of the aggregation interval `1h` #~ 118: the offset `-30m` of feature view `v`; expected a multiple of the aggregation interval `1h`"##,
    );
    check_view(
        r##"stream = "transactions"
features = [{ column = "amount", function = "sum", window = "lifetime" }] #~ 61: a lifetime window in feature view `v`; expected an `aggregation_interval` in the view #~ 61: a lifetime window in feature view `v`; expected `lifetime_start` beside it in the view"##,
    );
    check_view(
        r##"stream = "transactions"
aggregation_interval = "1h"
lifetime_start = "2013-01-01T00:30:00Z" #~ 18: the lifetime start of feature view `v`; expected a multiple of the aggregation interval `1h` since 1970-01-01
features = [{ column = "amount", function = "sum", window = "lifetime" }]"##,
    );
    check_view(
        r##"stream = "transactions"
aggregation_interval = "1h"
lifetime_start = 2013-01-01
features = [{ column = "amount", function = "sum", window = "lifetime", offset = "-1h" }] #~ 82: an offset of a lifetime window in a feature of feature view `v`; expected a window of a certain length"##,
    );
    check_view(
        r##"stream = "transactions"
features = [{ column = "amount", function = "sum", windows = ["1d", "24h"] }] #~ 69: the feature `amount_sum_1d_continuous` twice in feature view `v`; expected each name once (`name = "…"` gives one of the two another)"##,
    );
    check_view(
        r##"stream = "transactions"
features = { user_id = { column = "amount", function = "sum", window = "1d" }, "a.b" = { column = "amount", function = "max", window = "1d" } } #~ 14: the feature `user_id` of feature view `v`, which is a join key; expected a name of its own #~ 80: illegal name `a.b` for a feature; expected letters, digits, `_` and `-` (a dot separates view and feature in served names)"##,
    );
    check_view(
        r##"stream = "transactions"
features = { a = { column = "amount", function = "sum", window = "1d" }, merchant = "string" } #~ 74: the feature `merchant` without a function in feature view `v`; expected a `function` for each of a view's features, or for none"##,
    );
    check_view(
        r##"stream = "transactions"
features = { a = { column = "amount", function = "sum", window = "1d", name = "b" } } #~ 72: unknown key `name` in the feature `a` of feature view `v`; expected one of: column, function, windows, window, offset, type, description, tags"##,
    );
    check_case(
        r##"
[entities.user]
join_keys = { user_id = "string" }
[feature_views.v]
entity = "user"
source = { csv = "v.csv" }
timestamp = "at"
aggregation_interval = "1d"
features = [{ column = "a.b", type = "int64", function = "sum", window = "1d" }, { column = "a.b", function = "sum", window = "2d", name = "fine" }] #~ 24: illegal name `a.b_sum_1d_1d` for a feature; expected letters, digits, `_` and `-` (a dot separates view and feature in served names) (`name = "…"` gives it another)
"##,
    );
}

#[test]
fn views_with_aggregates_say_how_time_is_cut() {
    check_view(
        r##"stream = "transactions"
aggregation_interval = "day" #~ 24: the aggregation interval `day` of feature view `v`; expected a duration such as "30d", "1h30m", "10m", "30s" or "500ms"
leading_edge = "wall_clok" #~ 16: the leading edge `wall_clok` of feature view `v`; expected "wall_clock" or "latest_event_time" (did you mean `wall_clock`?)
lifetime_start = "then" #~ 18: the lifetime start `then` of feature view `v`; expected a date or a moment such as "2024-01-01T00:00:00Z"
secondary_key = 3 #~ 17: the integer `3` for `secondary_key` of feature view `v`; expected the name of a string column
features = [{ column = "amount", function = "sum", window = "1d" }]"##,
    );
    check_view(
        r##"stream = "transactions"
aggregation_interval = "0s" #~ 24: the aggregation interval `0s` of feature view `v`; expected more than 0s and at most 36500d
features = [{ column = "amount", function = "sum", window = "1d" }]"##,
    );
    check_view(
        r##"stream = "transactions"
lifetime_start = 2013-01-01T00:00:00 #~ 18: the lifetime start `2013-01-01T00:00:00` of feature view `v`; expected a date or a moment such as "2024-01-01T00:00:00Z"
features = [{ column = "amount", function = "sum", window = "1d" }]"##,
    );
    check_view(
        r##"stream = "transactions"
aggregation_secondary_key = "merchant" #~ 1: unknown key `aggregation_secondary_key` in feature view `v`; expected one of: entity, entities, stream, source, timestamp, ttl, features, aggregation_interval, leading_edge, lifetime_start, secondary_key, vector_position, description, tags (use `secondary_key`)
features = [{ column = "amount", function = "sum", window = "1d" }]"##,
    );
    check_view(
        r##"stream = "transactions"
secondary_key = "ok" #~ 17: the secondary key `ok` of feature view `v`; expected a field of type string
features = [{ column = "amount", function = "sum", window = "1d" }]"##,
    );
    check_view(
        r##"stream = "transactions"
secondary_key = "shop" #~ 17: the secondary key `shop` of feature view `v`; expected a field of type string
features = [{ column = "amount", function = "sum", window = "1d" }]"##,
    );
    check_view(
        r##"stream = "transactions"
secondary_key = "user_id" #~ 17: the join key `user_id` as secondary key of feature view `v`; expected another column
features = [{ column = "amount", function = "sum", window = "1d" }]"##,
    );
    check_view(
        r##"stream = "transactions"
secondary_key = "merchant"
features = [{ column = "merchant", function = "count", window = "1d" }] #~ 24: the secondary key `merchant` aggregated in feature view `v`; expected another column"##,
    );
    check_view(
        r##"stream = "transactions"
ttl = "30d" #~ 7: a `ttl` in feature view `v`, which aggregates; expected no `ttl` (windows say how long events count)
features = [{ column = "amount", function = "sum", window = "1d" }]"##,
    );
    check_view(
        r##"stream = "transactions"
aggregation_interval = "1d" #~ 1: `aggregation_interval` in feature view `v`, which aggregates nothing; expected features with a `function`
leading_edge = "wall_clock" #~ 1: `leading_edge` in feature view `v`, which aggregates nothing; expected features with a `function`
features = { amount = "float64" }"##,
    );
    check_prelude(
        r##"[feature_views.v] #~ 16: no `timestamp` in feature view `v`, which aggregates a source; expected the name of the event-time column #~ 16: no `aggregation_interval` in feature view `v`; expected a duration such as "30d", "1h30m", "10m", "30s" or "500ms" (without one, windows are continuous, which needs a stream)
entity = "user"
source = { csv = "v.csv" }
features = [{ column = "amount", type = "float64", function = "sum", window = "1d" }]"##,
    );
    check_view(
        r##"source = { csv = "v.csv" }
timestamp = "at"
aggregation_interval = "1d"
features = [{ column = "amount", function = "sum", window = "1d" }, { column = "amount", function = "max", window = "1d" }, { column = "ok", type = "boolean", function = "last", window = "1d" }, { column = "ok", type = "string", function = "count", window = "1d" }] #~ 24: the column `amount` of feature view `v` without a type; expected `type = "…"` beside it: there is no stream source that says it #~ 220: the type string for the column `ok`; expected boolean, as before"##,
    );
}

#[test]
fn services_name_aggregates_by_their_features() {
    check_prelude(
        r##"[feature_views.v]
entity = "user"
stream = "transactions"
aggregation_interval = "1d"
features = [{ column = "amount", function = "sum", windows = ["1d", "7d"] }]
[feature_services.s]
features = ["v[amount_sum_1d_1d, amount_sum_7d_1]"] #~ 34: unknown feature `amount_sum_7d_1` of feature view `v`; expected one of: amount_sum_1d_1d, amount_sum_7d_1d (did you mean `amount_sum_7d_1d`?)"##,
    );
}
