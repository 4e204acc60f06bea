//! Integers out of JSON numbers, exactly; and numbers out of strings.

/// The int64 that a JSON number is, if it is one: `5`, `5.0`, `50e-1`, but not `5.5`. `text` must be a JSON number;
/// anything else gives `None` or whatever its digits are.
pub(super) fn integral(text: &[u8]) -> Option<i64> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&text[..at], exponent(&text[at + 1..])?),
        None => (text, 0),
    };
    let (whole, fraction) = match mantissa.iter().position(|&byte| byte == b'.') {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &[][..]),
    };
    // The value is `digits`, without the zeros at its end, times ten to the `scale`.
    let (mut digits, mut zeros) = (0i128, 0i64);
    for &digit in whole.iter().chain(fraction) {
        if !digit.is_ascii_digit() {
            return None;
        }
        if digit == b'0' {
            zeros += 1;
            continue;
        }
        if digits != 0 {
            digits = digits.checked_mul(10i128.checked_pow(u32::try_from(zeros).ok()?)?)?;
        }
        digits = digits.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        zeros = 0;
        if digits > i128::from(u64::MAX) {
            return None;
        }
    }
    if digits == 0 {
        return Some(0);
    }
    let scale = exponent.checked_add(zeros)?.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let power = 10i128.checked_pow(u32::try_from(scale).ok()?)?; // a negative scale is a fraction
    let value = digits.checked_mul(power)?;
    i64::try_from(if negative { -value } else { value }).ok()
}

/// An exponent's digits with their sign. Beyond what an int64 could need, it only has to stay large.
fn exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let mut value = 0i64;
    for digit in digits {
        value = (value * 10 + i64::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?)).min(1 << 40);
    }
    (!digits.is_empty()).then_some(if negative { -value } else { value })
}

/// The int64 that a decimal string is: digits with an optional minus.
pub(super) fn decimal(text: &[u8]) -> Option<i64> {
    let starts_with_digit = text.strip_prefix(b"-").unwrap_or(text).first()?.is_ascii_digit();
    std::str::from_utf8(text).ok().filter(|_| starts_with_digit)?.parse().ok()
}

/// The same without a minus, twice as far.
pub(super) fn decimal_unsigned(text: &[u8]) -> Option<u64> {
    let starts_with_digit = text.first()?.is_ascii_digit();
    std::str::from_utf8(text).ok().filter(|_| starts_with_digit)?.parse().ok()
}

/// The number that a string is: spelt as a JSON number may be, but for a minus, and nothing around it. `parse` alone would take a
/// plus, a bare point, and words such as `inf`.
pub(super) fn double(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let (first, last) = (bytes.first()?, bytes.last()?);
    let digits_around = |at: usize| at > 0 && bytes[at - 1].is_ascii_digit() && bytes[at + 1].is_ascii_digit();
    let spelt = first.is_ascii_digit()
        && last.is_ascii_digit()
        && bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
        && bytes.iter().position(|byte| *byte == b'.').is_none_or(digits_around);
    text.parse().ok().filter(|_| spelt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_exactly_however_they_are_written() {
        let check = |text: &str, expected| assert_eq!(integral(text.as_bytes()), expected, "{text}");
        check("5.0", Some(5));
        check("5e0", Some(5));
        check("50E-1", Some(5));
        check("-0.005e+3", Some(-5));
        check("0.0", Some(0));
        check("0e999999999999999999999", Some(0));
        check("9223372036854775807.0", Some(i64::MAX));
        check("-9223372036854775808.000", Some(i64::MIN));
        check("9223372036854775808.0", None);
        check("9007199254740993.0", Some(9_007_199_254_740_993)); // not a double
        check("922337203685477580.7e1", Some(i64::MAX));
        check("1e18", Some(1_000_000_000_000_000_000));
        check("1e19", None);
        check("1e999999999999999999999", None);
        check("1e-999999999999999999999", None);
        check("5.5", None);
        check("1000000000000000000000000000000000000000000e-40", Some(100));
        check("0.00000000000000000000000000000000000000000000000001", None);
    }

    #[test]
    fn strings_are_numbers_as_json_spells_them() {
        let check = |text: &str, expected| assert_eq!(double(text), expected, "{text}");
        check("5", Some(5.0));
        check("0.25", Some(0.25));
        check("1e3", Some(1000.0));
        check("2.5E+1", Some(25.0));
        check("5e-1", Some(0.5));
        for refused in [
            "", " 5", "5 ", "+5", "-5", ".5", "5.", "5.e1", "1e", "e1", "1e+", "1.2.3", "1,5", "0x5", "5ms", "NaN",
            "inf", "Infinity", "infinity", "٣", "5\0",
        ] {
            check(refused, None);
        }
    }

    #[test]
    fn decimal_strings_are_digits_only() {
        let check = |text: &str, expected| assert_eq!(decimal(text.as_bytes()), expected, "{text}");
        check("5", Some(5));
        check("-9223372036854775808", Some(i64::MIN));
        check("007", Some(7));
        assert_eq!(decimal_unsigned(b"18446744073709551615"), Some(u64::MAX));
        for refused in ["", "-5", "+5", "5.0", "18446744073709551616"] {
            assert_eq!(decimal_unsigned(refused.as_bytes()), None, "{refused}");
        }
        for refused in ["", "-", "+5", " 5", "5 ", "5.0", "5e0", "0x5", "9223372036854775808", "٣"] {
            check(refused, None);
        }
    }
}
