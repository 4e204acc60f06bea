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
