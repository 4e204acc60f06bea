//! Rules about documents: what they name exists, and what must be named is.

use crate::tree::root;

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
