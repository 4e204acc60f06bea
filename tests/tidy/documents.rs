//! Rules about documents: what they name exists, and what must be named is.

use crate::tree::{files, root};

fn page(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[test]
fn settings_are_named_as_in_the_configuration_file() {
    let (page, config) = (page("docs/http.md"), page("docs/operating/gannet.toml"));
    let config: toml_edit::Document<String> = config.parse().unwrap();
    let keys: Vec<&str> = config["limits"].as_table().unwrap().iter().map(|(key, _)| key).collect();
    let table = page.split("\nSettings").nth(1).unwrap().split("\nFixed bounds").next().unwrap();
    let named: Vec<&str> = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert!(!named.is_empty());
    assert_eq!(named, keys, "docs/http.md beside docs/operating/gannet.toml");
}

#[test]
fn every_bound_is_documented() {
    let pages = ["docs/limits.md", "docs/definitions.md", "docs/http.md"].map(page).concat();
    let (mut bounds, mut missing) = (0, Vec::new());
    for (path, text) in files("", "limits.rs").into_iter().filter(|(path, _)| !path.contains("/tests/")) {
        for line in text.lines() {
            let line = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
            let Some((name, _)) = line.strip_prefix("const ").and_then(|rest| rest.split_once(':')) else { continue };
            if !["_", "KIB", "MIB"].contains(&name) {
                bounds += 1;
                if !pages.contains(&format!("`{name}`")) {
                    missing.push(format!("{path}: {name}"));
                }
            }
        }
    }
    assert!(bounds > 50, "only {bounds} were found");
    assert!(missing.is_empty(), "not in docs/limits.md:\n{}", missing.join("\n"));
}

#[test]
fn every_path_on_the_map_exists() {
    let page = page("docs/ARCHITECTURE.md");
    let drawn = |at: &usize| at % 2 == 1; // between two back-ticks; fenced blocks are pictures
    let prose = page.split("```").enumerate().filter(|(at, _)| !drawn(at)).map(|(_, text)| text).collect::<String>();
    let ticked = prose.split('`').enumerate().filter(|(at, _)| drawn(at)).map(|(_, text)| text);
    let paths: Vec<&str> = ticked.filter(|t| t.contains('/') && !t.starts_with('/') && !t.contains(' ')).collect();
    assert!(paths.len() > 20);
    let missing: Vec<&str> = paths.into_iter().filter(|path| !root().join(path).exists()).collect();
    assert!(missing.is_empty(), "docs/ARCHITECTURE.md names what is not there: {missing:?}");
}

/// What the page says a test holds, a test holds.
#[test]
fn every_rule_that_the_absences_name_exists() {
    let page = page("docs/ARCHITECTURE.md");
    let tests: String = files("tests/tidy", ".rs").into_iter().map(|(_, text)| text).collect();
    let ticked = page.split('`').skip(1).step_by(2);
    let named: Vec<&str> =
        ticked.filter(|t| t.len() > 30 && t.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')).collect();
    assert!(named.len() >= 3, "{named:?}");
    for name in named {
        assert!(tests.contains(&format!("fn {name}()")), "{name}");
    }
}

/// Every promise is numbered in its chapter, and names tests or benches that exist.
#[test]
fn what_the_specification_names_exists() {
    let page = page("docs/SPECIFICATION.md");
    let code: String = files("", ".rs").into_iter().map(|(_, text)| text).collect();
    let (mut chapter, mut promises, mut named, mut missing) = (0, 0, 0, Vec::new());
    for line in page.lines() {
        if line.starts_with("## ") {
            assert_eq!(chapter > 0, promises > 0, "chapter {chapter} is empty");
            (chapter, promises) = (chapter + 1, 0);
            assert!(line.starts_with(&format!("## {chapter}. ")), "{line}");
        }
        if !line.starts_with("| ") || line.starts_with("| |") {
            continue;
        }
        promises += 1;
        assert!(line.starts_with(&format!("| {chapter}.{promises} | ")), "expected {chapter}.{promises}: {line}");
        let (_, shown_by) = line.trim_end_matches(" |").rsplit_once(" | ").unwrap();
        assert!(shown_by.starts_with('`'), "nothing shows it: {line}");
        for name in shown_by.split('`').skip(1).step_by(2) {
            named += 1;
            let is_there =
                if name.contains('/') { root().join(name).exists() } else { code.contains(&format!("fn {name}(")) };
            if !is_there {
                missing.push(name.to_owned());
            }
        }
    }
    assert!(named > 100, "only {named} were found");
    assert!(missing.is_empty(), "docs/SPECIFICATION.md names what is not there: {missing:?}");
}
