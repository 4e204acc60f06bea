//! A body of join keys becomes one write of tombstones. Ours: spelt as `ingest.rs` spells its frame.

use std::collections::BTreeMap;

use gannet_store::{KeyType, limits::LOG_PAYLOAD_BYTES_MAX, plane::WriteBuilder, row::write_tombstone};

use super::{
    ingest::{Asking, Taken, boolean, text},
    json::{Elements, Members, Text, Value},
    number,
    request::Seen,
    written,
};
use crate::{
    auth::Role,
    error::{Fault, Quoted},
    ingest::{Cell, ViewIntake, WorkspaceIntake, encode_key},
    limits::RECORDS_MAX,
};

/// The frame of a body.
struct Frame<'t, 'b> {
    workspace: Text<'b>,
    dry_run: bool,
    /// `None`: every view that has the keys.
    views: Option<Elements<'t, 'b>>,
    keys: Elements<'t, 'b>,
}

/// Reads a body: its tombstones go into `write`, begun in `buffer`, and its answer, should they be written, to `out`.
pub(crate) fn read<'b>(
    root: Value<'_, 'b>,
    asking: &Asking<'b, impl Fn(&[u8], Role) -> bool>,
    write: &mut WriteBuilder,
    buffer: Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<Taken, Fault<'b>> {
    let Frame { workspace, dry_run, views, keys } = Frame::read(root)?;
    let workspace = asking.workspace(workspace, dry_run)?;
    let views = views.map(|names| named_views(workspace, names)).transpose()?;
    if !(1..=RECORDS_MAX).contains(&keys.len()) {
        return Err(Fault::Count { what: "join_key_maps", max: RECORDS_MAX, found: keys.len() });
    }
    write.begin(buffer, None);
    let (mut deleted, mut key, mut row) = (BTreeMap::new(), Vec::new(), Vec::new());
    for (at, value) in keys.enumerate() {
        let Value::Object(members) = value else {
            return Err(Fault::FieldKind { field: "join_key_maps", expected: "array of objects" });
        };
        let parts = parts(members)?;
        let of_all: Vec<usize>;
        let of = match &views {
            Some(views) => views,
            None => {
                of_all = (0..workspace.views().len()).filter(|at| has_keys(&workspace.views()[*at], &parts)).collect();
                if of_all.is_empty() {
                    return Err(Fault::NoViewOfKeys { workspace: &workspace.name, at });
                }
                &of_all
            }
        };
        for place in of {
            let view = &workspace.views()[*place];
            let table = view.table.as_deref().ok_or(Fault::NotWritable { view: &view.name })?;
            let cells = cells(view, &parts, at)?;
            key.clear();
            row.clear();
            if !encode_key(view.key_types(), cells.iter(), &mut key)
                || write_tombstone(&key, deleted_at_us(view, asking.now_us), &mut row).is_err()
            {
                return Err(Fault::DeletedKeyTooLong { at });
            }
            write.row(table, &row);
            *deleted.entry(*place).or_insert(0) += 1;
        }
        if write.bytes() > LOG_PAYLOAD_BYTES_MAX {
            return Err(Fault::WriteTooLarge { max: LOG_PAYLOAD_BYTES_MAX });
        }
    }
    let told = deleted.iter().map(|(view, keys)| (&workspace.views()[*view], if dry_run { 0 } else { *keys }));
    written::deleted(&workspace.name, told, out);
    let rows = deleted.iter().map(|(view, keys)| (workspace.views()[*view].slot, *keys)).collect();
    Ok(Taken { rows, dry_run, ..Taken::default() })
}

impl<'t, 'b> Frame<'t, 'b> {
    fn read(root: Value<'t, 'b>) -> Result<Self, Fault<'b>> {
        let (mut workspace, mut dry_run, mut views, mut keys) = (None, false, None, None);
        let mut seen = Seen::default();
        let members = if let Value::Object(members) = root { Some(members) } else { None };
        for (name, value) in members.into_iter().flatten() {
            match name.text {
                "workspace_name" | "workspaceName" => {
                    seen.once(0, "workspace_name")?;
                    workspace = text("workspace_name", value)?;
                }
                "dry_run" | "dryRun" => {
                    seen.once(1, "dry_run")?;
                    dry_run = boolean("dry_run", value)?.unwrap_or(false);
                }
                "feature_view_names" | "featureViewNames" => {
                    seen.once(2, "feature_view_names")?;
                    views = list("feature_view_names", value)?;
                }
                "join_key_maps" | "joinKeyMaps" => {
                    seen.once(3, "join_key_maps")?;
                    keys = list("join_key_maps", value)?;
                }
                _ => {}
            }
        }
        Ok(Self {
            workspace: workspace.ok_or(Fault::RequiredField("workspace_name"))?,
            dry_run,
            views,
            keys: keys.ok_or(Fault::RequiredField("join_key_maps"))?,
        })
    }
}

