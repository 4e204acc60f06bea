//! Checksummed JSON: every small structured file of the data directory.
//!
//! ```text
//! {"xxh3":"16 hex digits","content":
//! the content, itself JSON; the checksum is XXH3-64 of exactly these bytes
//! }
//! ```
//! The file is one JSON document, so an operator can read it, and every byte outside the content is fixed, so that any
//! changed bit is refused. Nothing of the content is parsed before its checksum matched.

use std::path::Path;

use serde::{Serialize, de::DeserializeOwned};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Corrupt, Error};

use super::disk::failed;

/// The file's bytes for `content`, and its checksum as 16 hex digits.
pub(super) fn seal(file: &Path, content: &impl Serialize) -> Result<(Vec<u8>, String), Error> {
    let content = serde_json::to_vec_pretty(content).map_err(|source| failed("encode", file, source.into()))?;
    let checksum = format!("{:016x}", xxh3_64(&content));
    let mut bytes = Vec::with_capacity(HEAD.len() + checksum.len() + MIDDLE.len() + content.len() + TAIL.len());
    for part in [HEAD, checksum.as_bytes(), MIDDLE, &content, TAIL] {
        bytes.extend_from_slice(part);
    }
    Ok((bytes, checksum))
}

/// Content whose checksum matched.
#[derive(Debug)]
pub(super) struct Opened<'b> {
    content: &'b [u8],
    pub(super) checksum: String,
}

/// Checks a file's bytes.
pub(super) fn open<'b>(file: &Path, bytes: &'b [u8]) -> Result<Opened<'b>, Corrupt> {
    let damaged = |offset: usize, expected: String| Corrupt {
        file: file.display().to_string(),
        offset: offset as u64,
        expected,
        found: if bytes.is_empty() {
            "an empty file".to_owned()
        } else {
            format!("other bytes ({} in all)", bytes.len())
        },
    };
    let rest = bytes.strip_prefix(HEAD).ok_or_else(|| damaged(0, "a checksummed document".to_owned()))?;
    let (checksum, rest) = rest.split_at_checked(16).ok_or_else(|| damaged(HEAD.len(), "a checksum".to_owned()))?;
    let start = HEAD.len() + checksum.len() + MIDDLE.len();
    let rest = rest.strip_prefix(MIDDLE).ok_or_else(|| damaged(HEAD.len() + 16, "the content's start".to_owned()))?;
    let content = rest.strip_suffix(TAIL).ok_or_else(|| damaged(bytes.len(), "the document's end".to_owned()))?;
    let found = format!("{:016x}", xxh3_64(content));
    if found.as_bytes() != checksum {
        return Err(Corrupt {
            file: file.display().to_string(),
            offset: start as u64,
            expected: format!("content with checksum {}", String::from_utf8_lossy(checksum)),
            found: format!("checksum {found}"),
        });
    }
    Ok(Opened { content, checksum: found })
}

impl Opened<'_> {
    /// The content as a `T`.
    pub(super) fn parse<T: DeserializeOwned>(&self, file: &Path, expected: &str) -> Result<T, Corrupt> {
        serde_json::from_slice(self.content).map_err(|fault| Corrupt {
            file: file.display().to_string(),
            offset: 0,
            expected: expected.to_owned(),
            found: fault.to_string(),
        })
    }
}

const HEAD: &[u8] = b"{\"xxh3\":\"";
const MIDDLE: &[u8] = b"\",\"content\":\n";
const TAIL: &[u8] = b"\n}\n";
