//! What each table was built from, so that an unchanged one need not be built again. Only a hint: without it, or with one
//! that does not fit, a table is simply built.

use std::{collections::BTreeMap, path::PathBuf, time::UNIX_EPOCH};

use anyhow::{Context as _, Result};
use gannet_api::definitions::model::FeatureView;
use gannet_store::directory::{DataDirectory, TableEntry};
use serde::{Deserialize, Serialize};

/// Notes of all tables, by table name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Notes {
    tables: BTreeMap<String, Note>,
}

/// What one table was built from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// Ties the note to the table: a table that was built by other means has another time.
    built_at_us: i64,
    fingerprint: String,
    files: Vec<SourceFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SourceFile {
    path: PathBuf,
    bytes: u64,
    modified_us: u64,
}

impl Note {
    pub(crate) fn of(view: &FeatureView, files: &[PathBuf], built_at_us: i64) -> Result<Self> {
        let mut noted = Vec::new();
        for path in files {
            let in_file = || format!("cannot examine {}", path.display());
            let metadata = std::fs::metadata(path).with_context(in_file)?;
            let modified = metadata.modified().with_context(in_file)?.duration_since(UNIX_EPOCH).unwrap_or_default();
            let modified_us = u64::try_from(modified.as_micros()).unwrap_or(u64::MAX);
            noted.push(SourceFile { path: path.clone(), bytes: metadata.len(), modified_us });
        }
        Ok(Self { built_at_us, fingerprint: view.fingerprint(), files: noted })
    }
}

impl Notes {
    pub(crate) fn read(data: &DataDirectory) -> Result<Self> {
        let bytes = data.read_file(FILE)?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }

    /// Whether the live table was built from just what `now` says.
    pub(crate) fn still_holds(&self, table: &str, live: &TableEntry, now: &Note) -> bool {
        self.tables.get(table).is_some_and(|note| {
            note.built_at_us == live.built_at_us && note.fingerprint == now.fingerprint && note.files == now.files
        })
    }

    /// Adds to the notes of a data directory. The writer's lock must be held.
    pub(crate) fn add(data: &DataDirectory, notes: BTreeMap<String, Note>) -> Result<()> {
        let mut all = Self::read(data)?;
        all.tables.extend(notes);
        let mut text = serde_json::to_vec_pretty(&all)?;
        text.push(b'\n');
        Ok(data.replace_file(FILE, &text)?)
    }
}

const FILE: &str = "materialized.json";