/// The positions of these views, each once.
fn named_views<'b>(workspace: &'b WorkspaceIntake, names: Elements<'_, 'b>) -> Result<Vec<usize>, Fault<'b>> {
    let mut views = Vec::new();
    for name in names {
        let Value::String(name) = name else {
            return Err(Fault::FieldKind { field: "feature_view_names", expected: "array of strings" });
        };
        let unknown = Fault::UnknownView { view: Quoted(name.text.as_bytes()), workspace: &workspace.name };
        let view = workspace.view(name.text).ok_or(unknown)?;
        if !views.contains(&view) {
            views.push(view);
        }
    }
    if views.is_empty() {
        return Err(Fault::Count { what: "feature_view_names", max: workspace.views().len(), found: 0 });
    }
    Ok(views)
}

/// A map's keys, each once.
fn parts<'t, 'b>(members: Members<'t, 'b>) -> Result<BTreeMap<&'b str, Value<'t, 'b>>, Fault<'b>> {
    let mut parts = BTreeMap::new();
    for (name, value) in members {
        if parts.insert(name.text, value).is_some() {
            return Err(Fault::DuplicateField(Quoted(name.text.as_bytes())));
        }
    }
    Ok(parts)
}

/// Both sorted by name.
fn has_keys(view: &ViewIntake, parts: &BTreeMap<&str, Value<'_, '_>>) -> bool {
    view.join_keys.iter().map(|key| key.name.as_str()).eq(parts.keys().copied())
}

/// The view's key parts in their order. Faults are told as those of other requests' join keys.
fn cells<'b>(
    view: &'b ViewIntake,
    parts: &BTreeMap<&'b str, Value<'_, 'b>>,
    at: usize,
) -> Result<Vec<Cell<'b>>, Fault<'b>> {
    if let Some(key) = view.join_keys.iter().find(|key| !parts.contains_key(key.name.as_str())) {
        return Err(Fault::MissingJoinKey(&key.name));
    }
    if let Some(name) = parts.keys().find(|name| !view.join_keys.iter().any(|key| key.name == **name)) {
        return Err(Fault::UnknownJoinKey { name: Quoted(name.as_bytes()), expected: view.key_names() });
    }
    let cell = |(key, value): (&'b crate::definitions::model::JoinKey, &Value<'_, 'b>)| match (key.key_type, *value) {
        (KeyType::String, Value::String(text)) => Ok(Cell::Text(text.text)),
        (KeyType::Int64, Value::Int64(value)) => Ok(Cell::Int64(value)),
        (KeyType::Int64, Value::String(text)) => {
            let wrong = Fault::DeletedKeyType { name: &key.name, at, expected: "int64" };
            number::decimal(text.text.as_bytes()).map(Cell::Int64).ok_or(wrong)
        }
        (KeyType::String, _) => Err(Fault::DeletedKeyType { name: &key.name, at, expected: "string" }),
        (KeyType::Int64, _) => Err(Fault::DeletedKeyType { name: &key.name, at, expected: "int64" }),
    };
    view.join_keys.iter().zip(parts.values()).map(cell).collect()
}

/// The moment up to which rows are hidden: now, or that of the newest event that the view has ever had, written or built, however far ahead.
fn deleted_at_us(view: &ViewIntake, now_us: i64) -> i64 {
    let newest_us = view.table.as_ref().and_then(|table| table.watermark_us());
    newest_us.map_or(now_us, |newest_us| newest_us.max(now_us))
}

fn list<'t, 'b>(field: &'static str, value: Value<'t, 'b>) -> Result<Option<Elements<'t, 'b>>, Fault<'static>> {
    match value {
        Value::Array(elements) => Ok(Some(elements)),
        Value::Null => Ok(None),
        _ => Err(Fault::FieldKind { field, expected: "array" }),
    }
}
