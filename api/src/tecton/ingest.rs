//! A body of records becomes one write.
//!
//! Every field of the frame is known by two spellings, null is unset, unknown ones are ignored; a record's own fields are spelt as its
//! source declares them, and all are known. The first fault of the frame ends it; of records all are told.

use std::collections::HashSet;

use gannet_store::{
    limits::{LOG_PAYLOAD_BYTES_MAX, SOURCE_BYTES_MAX},
    plane::{SourceToken, WriteBuilder},
};

use super::{
    json::{Elements, Members, Text, Value},
    number, record,
    request::Seen,
    written::{self, RecordErrors},
};
use crate::{
    auth::Role,
    error::{Fault, Quoted},
    ingest::{Intakes, Reason, Rejected, RowMaker, SourceIntake, WorkspaceIntake},
    limits::RECORDS_MAX,
};

/// What a body of writes came to.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Rows by place of the view's counters.
    pub(crate) rows: Vec<(usize, u32)>,
    pub(crate) records: u32,
    /// Nothing is to be written: it was tried out only.
    pub(crate) dry_run: bool,
    /// Nothing is written: records are wrong, counted by reason.
    pub(crate) rejected: Option<[u32; Reason::LABELS.len()]>,
}

/// Who asks, when and for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking<'a, M> {
    pub(crate) intakes: &'a Intakes,
    /// Whether the sender has this role in this workspace.
    pub(crate) may: M,
    pub(crate) now_us: i64,
}

impl<'a, M: Fn(&[u8], Role) -> bool> Asking<'a, M> {
    /// The workspace that a body names, if the sender may do there what it asks for.
    pub(super) fn workspace(&self, named: Text<'a>, dry_run: bool) -> Result<&'a WorkspaceIntake, Fault<'a>> {
        let named = named.text.as_bytes();
        let workspace = self.intakes.workspace(named).ok_or(Fault::UnknownWorkspace(Quoted(named)))?;
        let role = if dry_run { Role::Viewer } else { Role::Editor };
        if (self.may)(named, role) { Ok(workspace) } else { Err(Fault::Forbidden) }
    }
}

/// The frame of a body.
struct Frame<'t, 'b> {
    workspace: Text<'b>,
    dry_run: bool,
    records: Members<'t, 'b>,
    token: Option<SourceToken>,
}

/// One source's records.
struct Batch<'w, 't, 'b> {
    source: &'w SourceIntake,
    records: Elements<'t, 'b>,
}

/// Reads a body: its rows go into `write`, begun in `buffer`, and its answer, should they be written, or its record errors to `out`.
pub(crate) fn read<'b>(
    root: Value<'_, 'b>,
    asking: &Asking<'b, impl Fn(&[u8], Role) -> bool>,
    write: &mut WriteBuilder,
    buffer: Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<Taken, Fault<'b>> {
    let Frame { workspace, dry_run, records, token } = Frame::read(root)?;
    let workspace = asking.workspace(workspace, dry_run)?;
    let batches = batches(workspace, records)?;
    write.begin(buffer, token.as_ref());
    rows(workspace, &batches, dry_run, asking.now_us, write, out)
}

impl<'t, 'b> Frame<'t, 'b> {
    fn read(root: Value<'t, 'b>) -> Result<Self, Fault<'b>> {
        let (mut workspace, mut dry_run, mut records, mut token) = (None, None, None, None);
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
                    dry_run = boolean("dry_run", value)?;
                }
                "records" => {
                    seen.once(2, "records")?;
                    records = object("records", value)?;
                }
                "source_token" | "sourceToken" => {
                    seen.once(3, "source_token")?;
                    token = object("source_token", value)?.map(source_token).transpose()?;
                }
                _ => {}
            }
        }
        Ok(Self {
            workspace: workspace.ok_or(Fault::RequiredField("workspace_name"))?,
            dry_run: dry_run.ok_or(Fault::RequiredField("dry_run"))?,
            records: records.ok_or(Fault::RequiredField("records"))?,
            token,
        })
    }
}

fn source_token<'b>(members: Members<'_, 'b>) -> Result<SourceToken, Fault<'b>> {
    let (mut source, mut partition, mut sequence) = (None, None, None);
    let mut seen = Seen::default();
    for (name, value) in members {
        match name.text {
            "source" => {
                seen.once(0, "source")?;
                source = text("source", value)?;
            }
            "partition" => {
                seen.once(1, "partition")?;
                partition = unsigned("partition", value)?;
            }
            "sequence" => {
                seen.once(2, "sequence")?;
                sequence = unsigned("sequence", value)?;
            }
            _ => {}
        }
    }
    let source = source.ok_or(Fault::RequiredField("source_token.source"))?.text;
    if !(1..=SOURCE_BYTES_MAX).contains(&source.len()) {
        return Err(Fault::FieldRange { field: "source", expected: "1 to 249 bytes" });
    }
    Ok(SourceToken {
        source: source.to_owned(),
        partition: partition.ok_or(Fault::RequiredField("source_token.partition"))?,
        sequence: sequence.ok_or(Fault::RequiredField("source_token.sequence"))?,
    })
}

