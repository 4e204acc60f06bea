//! Finds the end of a head, line by line, and refuses what is too long before anything is interpreted.
//!
//! Every byte is looked at once, however the head arrives: the search resumes where it stopped.

use super::{fault::Fault, request_line::RequestLine};
use crate::limits::Limits;

/// How far the search for the end of a head has come. Offsets count from the first byte of the message.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HeadScan {
    /// Bytes searched for line feeds.
    searched: usize,
    /// Where the line under search begins.
    line: usize,
    /// Where the request line begins, behind the empty lines that are ignored.
    start: u8,
    /// The request line is complete and its syntax was checked ahead of the rest.
    request_line_checked: bool,
    /// Complete field lines.
    fields: u16,
    /// Where the first field line begins; 0 while the request line is incomplete.
    section: usize,
}

/// A head found whole: offsets from the first byte of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeadSpan {
    /// Where the request line begins.
    pub(super) start: usize,
    /// Where the field section begins.
    pub(super) section: usize,
    /// Behind the empty line that ends the head.
    pub(super) end: usize,
    /// Field lines in between.
    pub(super) fields: u16,
}

/// What the search came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scanned {
    More,
    Whole(HeadSpan),
    Fault(Fault),
}

/// Empty lines before a request line that are ignored: a client of old may send one behind its last body.
const EMPTY_LINES_MAX: u8 = 2;

impl HeadScan {
    pub(super) const NEW: Self =
        Self { searched: 0, line: 0, start: 0, request_line_checked: false, fields: 0, section: 0 };

    /// Searches what has come since the last call. A line that is too long is refused at the byte that makes it so, and
    /// before anything else about it is, so that its verdict does not depend on how it arrived.
    pub(super) fn advance(&mut self, limits: &Limits, bytes: &[u8]) -> Scanned {
        let unsearched = bytes.get(self.searched..).unwrap_or_default();
        let searched = self.searched;
        for found in memchr::memchr_iter(b'\n', unsearched) {
            let feed = searched + found;
            let end = feed + 1;
            let length = feed - self.line;
            if let Some(fault) = self.overlong(limits, end) {
                return Scanned::Fault(fault);
            }
            if length == 0 || bytes.get(feed - 1) != Some(&b'\r') {
                return Scanned::Fault(Fault::BareLineFeed);
            }
            let empty = length == 1;
            if self.section == 0 {
                if !empty {
                    self.section = end;
                } else if self.start == EMPTY_LINES_MAX * 2 {
                    return Scanned::Fault(Fault::EmptyLines);
                } else {
                    self.start += 2;
                }
            } else if empty {
                let start = usize::from(self.start);
                return Scanned::Whole(HeadSpan { start, section: self.section, end, fields: self.fields });
            } else if self.fields == limits.fields_max {
                return Scanned::Fault(Fault::FieldsTooLarge);
            } else {
                self.fields += 1;
            }
            self.line = end;
        }
        self.searched = bytes.len();
        // The line under search is too long once the byte that had to be its line feed is here and is not.
        match self.overlong(limits, bytes.len() + 1) {
            Some(fault) => Scanned::Fault(fault),
            None => Scanned::More,
        }
    }

    /// Is a line that ends (or at best could end) at `end` too long, or the head with it?
    fn overlong(&self, limits: &Limits, end: usize) -> Option<Fault> {
        let (line_max, fault) = if self.section == 0 {
            (limits.request_line_bytes_max, Fault::RequestLineTooLong)
        } else {
            (limits.field_line_bytes_max, Fault::FieldsTooLarge)
        };
        if end - self.line > line_max + 2 {
            Some(fault)
        } else if end - usize::from(self.start) > limits.head_bytes_max {
            Some(Fault::FieldsTooLarge)
        } else {
            None
        }
    }

    /// Judges the request line ahead of the rest, once, when it is complete.
    pub(super) fn check_request_line(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if self.section == 0 || self.request_line_checked {
            return Ok(());
        }
        self.request_line_checked = true;
        let line = bytes.get(usize::from(self.start)..self.section - 2).unwrap_or_default();
        RequestLine::parse(line).map(|_| ())
    }

    /// Of `unconsumed` bytes, is none yet part of a request (nothing, or empty lines)?
    pub(super) fn is_idle(&self, unconsumed: usize) -> bool {
        unconsumed <= usize::from(self.start)
    }
}
