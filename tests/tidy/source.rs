//! Rules about source text.

use crate::tree::{code, files};

const CRATES: [&str; 4] = ["engine/src", "store/src", "api/src", "server/src"];

/// A word, and the only places whose code may hold it. A place is a file, or a folder ending in `/`.
struct Fence {
    word: &'static str,
    places: &'static [&'static str],
    why: &'static str,
}

const FENCES: &[Fence] = &[
    Fence { word: "io_uring::", places: &["engine/src/reactor/"], why: "one module drives the ring" },
    Fence { word: "memmap2::", places: &["store/src/segment/map.rs"], why: "one module maps files" },
    Fence { word: "rkyv::", places: &["store/src/format/archive.rs"], why: "one module trusts archives" },
    Fence { word: "glommio::", places: &["store/src/plane/"], why: "one module knows the storage executor" },
    Fence { word: "simd_json::", places: &["api/src/tecton/json.rs"], why: "one module knows the request parser" },
    Fence { word: "Instant::now", places: &["engine/src/clock.rs", "server/src/"], why: "time is handed down" },
    Fence { word: "SystemTime::now", places: &["engine/src/clock.rs", "server/src/"], why: "time is handed down" },
    Fence { word: "mimalloc", places: &["server/src/main.rs"], why: "the binary picks the allocator" },
    Fence { word: "tokio", places: &[], why: "no second runtime" },
    Fence { word: "std::net::", places: &["engine/src/", "server/src/"], why: "sockets belong to engine" },
    Fence { word: "std::fs::", places: &["store/src/", "server/src/"], why: "files belong to store" },
];

/// Where `unsafe` may be written. docs/ARCHITECTURE.md says why each.
const UNSAFE: &[&str] = &["engine/src/reactor/", "store/src/segment/map.rs", "store/src/format/archive.rs"];

fn allowed(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| if place.ends_with('/') { path.starts_with(place) } else { path == *place })
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

#[test]
fn each_third_party_name_stays_behind_its_fence() {
    let mut found = Vec::new();
    for (path, text) in CRATES.iter().flat_map(|c| files(c, ".rs")) {
        for fence in FENCES.iter().filter(|f| !is_test(&path) && !allowed(&path, f.places)) {
            for (line, _) in code(before_tests(&text)).filter(|(_, l)| l.contains(fence.word)) {
                found.push(format!("{path}:{line}: {} ({})", fence.word, fence.why));
            }
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// A file's text up to its test module, if it has one.
fn before_tests(text: &str) -> &str {
    text.find("#[cfg(test)]").map_or(text, |at| &text[..at])
}

#[test]
fn unsafe_is_written_only_where_the_architecture_says() {
    let mut found = Vec::new();
    for (path, text) in CRATES.iter().flat_map(|c| files(c, ".rs")) {
        let opens = |l: &str| l.contains("unsafe {") || l.contains("unsafe fn") || l.contains("unsafe impl");
        if !allowed(&path, UNSAFE) {
            found.extend(code(&text).filter(|(_, l)| opens(l)).map(|(n, _)| format!("{path}:{n}")));
        }
    }
    assert!(found.is_empty(), "unsafe outside its modules:\n{}", found.join("\n"));
}

#[test]
fn nothing_is_left_for_later_in_the_code() {
    let marks = ["TODO", "FIXME", "XXX", "todo!(", "unimplemented!("];
    let mut found = Vec::new();
    for (path, text) in CRATES.iter().flat_map(|c| files(c, ".rs")) {
        for (line, text) in text.lines().enumerate() {
            if marks.iter().any(|mark| text.contains(mark)) {
                found.push(format!("{path}:{}: {}", line + 1, text.trim()));
            }
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn files_stay_small_enough_to_hold_in_the_head() {
    let lines = |text: &str| text.lines().count();
    let long: Vec<String> = CRATES
        .iter()
        .flat_map(|c| files(c, ".rs"))
        .filter(|(path, text)| !is_test(path) && lines(text) > 650)
        .map(|(path, text)| format!("{path}: {}", lines(&text)))
        .collect();
    assert!(long.is_empty(), "which subsystems are inside?\n{}", long.join("\n"));
}

#[test]
fn every_page_that_a_document_links_to_exists() {
    let mut found = Vec::new();
    for (path, text) in files("", ".md") {
        let folder = std::path::Path::new(&path).parent().unwrap().to_path_buf();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            if !crate::tree::root().join(&folder).join(target).exists() {
                found.push(format!("{path}: {link}"));
            }
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}
