//! Rules about source text.

use crate::tree::{code, files};

const CRATES: [&str; 5] = ["engine/src", "store/src", "api/src", "server/src", "loadgen/src"];

/// A word, and the only places whose code may hold it. A place is a file, or a folder ending in `/`.
struct Fence {
    word: &'static str,
    places: &'static [&'static str],
    why: &'static str,
}

const FENCES: &[Fence] = &[
    Fence { word: "io_uring::", places: &["engine/src/reactor/"], why: "one module drives the ring" },
    Fence {
        word: "memmap2::",
        places: &["store/src/segment/map.rs", "store/src/segment/map/"],
        why: "one module maps files",
    },
    Fence { word: "rkyv::", places: &["store/src/format/archive.rs"], why: "one module trusts archives" },
    Fence {
        word: "rustix::",
        places: &["store/src/disk/system.rs", "loadgen/src/"],
        why: "in store, one module is the real disk",
    },
    Fence { word: "crossbeam_epoch::", places: &["store/src/overlay/"], why: "one module knows the epochs" },
    Fence { word: "glommio::", places: &["store/src/plane/"], why: "one module knows the storage executor" },
    Fence { word: "datasketches::", places: &["api/src/aggregates/sketch/"], why: "one folder knows the sketches" },
    Fence { word: "simd_json::", places: &["api/src/tecton/json.rs"], why: "one module knows the request parser" },
    Fence {
        word: "Instant::now",
        places: &["engine/src/clock.rs", "server/src/", "loadgen/src/clock.rs"],
        why: "time is handed down",
    },
    Fence {
        word: "SystemTime::now",
        places: &["engine/src/clock.rs", "server/src/", "loadgen/src/clock.rs"],
        why: "time is handed down",
    },
    Fence { word: "mimalloc", places: &["server/src/main.rs"], why: "the binary picks the allocator" },
    Fence { word: "tokio", places: &[], why: "no second runtime" },
    Fence {
        word: "std::net",
        places: &["engine/src/", "server/src/", "loadgen/src/"],
        why: "sockets belong to engine",
    },
    Fence { word: "std::fs", places: &["store/src/", "server/src/", "loadgen/src/"], why: "files belong to store" },
    Fence {
        word: "libc::",
        places: &["store/src/segment/map.rs", "store/src/segment/map/", "engine/src/"],
        why: "the kernel is met in two places",
    },
];

/// Where `unsafe` may be written. docs/ARCHITECTURE.md says why each.
const UNSAFE: &[&str] =
    &["engine/src/reactor/", "store/src/segment/map.rs", "store/src/segment/map/", "store/src/format/archive.rs"];

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
            let lines = violations(&text, fence.word).into_iter();
            found.extend(lines.map(|line| format!("{path}:{line}: {} ({})", fence.word, fence.why)));
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// Lines of `text`, tests aside, whose code holds `word`. A path is also found where a `use` takes it in parts: `std::fs`
/// in `use std::{fs, io}`.
fn violations(text: &str, word: &str) -> Vec<usize> {
    let text = without_tests(text);
    let mut found: Vec<usize> = code(&text).filter(|(_, line)| holds(line, word)).map(|(number, _)| number).collect();
    let path = word.trim_end_matches("::");
    let (parent, name) = path.rsplit_once("::").unwrap_or(("", path));
    let uncommented: String =
        text.lines().map(|line| line.split("//").next().unwrap_or_default().to_owned() + "\n").collect();
    // Behind `std::{` the parts are at depth 1; what is deeper belongs to another path.
    let group = if parent.is_empty() { "use {".to_owned() } else { format!("{parent}::{{") };
    for (start, _) in uncommented.match_indices(&group) {
        let (mut depth, mut part, mut line) = (1, String::new(), uncommented[..start].matches('\n').count() + 1);
        for letter in uncommented[start + group.len()..].chars() {
            let ends = matches!(letter, ',' | ':' | '}' | ' ');
            if ends && depth == 1 && part == name {
                found.push(line);
            }
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                '\n' => line += 1,
                _ => {}
            }
            match letter {
                ',' | '{' | '}' => part.clear(),
                letter if !letter.is_whitespace() => part.push(letter),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether the line names `word`, and not just a longer name that begins like it. `x::` is also found in `use x;`.
fn holds(line: &str, word: &str) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    let path = word.trim_end_matches("::");
    let imported = |rest: &str| rest.starts_with([';', ' ']) && line.trim_start().contains("use ");
    line.match_indices(path).any(|(at, _)| {
        let (before, rest) = (&line[..at], &line[at + path.len()..]);
        let whole = !before.ends_with(in_name) && !rest.starts_with(in_name);
        whole && (path == word || rest.starts_with("::") || imported(rest))
    })
}

/// A file's text with the lines of its inline test module empty. `mod tests;` only names a file.
fn without_tests(text: &str) -> String {
    let (mut out, mut inside) = (String::with_capacity(text.len()), false);
    let mut attributed = false;
    for line in text.lines() {
        // rustfmt puts the closing brace of a module at the start of its line.
        let opens = attributed && line.contains("mod ") && line.ends_with('{') && !line.starts_with(' ');
        inside |= opens;
        if !inside {
            out.push_str(line);
        }
        out.push('\n');
        inside &= line != "}";
        attributed = line == "#[cfg(test)]" || (attributed && line.starts_with("#["));
    }
    out
}

#[test]
fn fences_find_every_form_of_a_name() {
    for (word, text, lines) in [
        ("std::fs", "use std::fs;", &[1][..]),
        ("std::fs", "use std::fs::File;", &[1]),
        ("std::fs", "let x = std::fs::read(p);", &[1]),
        ("std::fs", "use std::{fs, io};", &[1]),
        ("std::fs", "use std::{io, fs};", &[1]),
        ("std::fs", "use std::{\n    fmt::{self, Write},\n    fs::File,\n};", &[3]),
        ("std::net", "pub(crate) use std::{net::{TcpStream, SocketAddr}, path::Path};", &[1]),
        ("std::net", "use std::{net as network};", &[1]),
        ("libc::", "let x = unsafe { libc::mmap() };", &[1]),
        ("libc::", "use libc;", &[1]),
        ("libc::", "use libc::c_int;", &[1]),
        ("libc::", "use {libc, std::io};", &[1]),
        ("memmap2::", "use memmap2::Mmap;", &[1]),
        ("tokio", "fn f() -> tokio::Runtime {}", &[1]),
        // Behind a test module's declaration, or behind the module itself.
        ("std::fs", "#[cfg(test)]\nmod tests;\nuse std::fs;", &[3]),
        ("std::fs", "#[cfg(test)]\nfn f() {\n}\nuse std::fs;", &[4]),
        ("std::fs", "#[cfg(test)]\nmod tests {\n    use std::fs;\n}\nuse std::fs;", &[5]),
        // Not violations.
        ("std::fs", "// use std::fs;\nuse std::{io, path::{Path}};", &[]),
        ("std::fs", "use std::{os::fd, io::{fs}};", &[]),
        ("std::fs", "use my_std::fs;\nuse std::fsync;", &[]),
        ("libc::", "use libcall::x;\nlet libc = 1;", &[]),
        ("std::fs", "#[cfg(test)]\n#[expect(x)]\npub(crate) mod tests {\n    use std::{fs};\n}", &[]),
    ] {
        assert_eq!(violations(text, word), lines, "{word} in {text}");
    }
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
