//! Definitions as files: those of a folder, and those that were applied.

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use gannet_api::definitions::{check, model::Definitions};
use gannet_store::directory::{DataDirectory, Manifest};

use crate::output;

/// Relative paths and texts, sorted.
pub(crate) type Files = Vec<(String, String)>;

/// Every `*.toml` below `folder`, hidden files and folders aside.
pub(crate) fn read(folder: &Path) -> Result<Files> {
    let mut files = Vec::new();
    read_below(folder, folder, 0, &mut files)?;
    if files.is_empty() {
        bail!("no *.toml in {}; definitions are TOML files in a folder", folder.display());
    }
    files.sort();
    Ok(files)
}

fn read_below(root: &Path, folder: &Path, depth: usize, files: &mut Files) -> Result<()> {
    if depth > FOLDER_DEPTH_MAX {
        bail!("{} is nested deeper than {FOLDER_DEPTH_MAX} folders", folder.display());
    }
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("cannot list {}", folder.display()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            read_below(root, &path, depth + 1, files)?;
        } else if name.ends_with(".toml") {
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let relative = path.strip_prefix(root).unwrap_or(&path);
            let Some(relative) = relative.to_str() else { bail!("{} is not a UTF-8 name", path.display()) };
            files.push((relative.to_owned(), text));
        }
    }
    Ok(())
}

/// What the files mean; every error of every file is told before it fails.
pub(crate) fn checked(files: &Files) -> Result<Definitions> {
    check(files).or_else(|errors| {
        let colour = std::io::stderr().is_terminal();
        for error in &errors {
            output::note(error.render(colour));
        }
        bail!("{} in the definitions; nothing was changed", plural(errors.len(), "error"));
    })
}

/// Definitions that were applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) version: u64,
    /// The folder they were applied from; relative source paths start there.
    pub(crate) folder: PathBuf,
    pub(crate) definitions: Definitions,
}

/// The definitions that a manifest names; `None` before anything was applied.
pub(crate) fn applied(data: &DataDirectory, manifest: Option<&Manifest>) -> Result<Option<Applied>> {
    let Some(version) = manifest.and_then(|manifest| manifest.definitions_version) else { return Ok(None) };
    let stored = data.definitions(version)?;
    let definitions = checked(&stored.files).with_context(|| {
        format!("version {version} was applied by a program with other rules; apply the folder again")
    })?;
    Ok(Some(Applied { version, folder: stored.info.source_folder.into(), definitions }))
}

/// `1 error`, `2 errors`.
pub(crate) fn plural(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// A folder that contains itself by a link would otherwise be read for ever.
const FOLDER_DEPTH_MAX: usize = 16;
