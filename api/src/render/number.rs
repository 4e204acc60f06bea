//! Numbers. Floats take the fewest digits that read back as the same float, have no `.0`, and no exponent from 1e-15 to
//! 1e15. (Below that an exponent is shorter than the zeros: 1e-300 would take 300 of them.)

/// An int64's digits.
pub(crate) fn int64(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A count's digits.
pub(crate) fn unsigned(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A double; those that JSON has no number for are strings.
pub(crate) fn float64(value: f64, out: &mut Vec<u8>) {
    // Within these bounds every integer has a double of its own, so its digits are the shortest.
    #[expect(clippy::cast_possible_truncation, reason = "bounds were checked, and NaN fails both")]
    if value > -1e15 && value < 1e15 && value == (value as i64) as f64 {
        return integral(value as i64, value.is_sign_negative(), out);
    }
    if value.is_finite() { shortest(ryu::Buffer::new().format_finite(value), out) } else { special(value, out) }
}

/// A single, in its own shortest form, not that of the double it would widen to.
pub(crate) fn float32(value: f32, out: &mut Vec<u8>) {
    const EXACT: f32 = 16_777_216.0; // 2^24: below it as above
    #[expect(clippy::cast_possible_truncation, reason = "bounds were checked, and NaN fails both")]
    if value > -EXACT && value < EXACT && value == (value as i32) as f32 {
        return integral((value as i32).into(), value.is_sign_negative(), out);
    }
    if value.is_finite() {
        shortest(ryu::Buffer::new().format_finite(value), out);
    } else {
        special(value.into(), out);
    }
}

fn integral(value: i64, negative: bool, out: &mut Vec<u8>) {
    if value == 0 && negative {
        out.push(b'-');
    }
    int64(value, out);
}

#[cold]
fn special(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(if value.is_nan() {
        b"\"NaN\""
    } else if value > 0.0 {
        b"\"Infinity\""
    } else {
        b"\"-Infinity\""
    });
}

/// Takes ryu's spelling and drops `.0`, and an exponent that is small.
fn shortest(text: &str, out: &mut Vec<u8>) {
    let Some((mantissa, exponent)) = text.split_once('e') else {
        out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
        return;
    };
    let exponent = exponent.parse().unwrap_or(0i32);
    if !(-15..=15).contains(&exponent) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let digits = mantissa.strip_prefix('-').unwrap_or(mantissa);
    if digits.len() < mantissa.len() {
        out.push(b'-');
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    match usize::try_from(exponent) {
        Ok(exponent) => {
            let (before, after) = fraction.split_at(exponent.min(fraction.len()));
            out.extend_from_slice(whole.as_bytes());
            out.extend_from_slice(before.as_bytes());
            out.resize(out.len() + exponent - before.len(), b'0');
            if !after.is_empty() {
                out.push(b'.');
                out.extend_from_slice(after.as_bytes());
            }
        }
        Err(_) => {
            let zeros = exponent.unsigned_abs() as usize - 1;
            out.extend_from_slice(b"0.");
            out.resize(out.len() + zeros, b'0');
            out.extend_from_slice(whole.as_bytes());
            out.extend_from_slice(fraction.as_bytes());
        }
    }
}

/// Nanoseconds as seconds: at most nine fractional digits, none at the end that is zero.
pub(crate) fn seconds(nanoseconds: u64, out: &mut Vec<u8>) {
    unsigned(nanoseconds / 1_000_000_000, out);
    let mut rest = nanoseconds % 1_000_000_000;
    if rest == 0 {
        return;
    }
    let mut digits = *b".000000000";
    let mut end = 10;
    let mut trailing = true;
    for place in (1..10).rev() {
        let digit = (rest % 10).to_le_bytes()[0];
        rest /= 10;
        if trailing && digit == 0 {
            end = place;
        } else {
            trailing = false;
        }
        digits[place] += digit;
    }
    out.extend_from_slice(&digits[..end]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn doubles_are_short_and_plain() {
        let check = |value: f64, expected: &str| assert_eq!(written(|out| float64(value, out)), expected);
        check(0.0, "0");
        check(-0.0, "-0");
        check(216_409.0, "216409");
        check(-2.46, "-2.46");
        check(0.1 + 0.2, "0.30000000000000004");
        check(999_999_999_999_999.0, "999999999999999");
        check(1e15, "1000000000000000");
        check(-1e15, "-1000000000000000");
        check(2_251_799_813_685_249.5, "2251799813685249.5");
        check(1e16, "1e16");
        check(1.5e300, "1.5e300");
        check(0.00001, "0.00001");
        check(-1.25e-7, "-0.000000125");
        check(1e-15, "0.000000000000001");
        check(1e-16, "1e-16");
        check(f64::MIN_POSITIVE, "2.2250738585072014e-308");
        check(f64::NAN, "\"NaN\"");
        check(f64::INFINITY, "\"Infinity\"");
        check(f64::NEG_INFINITY, "\"-Infinity\"");
    }

    #[test]
    fn singles_are_not_widened() {
        let check = |value: f32, expected: &str| assert_eq!(written(|out| float32(value, out)), expected);
        check(0.1, "0.1");
        check(-16_777_215.0, "-16777215");
        check(123_456_789.0, "123456790");
        check(1e15, "1000000000000000");
        check(1.5e13, "15000000000000");
        check(3.4e38, "3.4e38");
        check(1.2e-7, "0.00000012");
        check(f32::NAN, "\"NaN\"");
        check(f32::NEG_INFINITY, "\"-Infinity\"");
    }

    #[test]
    fn seconds_have_no_idle_zeros() {
        let check = |nanoseconds, expected: &str| assert_eq!(written(|out| seconds(nanoseconds, out)), expected);
        check(0, "0");
        check(1, "0.000000001");
        check(41_200, "0.0000412");
        check(2_500_000_000, "2.5");
        check(u64::MAX, "18446744073.709551615");
    }

    proptest! {
        #[test]
        fn every_double_reads_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let text = written(|out| float64(value, out));
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), bits, "{}", text);
            prop_assert!(serde_json::from_str::<f64>(&text).is_ok());
        }

        #[test]
        fn every_single_reads_back(bits in any::<u32>()) {
            let value = f32::from_bits(bits);
            prop_assume!(value.is_finite());
            let text = written(|out| float32(value, out));
            prop_assert_eq!(text.parse::<f32>().unwrap().to_bits(), bits, "{}", text);
        }
    }
}
