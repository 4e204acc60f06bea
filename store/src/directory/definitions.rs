//! Applied definitions: the text of every version that was ever applied, with checksums.
//!
//! A version is a folder. It is written under a temporary name, synced from the leaves up, and renamed; so a version is
//! there whole or not at all. Which one is live is for the manifest to say.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::Error;

use super::{
    create::{DEFINITIONS, DataDirectory},
    disk::{self, failed, refused},
    envelope,
    lock::WriterLock,
    manifest::FORMAT_VERSION,
    publish::{corrupt, refuse_other_versions},
};

/// One applied version, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definitions {
    pub info: DefinitionsInfo,
    /// Relative path and text, in the order in which they were put.
    pub files: Vec<(String, String)>,
}

/// What is known about an applied version besides its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinitionsInfo {
    pub format_version: u32,
    pub version: u64,
    /// Microseconds since the Unix epoch.
    pub applied_at_us: i64,
    /// Where the files came from, for people to read.
    pub source_folder: String,
    pub files: Vec<DefinitionsFile>,
}

/// One file of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinitionsFile {
    /// Relative to the version's `files/`.
    pub path: String,
    pub bytes: u64,
    /// Checksum of the text, as 16 hex digits.
    pub xxh3: String,
}

impl DataDirectory {
    /// Stores `files` (relative path and text) as the next version and returns its number. It is not live until a manifest
    /// that names it is published.
    pub fn put_definitions(
        &self,
        lock: &WriterLock,
        files: &[(String, String)],
        applied_at_us: i64,
        source_folder: &str,
    ) -> Result<u64, Error> {
        lock.assert_is_of(&self.root);
        let folder = self.root.join(DEFINITIONS);
        let version = self.definitions_versions()?.last().copied().unwrap_or(0) + 1;
        let temporary = folder.join(disk::temporary_name(&folder_name(version)));
        let info = DefinitionsInfo {
            format_version: FORMAT_VERSION,
            version,
            applied_at_us,
            source_folder: source_folder.to_owned(),
            files: files
                .iter()
                .map(|(path, text)| DefinitionsFile {
                    path: path.clone(),
                    bytes: text.len() as u64,
                    xxh3: format!("{:016x}", xxh3_64(text.as_bytes())),
                })
                .collect(),
        };
        let target = folder.join(folder_name(version));
        let written = self.put_definitions_write(&temporary, &info, files).and_then(|()| {
            self.disk.rename(&temporary, &target).map_err(|source| failed("rename to", &target, source))
        });
        if written.is_err() {
            let _ = disk::remove_tree(self.disk.as_ref(), &temporary); // best effort; garbage collection takes what stays
        }
        written?;
        disk::sync_folder(self.disk.as_ref(), &folder)?;
        Ok(version)
    }

    fn put_definitions_write(
        &self,
        folder: &Path,
        info: &DefinitionsInfo,
        files: &[(String, String)],
    ) -> Result<(), Error> {
        let disk = self.disk.as_ref();
        disk.create_folder(folder).map_err(|source| failed("create the folder", folder, source))?;
        let texts = folder.join(FILES);
        disk.create_folder(&texts).map_err(|source| failed("create the folder", &texts, source))?;
        let mut folders = BTreeSet::from([texts.clone()]);
        for (path, text) in files {
            if !disk::leads_below(path) {
                return Err(refused("store definitions", Path::new(path), "the path must lead below the folder"));
            }
            let file = texts.join(path);
            if let Some(parent) = Path::new(path).parent() {
                disk::create_folders(disk, &texts, parent)?;
                folders.insert(texts.join(parent));
            }
            disk::write_new(disk, &file, text.as_bytes())?;
        }
        let info_file = folder.join(INFO);
        disk::write_new(disk, &info_file, &envelope::seal(&info_file, info)?.0)?;
        for synced in folders.iter().map(PathBuf::as_path).chain([folder]) {
            disk::sync_folder(disk, synced)?;
        }
        Ok(())
    }

    /// An applied version: every file there, every checksum matched.
    pub fn definitions(&self, version: u64) -> Result<Definitions, Error> {
        let folder = self.root.join(DEFINITIONS).join(folder_name(version));
        let info_file = folder.join(INFO);
        let bytes = disk::read(self.disk.as_ref(), &info_file)?.ok_or_else(|| corrupt(&info_file, "a file", "none"))?;
        let opened = envelope::open(&info_file, &bytes)?;
        refuse_other_versions(&info_file, &opened)?;
        let info: DefinitionsInfo = opened.parse(&info_file, "information on definitions")?;
        if info.version != version {
            let found = format!("version {}", info.version);
            return Err(corrupt(&info_file, &format!("version {version}"), &found));
        }
        let mut files = Vec::with_capacity(info.files.len());
        for entry in &info.files {
            if !disk::leads_below(&entry.path) {
                return Err(corrupt(&info_file, "a path below the folder", &entry.path));
            }
            let file = folder.join(FILES).join(&entry.path);
            let bytes = disk::read(self.disk.as_ref(), &file)?.ok_or_else(|| corrupt(&file, "a file", "none"))?;
            let found = format!("{:016x}", xxh3_64(&bytes));
            if bytes.len() as u64 != entry.bytes || found != entry.xxh3 {
                let expected = format!("{} bytes with checksum {}", entry.bytes, entry.xxh3);
                return Err(corrupt(&file, &expected, &format!("{} bytes with checksum {found}", bytes.len())));
            }
            let text = String::from_utf8(bytes).map_err(|_| corrupt(&file, "UTF-8", "other bytes"))?;
            files.push((entry.path.clone(), text));
        }
        Ok(Definitions { info, files })
    }

    /// The versions that were applied, oldest first.
    pub fn definitions_versions(&self) -> Result<Vec<u64>, Error> {
        let entries = disk::list(self.disk.as_ref(), &self.root.join(DEFINITIONS))?;
        let mut versions: Vec<u64> =
            entries.iter().filter(|entry| entry.is_folder).filter_map(|entry| number(&entry.name)).collect();
        versions.sort_unstable();
        Ok(versions)
    }
}

fn folder_name(version: u64) -> String {
    format!("{version:06}")
}

fn number(name: &str) -> Option<u64> {
    let number = name.parse().ok()?;
    (folder_name(number) == name).then_some(number)
}

const FILES: &str = "files";
const INFO: &str = "info.json";
