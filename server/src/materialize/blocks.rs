//! Text files cut into blocks of whole records, so that several threads can read one file.
//!
//! ```text
//! file   ├ header ┤├── block ──┤├── block ──┤├── block ──┤        who asks first gets the next one
//!                              ▲ after a newline that ends a record
//! ```
//! Whoever is free cuts: it reads the next block under a lock and looks for the last record that ends in it, and what follows
//! stays for the next block. That is a few per cent of the work; the records are taken apart without the lock. A block knows
//! its file and the number of its first line. What a record means is not known here, only where one ends.

use std::{
    fs::File,
    io::{self, Read, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, bail};
use memchr::{memchr, memchr_iter, memrchr};

/// Where a record may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// At every newline.
    Line,
    /// At every newline but those within double quotes, as RFC 4180 has it: quotes open only at the start of a cell.
    Unquoted,
}

/// What of a file is to be cut.
#[derive(Debug, Clone)]
pub(super) struct Body {
    pub(super) path: PathBuf,
    pub(super) first_byte: u64,
    /// Counted from 1.
    pub(super) first_line: u64,
}

/// Whole records that stand one after the other in a file. Used again and again by one thread.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// The position of its file in the list of files.
    pub(super) file: usize,
    /// The number of its first line within the file.
    pub(super) first_line: u64,
    pub(super) bytes: Vec<u8>,
    /// It is the beginning of a line that is too long, and of nothing else.
    pub(super) is_too_long: bool,
    /// Bytes of the file that it stands for.
    pub(super) taken: u64,
}

/// The blocks of some files, in order.
#[derive(Debug)]
pub(super) struct Blocks(Mutex<Cutter>);

impl Blocks {
    /// A block has about `block_bytes`, more only if one record has. Of a record that has more than `record_bytes_max` besides its
    /// newline, only the beginning becomes a block, if records are lines; otherwise it is an error.
    pub(super) fn new(bodies: Vec<Body>, ends: Ends, block_bytes: usize, record_bytes_max: usize) -> Self {
        let (open, rest, line) = (None, Vec::new(), 1);
        Self(Mutex::new(Cutter { bodies, ends, block_bytes, record_bytes_max, file: 0, open, rest, line }))
    }

    /// Fills `block` with the next one; `false` when there is none left. After an error there is none left for anybody.
    pub(super) fn next(&self, block: &mut Block) -> Result<bool> {
        let mut cutter = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cut = cutter.next(block);
        if cut.is_err() {
            cutter.file = cutter.bodies.len();
        }
        cut
    }
}

#[derive(Debug)]
struct Cutter {
    bodies: Vec<Body>,
    ends: Ends,
    block_bytes: usize,
    record_bytes_max: usize,
    /// The one that is being cut.
    file: usize,
    open: Option<File>,
    /// What was read and is in no block yet: the beginning of a record.
    rest: Vec<u8>,
    /// The number of its first line.
    line: u64,
}

