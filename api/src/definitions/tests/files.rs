//! Several files at once, and files that are hardly files.

use proptest::prelude::*;

use super::{super::check, accepted, files};

/// All errors of some files, one a line.
fn errors(sources: &[(&str, &str)]) -> String {
    let errors = check(&files(sources)).err().unwrap_or_default();
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

const ENTITY: &str = "workspace = \"prod\"\n[entities.plane]\njoin_keys = { tail_number = \"string\" }\n";
const VIEW: &str = "workspace = \"prod\"\n[feature_views.planes]\nentity = \"plane\"\nsource = { csv = \"p.csv\" }\nfeatures = { seats = \"int64\" }\n";

#[test]
fn files_of_one_workspace_see_each_other_and_those_of_others_do_not() {
    let definitions = accepted(&[("b/view.toml", VIEW), ("a/entity.toml", ENTITY)]);
    assert_eq!(definitions.workspaces["prod"].feature_views.len(), 1);
    let other = ENTITY.replace("\"prod\"", "\"staging\"");
    let expected = "view.toml:3:10: unknown entity `plane`; expected an entity of this workspace, which has none";
    assert_eq!(errors(&[("view.toml", VIEW), ("entity.toml", &other)]), expected);
    assert_eq!(accepted(&[]).workspaces.len(), 0);
}

#[test]
fn workspace_must_be_stated_and_legal() {
    let check = |text, expected| assert_eq!(errors(&[("a.toml", text)]), expected);
    check("", "a.toml:1:1: no workspace; expected `workspace = \"…\"` before the first table");
    check(
        "workspace = 1",
        "a.toml:1:13: the integer `1` for `workspace` of a definitions file; expected the workspace's name, such as \"prod\"",
    );
    check(
        "workspace = \"a/b\"",
        "a.toml:1:13: illegal name `a/b` for a workspace; expected ASCII letters, digits, `_` and `-`",
    );
    check("workspace = \"\"", "a.toml:1:13: an empty name for a workspace; expected at least one character");
    check(
        "workspace = \"prod\"\nentities = 3",
        "a.toml:2:12: the integer `3` for `entities`; expected one table each, such as `[entities.name]`",
    );
}

#[test]
fn second_definition_names_the_place_of_the_first() {
    let expected = "\
b/again.toml:2:11: entity `plane` defined again; expected one definition; the first is at a/first.toml:2:11";
    assert_eq!(errors(&[("b/again.toml", ENTITY), ("a/first.toml", ENTITY)]), expected);
}

#[test]
fn errors_are_sorted_by_file_and_line() {
    let wrong = "workspace = \"prod\"\nb = 1\n[entities.x]\n[entities.y]\n";
    let lines = errors(&[("z.toml", wrong), ("a.toml", wrong)]);
    let places: Vec<_> = lines.lines().map(|line| line.splitn(3, ':').take(2).collect::<Vec<_>>().join(":")).collect();
    assert_eq!(
        places,
        ["a.toml:2", "a.toml:3", "a.toml:4", "z.toml:2", "z.toml:3", "z.toml:3", "z.toml:4", "z.toml:4"]
    );
}

#[test]
fn broken_file_hides_no_error_of_others_and_makes_no_noise() {
    let broken = ENTITY.replace("\"string\"", "string");
    let wrong = VIEW.replace("int64", "int32");
    let expected = "\
a.toml:3:29: TOML syntax: string values must be quoted at `string`; expected literal string
b.toml:5:23: unknown type `int32` for the feature `seats` of feature view `planes`; expected one of: boolean, int64, float32, float64, string, timestamp, array<T>, struct<name:T,…>, map<string,T> (use int64)";
    assert_eq!(errors(&[("a.toml", &broken), ("b.toml", &wrong)]), expected);
    // an entity that is wrong is still defined
    let wrong = ENTITY.replace("\"string\"", "\"strin\"");
    assert_eq!(errors(&[("a.toml", &wrong), ("b.toml", VIEW)]).lines().count(), 1);
    // a broken file of another workspace is no excuse
    let elsewhere = broken.replace("prod", "staging");
    assert!(errors(&[("a.toml", &elsewhere), ("b.toml", VIEW)]).contains("unknown entity `plane`"));
}

#[test]
fn text_that_never_ends_is_one_error() {
    let text = format!("{ENTITY}description = \"\"\"\nunclosed\n[entities.y]\n");
    assert_eq!(errors(&[("a.toml", &text)]), "a.toml:7:1: TOML syntax: invalid multi-line basic string; expected `\"`");
}

#[test]
fn error_is_shown_with_its_line() {
    let errors = check(&files(&[("prod/views.toml", &format!("{ENTITY}\tdescriptoin = \"größe\"\r\n"))])).unwrap_err();
    let expected = "\
error: unknown key `descriptoin` in entity `plane`
 --> prod/views.toml:4:2
  |
4 |  descriptoin = \"größe\"
  |  ^^^^^^^^^^^ expected one of: join_keys, description, tags
  = help: did you mean `description`?
";
    assert_eq!(errors[0].render(false), expected);
    assert!(errors[0].render(true).contains("\x1b[1;31merror\x1b[0m"));
}

#[test]
fn error_in_a_long_line_is_cut_to_what_matters() {
    let padding = "x".repeat(100_000);
    let text = format!("{ENTITY}description = \"{padding}\"\ntags = {{ a = \"{padding}\", b = 1 }}\n");
    for error in check(&files(&[("a.toml", &text)])).unwrap_err() {
        assert!(error.render(false).len() < 1000);
        assert!(error.to_string().len() < 500);
    }
}

#[test]
fn escapes_in_a_file_do_not_reach_the_terminal() {
    let text = "workspace = \"prod\"\n[entities.\"\\u001b[2J\"]\njoin_keys = { \"\\u202e\" = \"\\u0007\" }\n";
    for error in check(&files(&[("a.toml", text)])).unwrap_err() {
        assert!(!error.render(false).chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{error:?}");
    }
}

/// Text made of what definitions are made of, so that it gets past the TOML parser often enough.
fn fragments() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        Just("workspace = \"prod\"\n"),
        Just("[entities.x]\n"),
        Just("[feature_views.v]\n"),
        Just("[feature_services.s]\n"),
        Just("[[entities.x.join_keys]]\n"),
        Just("join_keys = { id = \"int64\" }\n"),
        Just("entity = \"x\"\n"),
        Just("features = { a = \"struct<a:int64\" }\n"),
        Just("features = [\"v[a,\", { view = \"v\" }]\n"),
        Just("features = { a = \"int64\" }\n"),
        Just("features = [\"v\"]\n"),
        Just("source = { csv = \"\\u00e9*\" }\n"),
        Just("ttl = \"1h\"\n"),
        Just("tags = { a = 1 }\n"),
        Just("x.y.z = [[{}]]\n"),
        Just("\"\"\""),
        Just("["),
        Just("=é"),
        Just("\r\n"),
        Just("\u{feff}"),
        Just("name = \"\\U0001F600\"\n"),
        Just("type = \"map<é,array<\"\n"),
    ];
    proptest::collection::vec(fragment, 0..20).prop_map(|fragments| fragments.concat())
}

proptest! {
    #[test]
    fn no_text_makes_checking_panic(text in any::<String>()) {
        for error in check(&files(&[("a.toml", &text)])).err().unwrap_or_default() {
            error.render(true);
        }
    }

    #[test]
    fn no_fragments_make_checking_panic(first in fragments(), second in fragments()) {
        match check(&files(&[("a.toml", &first), ("b.toml", &second)])) {
            Ok(definitions) => prop_assert!(super::super::diff(&definitions, &definitions).is_empty()),
            Err(errors) => {
                prop_assert!(!errors.is_empty());
                for error in errors {
                    prop_assert!(error.line > 0 && error.column > 0);
                    error.render(false);
                }
            }
        }
    }
}
