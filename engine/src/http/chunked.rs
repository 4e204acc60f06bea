//! The chunked coding, decoded in place.
//!
//! ```text
//!   wire     5 ; x = " y " CR LF  h e l l o  CR LF  0 CR LF  name : value CR LF  CR LF
//!            size  extension      data              last     trailer
//!
//!   body     h e l l o ........................................................ what is read moves down to the front
//! ```
//! Framing is read byte by byte by one automaton, so a fault is found at the byte that makes it one, however the bytes
//! arrived. Data moves once, in runs.

use super::{
    fault::Fault,
    fields::{check_line, is_forbidden_in_trailer},
    grammar::{is_blank, is_token_byte},
    scan::HeadSpan,
};
use crate::limits::{CHUNK_EXTENSION_BYTES_MAX, CHUNK_EXTENSIONS_BYTES_MAX, CHUNK_SIZE_DIGITS_MAX, Limits};

/// Where the decoding of one body stands. Offsets count from the body's first byte on the wire.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunks {
    /// Wire bytes read.
    read: usize,
    /// Body bytes written, at the front.
    decoded: usize,
    part: Part,
    /// Extension bytes of all chunks so far.
    extensions: u16,
    /// Field lines of the head and of the trailer so far.
    fields: u16,
    /// Bytes of the head, and of the complete trailer lines.
    section: u32,
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Size {
        size: u64,
        digits: u8,
    },
    Extension {
        size: u64,
        bytes: u16,
        at: At,
    },
    /// Behind the CR of a size line.
    SizeEnd {
        size: u64,
    },
    Data {
        left: usize,
    },
    /// Behind a chunk's data.
    DataEnd {
        cr: bool,
    },
    /// In a trailer line that begins here.
    Trailer {
        line: usize,
    },
}

/// Where in a chunk extension: `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    BeforeSemicolon,
    BeforeName,
    Name,
    BehindName,
    BeforeValue,
    Value,
    Quoted,
    Escaped,
    BehindQuoted,
    BehindValue,
}

/// What the bytes so far came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decoded {
    More,
    /// The body is the first `body` bytes; the message took `wire`.
    Whole {
        body: usize,
        wire: usize,
    },
    Fault(Fault),
}

/// What one byte of framing leads to.
type Next = Result<Part, Fault>;

const FIRST: Part = Part::Size { size: 0, digits: 0 };

impl Chunks {
    pub(super) fn new(span: HeadSpan) -> Self {
        let section = u32::try_from(span.end - span.start).unwrap_or(u32::MAX);
        Self { read: 0, decoded: 0, part: FIRST, extensions: 0, fields: span.fields, section }
    }

    /// Goes on with `wire`, which is everything behind the head, as the last call left it, and what has come since. The
    /// message must end within the bytes that its body is worth; of a refused one, those that the connection is worth.
    pub(super) fn advance(&mut self, limits: &Limits, refused: bool, wire: &mut [u8]) -> Decoded {
        let all = limits.chunked_wire_bytes_max();
        let max = if refused { all.min(limits.unread_body_bytes_max) } else { all };
        let arrived = wire.len();
        match self.decode(limits, wire.get_mut(..arrived.min(max)).unwrap_or_default()) {
            Decoded::More if arrived > max => Decoded::Fault(Fault::ChunksTooSmall),
            decoded => decoded,
        }
    }

    fn decode(&mut self, limits: &Limits, wire: &mut [u8]) -> Decoded {
        loop {
            match self.part {
                Part::Data { left } => {
                    let run = left.min(wire.len().saturating_sub(self.read));
                    if run > 0 {
                        wire.copy_within(self.read..self.read + run, self.decoded);
                        self.read += run;
                        self.decoded += run;
                    }
                    if run < left {
                        self.part = Part::Data { left: left - run };
                        return Decoded::More;
                    }
                    self.part = Part::DataEnd { cr: false };
                }
                Part::Trailer { line } => match self.trailer_line(limits, wire, line) {
                    Ok(Some(true)) => return Decoded::Whole { body: self.decoded, wire: self.read },
                    Ok(Some(false)) => self.part = Part::Trailer { line: self.read },
                    Ok(None) => return Decoded::More,
                    Err(fault) => return Decoded::Fault(fault),
                },
                _ => {
                    let Some(byte) = wire.get(self.read).copied() else { return Decoded::More };
                    match self.framing_byte(limits, byte) {
                        Ok(part) => self.part = part,
                        Err(fault) => return Decoded::Fault(fault),
                    }
                    self.read += 1;
                }
            }
        }
    }

    fn framing_byte(&mut self, limits: &Limits, byte: u8) -> Next {
        match (self.part, byte) {
            (Part::SizeEnd { size }, b'\n') => self.start_chunk(limits, size),
            (Part::DataEnd { cr: false }, b'\r') => Ok(Part::DataEnd { cr: true }),
            (Part::DataEnd { cr: true }, b'\n') => Ok(FIRST),
            (Part::SizeEnd { .. } | Part::DataEnd { cr: true }, _) | (_, b'\n') => Err(Fault::ChunkLineEnd),
            (Part::Size { size, digits }, _) => self.size_byte(size, digits, byte),
            (Part::Extension { size, bytes, at }, _) => self.extension_byte(size, bytes, at, byte),
            (Part::DataEnd { cr: false } | Part::Data { .. } | Part::Trailer { .. }, _) => Err(Fault::ChunkDataEnd),
        }
    }

