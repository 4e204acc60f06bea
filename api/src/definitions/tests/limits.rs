//! Every limit: what is at it is accepted, one more is refused by its name.

use std::fmt::Write as _;

use super::{
    super::{check, limits::*},
    files,
};
use crate::aggregates::limits::AGGREGATIONS_MAX;

const HEAD: &str = "workspace = \"prod\"\n[entities.x]\njoin_keys = { id = \"int64\" }\n";
const VIEW: &str = "[feature_views.v]\nentity = \"x\"\nsource = { csv = \"v.csv\" }\n";

/// `text(max)` is accepted; `text(max + 1)` gives one error, which names the limit.
#[track_caller]
fn check_limit(limit: &str, max: usize, text: impl Fn(usize) -> String) {
    let errors = check(&files(&[("a.toml", &text(max))])).err().unwrap_or_default();
    assert!(errors.is_empty(), "at {limit}: {}", errors[0]);
    let errors = check(&files(&[("a.toml", &text(max + 1))])).expect_err(limit);
    assert_eq!(errors.len(), 1, "{}\n{}", errors[0], errors[1 % errors.len()]);
    let error = errors[0].to_string();
    assert!(error.contains(&format!("({limit})")), "{limit}: {error}");
}

/// `text` for every number below `count`.
fn repeat(count: usize, text: impl Fn(usize) -> String) -> String {
    (0..count).map(text).collect()
}

#[test]
fn texts_are_bounded() {
    check_limit("DESCRIPTION_BYTES_MAX", DESCRIPTION_BYTES_MAX, |n| {
        format!("{HEAD}description = \"{}\"", "d".repeat(n))
    });
    check_limit("TAGS_MAX", TAGS_MAX, |n| {
        format!("{HEAD}[entities.x.tags]\n{}", repeat(n, |i| format!("t{i} = \"\"\n")))
    });
    check_limit("TAG_VALUE_BYTES_MAX", TAG_VALUE_BYTES_MAX, |n| {
        format!("{HEAD}tags = {{ t = \"{}\" }}", "v".repeat(n))
    });
    let entity =
        |n: usize| format!("workspace = \"prod\"\n[entities.{}]\njoin_keys = {{ id = \"int64\" }}", "e".repeat(n));
    check_limit("NAME_BYTES_MAX", NAME_BYTES_MAX, entity);
    check_limit("FILE_BYTES_MAX", FILE_BYTES_MAX, |n| format!("{HEAD}#{}", "c".repeat(n - HEAD.len() - 1)));
    let features = "features = { a = \"int64\" }";
    check_limit("PATH_BYTES_MAX", PATH_BYTES_MAX, |n| {
        format!("{HEAD}[feature_views.v]\nentity = \"x\"\n{features}\nsource = {{ csv = \"{}\" }}", "p".repeat(n))
    });
    check_limit("COLUMN_BYTES_MAX", COLUMN_BYTES_MAX, |n| {
        format!("{HEAD}{VIEW}features = {{ a = {{ type = \"int64\", column = \"{}\" }} }}", "c".repeat(n))
    });
    check_limit("TTL_DAYS_MAX", usize::try_from(TTL_DAYS_MAX).unwrap(), |n| {
        format!("{HEAD}{VIEW}{features}\nttl = \"{n}d\"")
    });
}