/// The sources that are named, with their records.
fn batches<'w, 't, 'b>(
    workspace: &'w WorkspaceIntake,
    records: Members<'t, 'b>,
) -> Result<Vec<Batch<'w, 't, 'b>>, Fault<'b>>
where
    'w: 'b,
{
    let (mut batches, mut named, mut count) = (Vec::new(), HashSet::new(), 0);
    for (name, value) in records {
        if !named.insert(name.text) {
            return Err(Fault::DuplicateField(Quoted(name.text.as_bytes())));
        }
        let unknown = Fault::UnknownSource { source_name: Quoted(name.text.as_bytes()), workspace: &workspace.name };
        let source = workspace.source(name.text.as_bytes()).ok_or(unknown)?;
        if source.views.is_empty() {
            return Err(Fault::NoViewOfSource { source_name: &source.name, workspace: &workspace.name });
        }
        let Value::Array(records) = value else {
            return Err(Fault::FieldKind { field: "the records of a stream source", expected: "array" });
        };
        count += records.len();
        batches.push(Batch { source, records });
    }
    if !(1..=RECORDS_MAX).contains(&count) {
        return Err(Fault::Count { what: "records", max: RECORDS_MAX, found: count });
    }
    Ok(batches)
}

fn rows<'b>(
    workspace: &'b WorkspaceIntake,
    batches: &[Batch<'_, '_, 'b>],
    dry_run: bool,
    now_us: i64,
    write: &mut WriteBuilder,
    out: &mut Vec<u8>,
) -> Result<Taken, Fault<'b>> {
    // By view: one may take of several sources, though not of one twice.
    let mut makers: Vec<Option<RowMaker<'b>>> = workspace.views().iter().map(|_| None).collect();
    for view in batches.iter().flat_map(|batch| &batch.source.views).map(|of| of.view) {
        if makers[view].is_none() {
            let intake = &workspace.views()[view];
            makers[view] = Some(RowMaker::new(intake).ok_or(Fault::NotWritable { view: &intake.name })?);
        }
    }
    let (mut errors, mut rejected, mut records) = (RecordErrors::default(), [0; Reason::LABELS.len()], 0);
    let mut worst = None;
    let (mut cells, mut seen) = (Vec::new(), Vec::new());
    for Batch { source, records: batch } in batches {
        let several = batch.len() > 1;
        for (at, value) in batch.enumerate() {
            records += 1;
            let read = inner(value).and_then(|members| record::read(source, members, &mut cells, &mut seen));
            let mut first = None; // a record that several views reject is one
            for of in &source.views {
                let Some(maker) = &mut makers[of.view] else { continue };
                let taken = match &read {
                    Ok(event_time_us) => maker.take(source, of, &cells, *event_time_us, now_us, write),
                    Err(fault) => Err(fault.clone()),
                };
                if let Err(fault) = taken {
                    let view = &*maker.view().name;
                    errors.add(view, &source.name, &fault, several.then_some(at));
                    worst.get_or_insert((view, &*source.name));
                    first.get_or_insert(fault.reason);
                }
            }
            if let Some(reason) = first {
                rejected[reason.place()] += 1;
            }
            if write.bytes() > LOG_PAYLOAD_BYTES_MAX {
                return Err(Fault::WriteTooLarge { max: LOG_PAYLOAD_BYTES_MAX });
            }
        }
    }
    if let (false, Some((view, source))) = (errors.is_empty(), worst) {
        errors.finish(&workspace.name, view, source, out);
        return Ok(Taken { rejected: Some(rejected), ..Taken::default() });
    }
    let makers = makers.iter().flatten();
    let shown = |maker: &RowMaker<'b>| (maker.view(), if dry_run { 0 } else { maker.rows() });
    written::ingested(&workspace.name, makers.clone().map(shown), out);
    let rows = makers.map(|maker| (maker.view().slot, maker.rows())).collect();
    Ok(Taken { rows, records, dry_run, rejected: None })
}

/// The fields of `{"record": {…}}`.
fn inner<'t, 'b>(value: Value<'t, 'b>) -> Result<Members<'t, 'b>, Rejected> {
    let fault = |message: &str| Rejected::new(Reason::Schema, message);
    let Value::Object(members) = value else { return Err(fault("a record is no object with a field `record`")) };
    let mut record = None;
    for (name, value) in members {
        if name.text == "record" {
            let Value::Object(fields) = value else {
                return Err(fault("Unexpected JSON type for record. Expected object."));
            };
            if record.replace(fields).is_some() {
                return Err(fault("field record is there twice"));
            }
        }
    }
    record.ok_or_else(|| fault("Required field `record` is missing"))
}

pub(super) fn text<'b>(field: &'static str, value: Value<'_, 'b>) -> Result<Option<Text<'b>>, Fault<'static>> {
    match value {
        Value::String(text) => Ok(Some(text)),
        Value::Null => Ok(None),
        _ => Err(Fault::FieldKind { field, expected: "string" }),
    }
}

pub(super) fn boolean(field: &'static str, value: Value<'_, '_>) -> Result<Option<bool>, Fault<'static>> {
    match value {
        Value::Boolean(value) => Ok(Some(value)),
        Value::Null => Ok(None),
        _ => Err(Fault::FieldKind { field, expected: "boolean" }),
    }
}

fn object<'t, 'b>(field: &'static str, value: Value<'t, 'b>) -> Result<Option<Members<'t, 'b>>, Fault<'static>> {
    match value {
        Value::Object(members) => Ok(Some(members)),
        Value::Null => Ok(None),
        _ => Err(Fault::FieldKind { field, expected: "object" }),
    }
}

/// As int64 is written: a number, or a decimal string.
fn unsigned(field: &'static str, value: Value<'_, '_>) -> Result<Option<u64>, Fault<'static>> {
    let number = match value {
        Value::Null => return Ok(None),
        Value::Int64(value) => u64::try_from(value).ok(),
        Value::Uint64(value) => Some(value),
        Value::String(text) => number::decimal_unsigned(text.text.as_bytes()),
        _ => None,
    };
    number.map(Some).ok_or(Fault::FieldRange { field, expected: "a whole number from 0 to 18446744073709551615" })
}
