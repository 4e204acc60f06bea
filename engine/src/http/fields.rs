//! The field section: what its lines must look like, and the few fields that the engine acts on.

use httparse::Header;

use super::{
    fault::Fault,
    grammar::{is_blank, is_token, is_token_byte, trimmed},
    request::Unclear,
    request_line::Version,
    target::is_authority,
};
use crate::admission::Criticality;

/// What the fields say, but for the body's length.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Said<'b> {
    pub(super) host: Option<&'b [u8]>,
    pub(super) authorization: Option<&'b [u8]>,
    pub(super) content_encoding: Option<&'b [u8]>,
    pub(super) expects: Expects,
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) server_timing: bool,
    pub(super) criticality: Option<Criticality>,
    pub(super) latency_budget_ms: Option<&'b [u8]>,
    pub(super) unclear: Option<Unclear<'b>>,
    /// Authorization or Content-Type came twice.
    pub(super) repeated: bool,
    hosts: u32,
    content_types: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Expects {
    #[default]
    Nothing,
    Continue,
    /// What nobody can fulfil.
    Else,
}

impl<'b> Said<'b> {
    /// One pass. Fails only for names that pretend to be framing.
    #[inline]
    pub(super) fn collect(fields: &[Header<'b>]) -> Result<Self, Fault> {
        let mut said = Self::default();
        for field in fields {
            let named = |name: &str| field.name.eq_ignore_ascii_case(name);
            match field.name.len() {
                4 if named("host") => {
                    said.host = Some(field.value);
                    said.hosts += 1;
                }
                6 if named("expect") => said.expect(field.value),
                10 if named("connection") => said.connection(field.value),
                12 if named("content-type") => {
                    said.content_types += 1;
                    said.repeated |= said.content_types > 1;
                }
                13 if named("authorization") => {
                    said.repeated |= said.authorization.is_some();
                    said.authorization = Some(field.value);
                }
                // Whatever is not identity must not hide behind another line that is.
                16 if named("content-encoding") => match said.content_encoding {
                    Some(earlier) if !earlier.eq_ignore_ascii_case(b"identity") => {}
                    _ => said.content_encoding = Some(field.value),
                },
                // Of several lines the least critical: whoever adds one can only make the request give way sooner.
                18 if named("gannet-criticality") => match Criticality::from_label(field.value) {
                    Some(criticality) => said.criticality = said.criticality.max(Some(criticality)),
                    None => said.unclear = said.unclear.or(Some(Unclear::Criticality(field.value))),
                },
                20 if named("gannet-server-timing") => said.server_timing = field.value == b"1",
                24 if named("gannet-latency-budget-ms") => match said.latency_budget_ms {
                    Some(first) => {
                        let twice = Unclear::LatencyBudgetTwice { first, second: field.value };
                        said.unclear = said.unclear.or(Some(twice));
                    }
                    None => said.latency_budget_ms = Some(field.value),
                },
                14 if named("content_length") => return Err(Fault::FieldLookAlike),
                17 if named("transfer_encoding") => return Err(Fault::FieldLookAlike),
                _ => {}
            }
        }
        Ok(said)
    }

    /// A list, or a second line, is not the one expectation there is.
    fn expect(&mut self, value: &[u8]) {
        let wanted = value.eq_ignore_ascii_case(b"100-continue") && self.expects == Expects::Nothing;
        self.expects = if wanted { Expects::Continue } else { Expects::Else };
    }

    /// Only two options are acted on; a field named here keeps its effect.
    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',').map(trimmed) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// One valid Host in HTTP/1.1, at most one in 1.0.
    #[inline]
    pub(super) fn check_host(&self, version: Version, is_options_asterisk: bool) -> Result<(), Fault> {
        match self.host {
            _ if self.hosts > 1 => Err(Fault::HostRepeated),
            Some([]) if version == Version::Http10 || is_options_asterisk => Ok(()),
            Some([]) => Err(Fault::HostEmpty),
            Some(host) if is_authority(host) => Ok(()),
            Some(_) => Err(Fault::HostInvalid),
            None if version == Version::Http10 => Ok(()),
            None => Err(Fault::HostMissing),
        }
    }
}

/// Names the fault in a section that the tokeniser refused. `section` ends with the empty line.
#[cold]
pub(super) fn culprit(section: &[u8]) -> Fault {
    let lines = section.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    for (number, line) in lines.take_while(|line| !line.is_empty()).enumerate() {
        match check_line(line) {
            Err(Fault::FieldFolded) if number == 0 => return Fault::FieldIndented,
            Err(fault) => return fault,
            Ok(_) => {}
        }
    }
    // Not reached while the tokeniser and `check_line` agree, which a test holds them to. Refusing is right anyway.
    Fault::FieldName
}

/// The name of a field line (given without its line end), or what is wrong with it.
pub(super) fn check_line(line: &[u8]) -> Result<&[u8], Fault> {
    if line.first().is_some_and(|byte| is_blank(*byte)) {
        return Err(Fault::FieldFolded);
    }
    if line.contains(&b'\r') {
        return Err(Fault::BareCarriageReturn);
    }
    let colon = memchr::memchr(b':', line).ok_or(Fault::FieldName)?;
    let (name, value) = line.split_at_checked(colon).unwrap_or_default();
    if !is_token(name) {
        let blank_at_end = name.iter().rev().find(|byte| !is_blank(**byte)).is_some_and(|byte| is_token_byte(*byte))
            && name.last().is_some_and(|byte| is_blank(*byte));
        return Err(if blank_at_end { Fault::FieldNameSpace } else { Fault::FieldName });
    }
    for byte in value {
        match byte {
            0 => return Err(Fault::FieldNul),
            b'\t' => {}
            0x01..=0x1f | 0x7f => return Err(Fault::FieldControl),
            _ => {}
        }
    }
    Ok(name)
}

/// Names that mean something before the body is read, and therefore nothing behind it.
pub(super) fn is_forbidden_in_trailer(name: &[u8]) -> bool {
    [
        &b"content-length"[..],
        b"transfer-encoding",
        b"host",
        b"authorization",
        b"content-encoding",
        b"connection",
        b"expect",
        b"trailer",
        // The look-alikes that the head refuses are no better here.
        b"content_length",
        b"transfer_encoding",
    ]
    .iter()
    .any(|forbidden| name.eq_ignore_ascii_case(forbidden))
}
