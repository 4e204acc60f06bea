//! The forms of a request target (RFC 9112 §3.2), and the host syntax they share with the Host field.

use std::net::Ipv6Addr;

use super::{fault::Fault, grammar::is_host_byte, request::Method, request_line::RequestLine};

/// Where a request goes: borrowed, nothing decoded, nothing normalised.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'b> {
    pub(super) path: &'b [u8],
    pub(super) query: &'b [u8],
}

impl<'b> Target<'b> {
    /// Tells the form by the target's first bytes, then holds it against the method.
    #[inline]
    pub(super) fn parse(line: &RequestLine<'b>, method: Option<Method>) -> Result<Self, Fault> {
        if line.target.first() == Some(&b'/') && method.is_some() {
            return Ok(split_query(line.target));
        }
        Self::parse_rare(line, method)
    }

    #[cold]
    fn parse_rare(line: &RequestLine<'b>, method: Option<Method>) -> Result<Self, Fault> {
        let target = line.target;
        if line.method == b"CONNECT" {
            // Refused either way, but a tunnel's client may speak another protocol next and a wrong form is no tunnel.
            return Err(if is_authority_form(target) { Fault::Connect } else { Fault::AuthorityForm });
        }
        match target {
            [b'/', ..] => Ok(split_query(target)),
            b"*" if method == Some(Method::Options) => Ok(Self { path: target, query: b"" }),
            b"*" => Err(Fault::AsteriskForm),
            _ if is_authority_form(target) => Err(Fault::AuthorityForm),
            _ => match target.windows(3).position(|three| three == b"://") {
                Some(colon) => {
                    let (scheme, rest) = target.split_at_checked(colon).unwrap_or_default();
                    absolute_form(scheme, rest.get(3..).unwrap_or_default(), method)
                }
                None => Err(Fault::TargetForm),
            },
        }
    }

    /// Is every escape complete, hexadecimal, and not NUL?
    #[cold]
    pub(super) fn has_sound_escapes(target: &[u8]) -> bool {
        target.split(|byte| *byte == b'%').skip(1).all(|rest| match rest {
            [b'0', b'0', ..] => false,
            [high, low, ..] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
            _ => false,
        })
    }
}

#[inline]
fn split_query(target: &[u8]) -> Target<'_> {
    match memchr::memchr(b'?', target).and_then(|mark| target.split_at_checked(mark)) {
        Some((path, query)) => Target { path, query: query.get(1..).unwrap_or_default() },
        None => Target { path: target, query: b"" },
    }
}

/// `http://host:port/path?query`; the authority replaces Host and has no effect beyond being valid: there is one site.
fn absolute_form<'b>(scheme: &[u8], rest: &'b [u8], method: Option<Method>) -> Result<Target<'b>, Fault> {
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return Err(Fault::AbsoluteForm);
    }
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let (authority, target) = rest.split_at_checked(end).unwrap_or_default();
    if authority.is_empty() || !is_authority(authority) {
        return Err(Fault::AbsoluteForm);
    }
    let Target { path, query } = split_query(target);
    let path: &[u8] = match path {
        [] if query.is_empty() && target.is_empty() && method == Some(Method::Options) => b"*",
        [] => b"/",
        path => path,
    };
    Ok(Target { path, query })
}

fn is_authority_form(target: &[u8]) -> bool {
    let ported = matches!(target.rsplit(|byte| *byte == b':').next(), Some(port) if port.len() < target.len() && !port.is_empty());
    ported && is_authority(target)
}

/// `host [":" port]` with a host that is not empty: the syntax of the Host field. The comma, legal in a host name, is
/// refused: only two Host lines merged by somebody in front look like that.
pub(super) fn is_authority(bytes: &[u8]) -> bool {
    let (host_is_sound, rest) = match bytes {
        [b'[', inner @ ..] => match memchr::memchr(b']', inner).and_then(|end| inner.split_at_checked(end)) {
            Some((address, rest)) => (is_ipv6(address), rest.get(1..).unwrap_or_default()),
            None => (false, bytes),
        },
        _ => {
            let end = bytes.iter().position(|byte| *byte == b':').unwrap_or(bytes.len());
            let (host, rest) = bytes.split_at_checked(end).unwrap_or_default();
            (is_host_name(host), rest)
        }
    };
    host_is_sound
        && match rest {
            [] => true,
            [b':', port @ ..] => is_port(port),
            _ => false,
        }
}

fn is_host_name(host: &[u8]) -> bool {
    !host.is_empty()
        && (host.iter().all(|byte| is_host_byte(*byte))
            || (Target::has_sound_escapes(host) && host.iter().all(|byte| is_host_byte(*byte) || *byte == b'%')))
}

fn is_ipv6(address: &[u8]) -> bool {
    std::str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// Empty is legal: `host:`.
fn is_port(port: &[u8]) -> bool {
    port.len() <= 5
        && port.iter().all(u8::is_ascii_digit)
        && port.iter().fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0')) <= u32::from(u16::MAX)
}
