//! Texts as JSON strings.

/// Appends `text` as a JSON string with its quotes. What is not UTF-8 becomes U+FFFD.
pub(crate) fn string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    if is_plain(text) {
        out.extend_from_slice(text);
    } else {
        escaped(text, out);
    }
    out.push(b'"');
}

/// Whether every byte is ASCII and stands for itself. Eight bytes at a time.
fn is_plain(text: &[u8]) -> bool {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    // In a byte below 0x80, the high bit of `byte - n` with `byte | 0x80` guarding the borrow is clear if byte < n.
    let unplain = |word: u64| {
        let control = !((word | HIGH) - ONES * 0x20);
        let equal = |byte: u8| !(((word ^ (ONES * u64::from(byte))) | HIGH) - ONES);
        (word | control | equal(b'"') | equal(b'\\')) & HIGH
    };
    let (words, rest) = text.as_chunks::<8>();
    let mut found = 0;
    for word in words {
        found |= unplain(u64::from_le_bytes(*word));
    }
    let mut last = *b"        ";
    last[..rest.len()].copy_from_slice(rest);
    found | unplain(u64::from_le_bytes(last)) == 0
}

fn escaped(text: &[u8], out: &mut Vec<u8>) {
    for chunk in text.utf8_chunks() {
        for &byte in chunk.valid().as_bytes() {
            match byte {
                b'"' => out.extend_from_slice(b"\\\""),
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                0..0x20 => {
                    const DIGITS: &[u8; 16] = b"0123456789abcdef";
                    out.extend_from_slice(b"\\u00");
                    out.push(DIGITS[usize::from(byte >> 4)]);
                    out.push(DIGITS[usize::from(byte & 15)]);
                }
                _ => out.push(byte),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_json_must_escape_is_escaped() {
        let check = |text: &[u8], expected: &str| {
            let mut out = Vec::new();
            string(text, &mut out);
            assert_eq!(out, expected.as_bytes());
        };
        check(b"", r#""""#);
        check(b"US", r#""US""#);
        check(b"a\"b\\c\n\r\t\x01\x1f\x7f", "\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u001f\x7f\"");
        check("München 東京 😀".as_bytes(), "\"München 東京 😀\"");
        check(b"a\xffb\xc3", "\"a\u{fffd}b\u{fffd}\"");
    }

    #[test]
    fn every_byte_is_told_plain_or_not_wherever_it_stands() {
        for byte in 0..=255u8 {
            let plain = (0x20..0x80).contains(&byte) && byte != b'"' && byte != b'\\';
            for place in 0..20 {
                let mut text = [b'!'; 20]; // next to the quote: a borrow would show
                text[place] = byte;
                assert_eq!(is_plain(&text), plain, "{byte:#x} at {place}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_text_reads_back(text in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut out = Vec::new();
            string(&text, &mut out);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), String::from_utf8_lossy(&text));
        }
    }
}