#[test]
fn counts_are_bounded() {
    let entity = |name: String| format!("[entities.{name}]\njoin_keys = {{ id = \"int64\" }}\n");
    let view = |name: String| {
        VIEW.replace("[feature_views.v]", &format!("[feature_views.{name}]")) + "features = { a = \"int64\" }\n"
    };
    let keys = |n, prefix: &str| repeat(n, |i| format!("{prefix}{i} = \"int64\"\n"));
    check_limit("ENTITIES_MAX", ENTITIES_MAX, |n| {
        "workspace = \"prod\"\n".to_owned() + &repeat(n, |i| entity(format!("e{i}")))
    });
    check_limit("VIEWS_MAX", VIEWS_MAX, |n| HEAD.to_owned() + &repeat(n, |i| view(format!("v{i}"))));
    let stream = |fields: &str, name: String| {
        format!("[stream_sources.{name}]\ntimestamp = \"at\"\nfields = {{ at = \"timestamp\"{fields} }}\n")
    };
    check_limit("STREAM_SOURCES_MAX", STREAM_SOURCES_MAX, |n| {
        HEAD.to_owned() + &repeat(n, |i| stream("", format!("s{i}")))
    });
    check_limit("FIELDS_PER_STREAM_SOURCE_MAX", FIELDS_PER_STREAM_SOURCE_MAX, |n| {
        let fields = repeat(n - 1, |i| format!(", f{i} = \"int64\""));
        HEAD.to_owned() + &stream(&fields, "s".to_owned())
    });
    check_limit("AGGREGATIONS_MAX", AGGREGATIONS_MAX, |n| {
        let view = VIEW.to_owned() + "timestamp = \"at\"\naggregation_interval = \"1d\"\n";
        let features = repeat(n, |i| {
            format!("{{ column = \"a\", type = \"int64\", function = \"sum\", window = \"{}d\" }},", i + 1)
        });
        format!("{HEAD}{view}features = [{features}]")
    });
    check_limit("SERVICES_MAX", SERVICES_MAX, |n| {
        let services = repeat(n, |i| format!("[feature_services.s{i}]\nfeatures = [\"v\"]\n"));
        HEAD.to_owned() + &view("v".to_owned()) + &services
    });
    check_limit("JOIN_KEYS_MAX", JOIN_KEYS_MAX, |n| {
        format!("workspace = \"prod\"\n[entities.x.join_keys]\n{}", keys(n, "k"))
    });
    check_limit("ENTITIES_PER_VIEW_MAX", ENTITIES_PER_VIEW_MAX, |n| {
        let names = repeat(n, |i| format!("\"e{i}\", "));
        let view = view("v".to_owned()).replace("entity = \"x\"", &format!("entities = [{names}]"));
        HEAD.to_owned() + &repeat(n, |i| entity(format!("e{i}"))) + &view
    });
    check_limit("FEATURES_PER_VIEW_MAX", FEATURES_PER_VIEW_MAX, |n| {
        format!("{HEAD}{VIEW}[feature_views.v.features]\n{}", keys(n, "f"))
    });
    let many = format!("{HEAD}{VIEW}[feature_views.v.features]\n{}[feature_services.s]\n", keys(1024, "f"));
    check_limit("FEATURES_PER_SERVICE_MAX", FEATURES_PER_SERVICE_MAX, |n| {
        let whole = repeat(n / 1024, |i| format!("{{ view = \"v\", as = \"v{i}\" }}, "));
        let rest = if n % 1024 == 0 { "" } else { "\"v[f0]\"" };
        format!("{many}features = [{whole}{rest}]")
    });
    check_limit("SELECTIONS_PER_SERVICE_MAX", SELECTIONS_PER_SERVICE_MAX, |n| {
        let selections = repeat(n, |i| format!("{{ view = \"v\", as = \"v{i}\" }}, "));
        format!("{HEAD}{}[feature_services.s]\nfeatures = [{selections}]", view("v".to_owned()))
    });
}

#[test]
fn types_are_bounded() {
    let feature = |text: String| format!("{HEAD}{VIEW}features = {{ a = \"{text}\" }}");
    let nested = |n: usize| format!("{}int64{}", "array<".repeat(n - 1), ">".repeat(n - 1));
    check_limit("TYPE_DEPTH_MAX", TYPE_DEPTH_MAX, |n| feature(nested(n)));
    check_limit("STRUCT_FIELDS_MAX", STRUCT_FIELDS_MAX, |n| {
        let mut fields = String::from("struct<");
        for i in 0..n {
            write!(fields, "{}f{i}:int64", if i == 0 { "" } else { "," }).unwrap();
        }
        feature(fields + ">")
    });
    check_limit("TYPE_BYTES_MAX", TYPE_BYTES_MAX, |n| feature(format!("int64{}", " ".repeat(n - 5))));
}

#[test]
fn files_and_workspaces_are_bounded() {
    let check = |count: usize, text: &dyn Fn(usize) -> String| {
        let files: Vec<_> = (0..count).map(|i| (format!("{i:05}.toml"), text(i))).collect();
        check(&files).map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    };
    let one = |_| "workspace = \"prod\"".to_owned();
    let many = |i| format!("workspace = \"w{i:05}\"");
    assert!(check(FILES_MAX, &one).is_ok());
    assert!(check(FILES_MAX + 1, &one).unwrap_err().ends_with("at most 4096 (FILES_MAX)"));
    assert!(check(WORKSPACES_MAX, &many).is_ok());
    let error = check(WORKSPACES_MAX + 1, &many).unwrap_err();
    assert_eq!(error, "00064.toml:1:13: 65 workspaces; expected at most 64 (WORKSPACES_MAX)");
}
