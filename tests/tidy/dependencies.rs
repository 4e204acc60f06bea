//! Rules about crates: who may know whom, licences, and the offline advisory file.

use std::{collections::BTreeMap, process::Command, sync::OnceLock};

use serde_json::Value;

use crate::tree::root;

/// The crate edges of docs/ARCHITECTURE.md; only these.
const EDGES: &[(&str, &[&str])] = &[
    ("gannet-engine", &[]),
    ("gannet-store", &[]),
    ("gannet-api", &["gannet-engine", "gannet-store"]),
    ("gannet", &["gannet-api", "gannet-engine", "gannet-store"]),
    ("gannet-loadgen", &[]),
];

/// Licences that may be linked into an Apache-2.0 program without further duties than naming them.
const LICENCES: &[&str] = &[
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "Unlicense",
    "0BSD",
    "CC0-1.0",
];

/// What cargo knows about every package in the lock file, for our target.
fn metadata() -> &'static Value {
    static METADATA: OnceLock<Value> = OnceLock::new();
    METADATA.get_or_init(|| {
        let arguments = ["metadata", "--format-version=1", "--locked", "--offline"];
        let target = ["--filter-platform", "x86_64-unknown-linux-gnu"];
        let cargo = Command::new(env!("CARGO")).args(arguments).args(target).current_dir(root()).output().unwrap();
        assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
        serde_json::from_slice(&cargo.stdout).unwrap()
    })
}

#[test]
fn crates_know_only_whom_the_architecture_lets_them() {
    for (name, expected) in EDGES {
        let package = metadata()["packages"].as_array().unwrap().iter().find(|p| p["name"] == *name).unwrap();
        let ours = package["dependencies"].as_array().unwrap().iter().filter(|d| d["kind"].is_null());
        let mut ours: Vec<&str> = ours.filter_map(|d| d["name"].as_str()).filter(|n| n.starts_with("gannet")).collect();
        ours.sort_unstable();
        assert_eq!(&ours, expected, "dependencies of {name}");
    }
}

#[test]
fn every_dependency_says_why_it_is_there() {
    for (path, text) in crate::tree::files("", "Cargo.toml") {
        let mut inside = false;
        for (number, line) in text.lines().enumerate() {
            if line.starts_with('[') {
                inside = line.ends_with("dependencies]") && !line.contains("workspace");
            } else if inside && line.contains('=') && !line.contains(".workspace") && !path.contains("yardsticks") {
                assert!(line.contains(" # "), "{path}:{}: say in one line why: {line}", number + 1);
            }
        }
    }
}

#[test]
fn every_licence_is_one_we_may_link() {
    let linked: Vec<&str> =
        metadata()["resolve"]["nodes"].as_array().unwrap().iter().filter_map(|n| n["id"].as_str()).collect();
    let mut refused = Vec::new();
    for package in metadata()["packages"].as_array().unwrap() {
        if !linked.contains(&package["id"].as_str().unwrap()) {
            continue;
        }
        let expression = package["license"].as_str().unwrap_or("none given").replace('/', " OR ");
        // An expression passes if one side of each OR does; parentheses only group ANDs of ORs in practice.
        let passes = expression
            .split(" AND ")
            .all(|part| part.split(" OR ").any(|l| LICENCES.contains(&l.trim_matches(|c| "() ".contains(c)))));
        if !passes {
            refused.push(format!("{} {}: {expression}", package["name"], package["version"]));
        }
    }
    assert!(refused.is_empty(), "\n{}", refused.join("\n"));
}

#[test]
fn no_dependency_is_older_than_the_advisories_allow() {
    let text = std::fs::read_to_string(root().join("advisories.toml")).unwrap();
    let file: toml_edit::Document<String> = text.parse().unwrap();
    let mut floors = BTreeMap::new();
    for (name, entry) in file["minimum"].as_table().unwrap() {
        floors.insert(name, (version(entry["version"].as_str().unwrap()), entry["why"].as_str().unwrap()));
    }
    let refused: Vec<&str> = file["refused"].as_table().unwrap().iter().map(|(name, _)| name).collect();
    let mut found = Vec::new();
    for package in metadata()["packages"].as_array().unwrap() {
        let (name, at) = (package["name"].as_str().unwrap(), package["version"].as_str().unwrap());
        if refused.contains(&name) {
            found.push(format!("{name} is refused"));
        }
        if let Some((floor, why)) = floors.get(name)
            && version(at) < *floor
        {
            found.push(format!("{name} {at}: {why}"));
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// Major, minor, patch; what follows a dash or plus does not matter to a floor.
fn version(text: &str) -> [u64; 3] {
    let mut parts = text.split(['-', '+']).next().unwrap().split('.').map(|p| p.parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}
