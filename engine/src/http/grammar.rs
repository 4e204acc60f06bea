//! Character classes of RFC 9110 §5.6, as tables, and the two things done with them everywhere.

/// What a byte may be part of; one bit each.
const TOKEN: u8 = 1;
const HOST: u8 = 2;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    #[expect(clippy::indexing_slicing, reason = "evaluated at compile time, bounded by the loop")]
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the loop")]
        let b = byte as u8;
        if b.is_ascii_alphanumeric() {
            table[byte] = TOKEN | HOST;
        }
        if matches!(
            b,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        ) {
            table[byte] |= TOKEN;
        }
        // A registered name, without escapes (checked apart) and without the comma, which only a merged list has.
        if matches!(b, b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=')
        {
            table[byte] |= HOST;
        }
        byte += 1;
    }
    table
}

fn is(byte: u8, class: u8) -> bool {
    #[expect(clippy::indexing_slicing, reason = "256 entries, indexed by a byte")]
    let classes = CLASSES[usize::from(byte)];
    classes & class != 0
}

/// May this byte be part of a token?
pub(super) fn is_token_byte(byte: u8) -> bool {
    is(byte, TOKEN)
}

/// One byte or more, each of them fit for a token.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is(*byte, TOKEN))
}

/// May this byte be part of a registered host name?
pub(super) fn is_host_byte(byte: u8) -> bool {
    is(byte, HOST)
}

/// SP or TAB, the only optional whitespace there is.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Without SP and TAB at either end.
pub(super) fn trimmed(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}