impl Cutter {
    fn next(&mut self, block: &mut Block) -> Result<bool> {
        while let Some(body) = self.bodies.get(self.file) {
            let file = match &mut self.open {
                Some(file) => file,
                none => {
                    let mut file = open(&body.path)?;
                    file.seek(SeekFrom::Start(body.first_byte)).with_context(|| cannot_read(&body.path))?;
                    self.line = body.first_line;
                    none.insert(file)
                }
            };
            block.file = self.file;
            block.first_line = self.line;
            block.is_too_long = false;
            block.bytes.clear();
            block.bytes.append(&mut self.rest);
            let mut scan = Scan::new(self.ends);
            let end = loop {
                let wanted =
                    self.block_bytes.min(self.record_bytes_max + 1 - block.bytes.len().min(self.record_bytes_max));
                let read = read_up_to(file, wanted, &mut block.bytes).with_context(|| cannot_read(&body.path))?;
                scan.go_on(&block.bytes);
                if read < wanted {
                    break block.bytes.len(); // the file ends here, and the last record with it, however it looks
                } else if scan.end > 0 {
                    break scan.end;
                } else if block.bytes.len() > self.record_bytes_max {
                    block.is_too_long = true;
                    break block.bytes.len();
                }
            };
            self.rest.extend_from_slice(&block.bytes[end..]);
            block.bytes.truncate(end);
            block.taken = end as u64;
            self.line += memchr_iter(b'\n', &block.bytes).count() as u64;
            if block.is_too_long {
                if self.ends == Ends::Unquoted {
                    let (path, max) = (body.path.display(), self.record_bytes_max);
                    bail!(
                        "cannot read {path}: a record has more than {max} bytes; is there a quote that is not closed?"
                    );
                }
                let skipped = skip_line(file, self.block_bytes, &mut self.rest);
                block.taken += skipped.with_context(|| cannot_read(&body.path))?;
                self.line += 1;
            }
            if end > 0 {
                return Ok(true);
            }
            self.open = None;
            self.file += 1;
        }
        Ok(false)
    }
}

pub(super) fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| format!("cannot open {}", path.display()))
}

pub(super) fn cannot_read(path: &Path) -> String {
    format!("cannot read {}", path.display())
}

/// Appends `wanted` bytes, or all that the file still has.
fn read_up_to(file: &mut File, wanted: usize, bytes: &mut Vec<u8>) -> io::Result<usize> {
    bytes.reserve(wanted);
    file.take(wanted as u64).read_to_end(bytes)
}

/// Passes over the rest of a line; what was read beyond it becomes `rest`. How many bytes the line still had.
fn skip_line(file: &mut File, block_bytes: usize, rest: &mut Vec<u8>) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        rest.clear();
        let read = read_up_to(file, block_bytes, rest)?;
        if let Some(newline) = memchr(b'\n', rest) {
            rest.drain(..=newline);
            return Ok(skipped + newline as u64 + 1);
        }
        skipped += read as u64;
        if read < block_bytes {
            rest.clear();
            return Ok(skipped);
        }
    }
}

/// Looks for the last end of a record in bytes that begin with one and become more.
struct Scan {
    ends: Ends,
    /// Up to here all was looked at.
    at: usize,
    is_quoted: bool,
    /// After the last record that is whole.
    end: usize,
}

impl Scan {
    fn new(ends: Ends) -> Self {
        Self { ends, at: 0, is_quoted: false, end: 0 }
    }

    fn go_on(&mut self, bytes: &[u8]) {
        while self.at < bytes.len() {
            let ahead = &bytes[self.at..];
            let quote = if self.ends == Ends::Line { None } else { memchr(b'"', ahead) };
            let Some(quote) = quote.map(|quote| self.at + quote) else {
                self.pass(ahead);
                self.at = bytes.len();
                return;
            };
            if !self.is_quoted {
                self.pass(&bytes[self.at..quote]);
                // Elsewhere in a cell a quote is a character like any other.
                self.is_quoted = quote == 0 || matches!(bytes[quote - 1], b',' | b'\n');
                self.at = quote + 1;
            } else {
                match bytes.get(quote + 1) {
                    Some(b'"') => self.at = quote + 2, // stands for one quote, and the cell goes on
                    Some(_) => (self.is_quoted, self.at) = (false, quote + 1),
                    None => {
                        self.at = quote; // which of the two it is, the next byte says
                        return;
                    }
                }
            }
        }
    }

    /// `bytes`, which start at `at`, have no quote that counts.
    fn pass(&mut self, bytes: &[u8]) {
        if let Some(newline) = memrchr(b'\n', bytes).filter(|_| !self.is_quoted) {
            self.end = self.at + newline + 1;
        }
    }
}

/// Large enough that cutting is rare, small enough that the cores share out the last blocks evenly.
pub(super) const BLOCK_BYTES: usize = 1 << 20;
