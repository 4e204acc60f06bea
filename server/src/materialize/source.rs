//! Which files a view's source names.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The files that `path` names, sorted by name: one file, or those that match a `*` in its last part. A relative path starts
/// at `folder`.
pub(crate) fn files(folder: &Path, path: &str) -> Result<Vec<PathBuf>> {
    let path = folder.join(path); // an absolute path replaces the folder
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        bail!("{} names no file", path.display());
    };
    if !name.contains('*') {
        if !path.is_file() {
            bail!("{} is not there; source paths are relative to the folder that was applied", path.display());
        }
        return Ok(vec![path]);
    }
    let folder = path.parent().unwrap_or(folder);
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
        let matched = entry.file_name().to_str().is_some_and(|entry| matches(name, entry));
        if matched && entry.path().is_file() {
            found.push(entry.path());
        }
    }
    if found.is_empty() {
        bail!("no file matches {}", path.display());
    }
    found.sort();
    Ok(found)
}

/// Whether `name` is `pattern` with each `*` standing for any characters; names that start with a dot need one written out.
fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn stars_stand_for_any_characters() {
        for (pattern, name, expected) in [
            ("*.parquet", "a.parquet", true),
            ("*.parquet", ".parquet", false),
            ("*.parquet", ".hidden.parquet", false),
            ("part-*-of-*.csv", "part-1-of-2.csv", true),
            ("part-*-of-*.csv", "part-1.csv", false),
            ("a*a", "a", false),
            ("a*b*b", "ab", false),
            ("plain", "plain", true),
            ("plain", "plains", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn files_are_sorted_and_missing_ones_are_named() {
        let folder = Scratch::new();
        for name in ["b.csv", "a.csv", "c.txt"] {
            folder.write(name, "");
        }
        let names: Vec<_> = files(folder.path(), "*.csv").unwrap();
        assert_eq!(names, [folder.path().join("a.csv"), folder.path().join("b.csv")]);
        assert!(files(folder.path(), "d.csv").unwrap_err().to_string().contains("d.csv is not there"));
        assert!(files(folder.path(), "*.json").unwrap_err().to_string().contains("no file matches"));
    }
}
