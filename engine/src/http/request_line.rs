//! `method SP target SP version`, and nothing else.

use super::{
    fault::Fault,
    grammar::{is_blank, is_token},
};

/// A request line whose syntax is sound.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestLine<'b> {
    pub(super) method: &'b [u8],
    /// Visible ASCII without `#`.
    pub(super) target: &'b [u8],
    pub(super) version: Version,
    /// The target contains a `%`.
    pub(super) escaped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Http10,
    /// 1.1, and the minors above it that are processed like it.
    Http11,
    /// Well written, but not ours.
    Other,
}

impl<'b> RequestLine<'b> {
    /// `line` comes without its line end.
    #[inline]
    pub(super) fn parse(line: &'b [u8]) -> Result<Self, Fault> {
        match Self::parse_sound(line) {
            Some(parsed) => Ok(parsed),
            None => Err(culprit(line)),
        }
    }

    /// The straight way: two SPs, and everything else in its class.
    #[inline]
    fn parse_sound(line: &'b [u8]) -> Option<Self> {
        let (rest, version) = line.split_last_chunk::<9>()?;
        let version = match version {
            b" HTTP/1.1" => Version::Http11,
            b" HTTP/1.0" => Version::Http10,
            [b' ', version @ ..] => parse_version(version)?,
            _ => return None,
        };
        let space = rest.iter().position(|byte| *byte == b' ')?;
        let (method, target) = rest.split_at_checked(space)?;
        let (_, target) = target.split_first()?;
        let (sound, escaped) = examine_target(target);
        (sound && !target.is_empty() && is_token(method)).then_some(Self { method, target, version, escaped })
    }
}

/// Is every byte visible ASCII but `#`; and is there a `%`? Without an early exit, so that it is done sixteen at a time.
#[inline]
fn examine_target(target: &[u8]) -> (bool, bool) {
    let (mut sound, mut escaped) = (true, false);
    for byte in target {
        sound &= byte.is_ascii_graphic() & (*byte != b'#');
        escaped |= *byte == b'%';
    }
    (sound, escaped)
}

fn parse_version(bytes: &[u8]) -> Option<Version> {
    match bytes {
        [b'H', b'T', b'T', b'P', b'/', major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9'] => Some(match (major, minor) {
            (b'1', b'0') => Version::Http10,
            (b'1', _) => Version::Http11,
            _ => Version::Other,
        }),
        _ => None,
    }
}

/// What is wrong with a line that is not sound.
#[cold]
fn culprit(line: &[u8]) -> Fault {
    if line.starts_with(b"PROXY ") && !line.ends_with(b"HTTP/1.1") {
        return Fault::ProxyLine;
    }
    if line.contains(&b'\r') {
        return Fault::BareCarriageReturn;
    }
    let stray = |byte: &u8| matches!(byte, b'\t' | 0x0b | 0x0c);
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| is_blank(*byte));
    if edge(line.first()) || edge(line.last()) || line.iter().any(stray) || line.windows(2).any(|pair| pair == b"  ") {
        return Fault::RequestLineSpace;
    }
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Fault::RequestLineParts;
    };
    if !is_token(method) {
        Fault::MethodNotToken
    } else if parse_version(version).is_none() {
        Fault::VersionMalformed
    } else {
        debug_assert!(!examine_target(target).0, "a line without fault was refused");
        Fault::TargetByte
    }
}
