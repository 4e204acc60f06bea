//! What senders of writes are told. Two shapes of errors, neither of which is that of other requests.

use crate::{
    error::Fault,
    ingest::{Rejected, ViewIntake},
    limits::{RECORD_ERRORS_BYTES_MAX, RECORD_ERRORS_MAX},
    render,
};

/// Appends the body of an error of a whole request.
pub(crate) fn request_error(fault: &Fault<'_>, out: &mut Vec<u8>) {
    request_error_of(fault.refusal().status, &fault.to_string(), out);
}

/// The same of an error that is not in this crate's table.
pub(crate) fn request_error_of(status: u16, message: &str, out: &mut Vec<u8>) {
    let kind = if status < 500 { "RequestValidationError" } else { "InternalError" };
    out.extend_from_slice(b"{\"requestError\":{\"errorMessage\":");
    render::string(message.as_bytes(), out);
    out.extend_from_slice(b",\"errorType\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\"}}");
}

/// Appends the body of an answer to records: which view took how many.
pub(crate) fn ingested<'v>(workspace: &str, rows: impl Iterator<Item = (&'v ViewIntake, u32)>, out: &mut Vec<u8>) {
    open(workspace, out);
    out.extend_from_slice(b",\"ingestMetrics\":{\"featureViewIngestMetrics\":[");
    for (place, (view, rows)) in rows.enumerate() {
        separate(place, out);
        out.extend_from_slice(b"{\"featureViewName\":");
        render::string(view.name.as_bytes(), out);
        out.extend_from_slice(b",\"onlineRecordIngestCount\":\"");
        render::unsigned(rows.into(), out);
        out.extend_from_slice(b"\",\"offlineRecordIngestCount\":\"0\",\"featureViewId\":\"");
        out.extend_from_slice(view.id.as_bytes());
        out.extend_from_slice(b"\"}");
    }
    out.extend_from_slice(b"]}}");
}

/// Appends the body of an answer to a delete: how many keys of which view.
pub(crate) fn deleted<'v>(workspace: &str, keys: impl Iterator<Item = (&'v ViewIntake, u32)>, out: &mut Vec<u8>) {
    open(workspace, out);
    out.extend_from_slice(b",\"deletedKeyCounts\":[");
    for (place, (view, keys)) in keys.enumerate() {
        separate(place, out);
        out.extend_from_slice(b"{\"featureViewName\":");
        render::string(view.name.as_bytes(), out);
        out.extend_from_slice(b",\"keyCount\":\"");
        render::unsigned(keys.into(), out);
        out.extend_from_slice(b"\"}");
    }
    out.extend_from_slice(b"]}");
}

fn open(workspace: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"workspaceName\":");
    render::string(workspace.as_bytes(), out);
}

fn separate(place: usize, out: &mut Vec<u8>) {
    if place > 0 {
        out.push(b',');
    }
}

/// The errors of a request's records, one for each record and view. So many are listed, and the rest is counted.
#[derive(Debug, Default)]
pub(crate) struct RecordErrors {
    entries: Vec<u8>,
    listed: usize,
    unlisted: usize,
}

impl RecordErrors {
    pub(crate) fn is_empty(&self) -> bool {
        self.listed == 0
    }

    /// `at`: the record's place, where there are several.
    pub(crate) fn add(&mut self, view: &str, source: &str, rejected: &Rejected, at: Option<usize>) {
        if self.listed >= RECORD_ERRORS_MAX || self.entries.len() >= RECORD_ERRORS_BYTES_MAX {
            self.unlisted += 1;
            return;
        }
        let place = at.map(|at| format!(" (in records[{at}])")).unwrap_or_default();
        self.entry(view, source, &format!("{}{place}", rejected.message));
    }

    /// Appends the body.
    pub(crate) fn finish(mut self, workspace: &str, view: &str, source: &str, out: &mut Vec<u8>) {
        if self.unlisted > 0 {
            let message = format!("{} more errors of records are not listed", self.unlisted);
            self.entry(view, source, &message);
        }
        open(workspace, out);
        out.extend_from_slice(b",\"recordErrors\":[");
        out.extend_from_slice(&self.entries);
        out.extend_from_slice(b"]}");
    }

    fn entry(&mut self, view: &str, source: &str, message: &str) {
        let out = &mut self.entries;
        separate(self.listed, out);
        out.extend_from_slice(b"{\"featureViewName\":");
        render::string(view.as_bytes(), out);
        out.extend_from_slice(b",\"pushSourceName\":");
        render::string(source.as_bytes(), out);
        out.extend_from_slice(b",\"errorType\":\"TectonObjectValidationError\",\"errorMessage\":");
        render::string(message.as_bytes(), out);
        out.push(b'}');
        self.listed += 1;
    }
}