    fn size_byte(&mut self, size: u64, digits: u8, byte: u8) -> Next {
        match (char::from(byte).to_digit(16), byte) {
            (Some(_), _) if digits == CHUNK_SIZE_DIGITS_MAX => Err(Fault::ChunkSizeOverflow),
            (Some(digit), _) => Ok(Part::Size { size: (size << 4) | u64::from(digit), digits: digits + 1 }),
            (None, _) if digits == 0 => Err(Fault::ChunkSize),
            (None, b'\r') => Ok(Part::SizeEnd { size }),
            (None, b';' | b' ' | b'\t') => self.extension_byte(size, 0, At::BeforeSemicolon, byte),
            (None, _) => Err(Fault::ChunkSize),
        }
    }

    /// Checked and ignored: what an extension means is nobody's business here, where it ends is.
    fn extension_byte(&mut self, size: u64, bytes: u16, at: At, byte: u8) -> Next {
        use At::{
            BeforeName, BeforeSemicolon, BeforeValue, BehindName, BehindQuoted, BehindValue, Escaped, Name, Quoted,
            Value,
        };
        let blank = is_blank(byte);
        let at = match (at, byte) {
            (Name | Value | BehindQuoted, b'\r') => return Ok(Part::SizeEnd { size }),
            // Whitespace between the last of the line and its end.
            (BeforeSemicolon | BehindName | BehindValue, b'\r') => return Err(Fault::ChunkSize),
            (Quoted | Escaped, b'\r') => return Err(Fault::ChunkLineEnd),
            (Quoted, b'"') => BehindQuoted,
            (Quoted, b'\\') => Escaped,
            (Quoted | Escaped, b'\t' | b' '..=b'~' | 0x80..) => Quoted,
            (BeforeSemicolon | Name | BehindName | Value | BehindQuoted | BehindValue, b';') => BeforeName,
            (Name | BehindName, b'=') => BeforeValue,
            (BeforeValue, b'"') => Quoted,
            (BeforeSemicolon | BeforeName | BeforeValue, _) if blank => at,
            (Name | BehindName, _) if blank => BehindName,
            (Value | BehindQuoted | BehindValue, _) if blank => BehindValue,
            (BeforeName | Name, _) if is_token_byte(byte) => Name,
            (BeforeValue | Value, _) if is_token_byte(byte) => Value,
            (BeforeSemicolon, _) => return Err(Fault::ChunkSize),
            _ => return Err(Fault::ChunkExtension),
        };
        if bytes == CHUNK_EXTENSION_BYTES_MAX || self.extensions == CHUNK_EXTENSIONS_BYTES_MAX {
            return Err(Fault::ChunkExtension);
        }
        self.extensions += 1;
        Ok(Part::Extension { size, bytes: bytes + 1, at })
    }

    /// A size line is complete.
    fn start_chunk(&mut self, limits: &Limits, size: u64) -> Next {
        if size == 0 {
            return Ok(Part::Trailer { line: self.read + 1 });
        }
        let total = (self.decoded as u64).checked_add(size).ok_or(Fault::ChunkSizeOverflow)?;
        match usize::try_from(size) {
            Ok(left) if total <= limits.body_bytes_max as u64 => Ok(Part::Data { left }),
            _ => Err(Fault::ChunksTooLarge),
        }
    }

    /// Whether the line that ends next is the empty one that ends the message; nothing while none ends.
    fn trailer_line(&mut self, limits: &Limits, wire: &[u8], line: usize) -> Result<Option<bool>, Fault> {
        let found = memchr::memchr(b'\n', wire.get(self.read..).unwrap_or_default());
        let end = found.map_or(wire.len(), |found| self.read + found) + 1;
        let length = end - line;
        let section = self.section.saturating_add(u32::try_from(length).unwrap_or(u32::MAX));
        if length > limits.field_line_bytes_max + 2 || section as usize > limits.head_bytes_max {
            return Err(Fault::FieldsTooLarge);
        }
        if found.is_none() {
            self.read = wire.len();
            return Ok(None);
        }
        self.read = end;
        self.section = section;
        let Some(content) = wire.get(line..end).and_then(|line| line.strip_suffix(b"\r\n")) else {
            return Err(Fault::ChunkLineEnd);
        };
        if content.is_empty() {
            return Ok(Some(true));
        }
        if self.fields >= limits.fields_max {
            return Err(Fault::FieldsTooLarge);
        }
        self.fields += 1;
        let name = check_line(content).map_err(|_| Fault::TrailerMalformed)?;
        if is_forbidden_in_trailer(name) { Err(Fault::TrailerForbidden) } else { Ok(Some(false)) }
    }
}
