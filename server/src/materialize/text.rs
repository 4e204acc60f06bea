//! What the text of a CSV cell or a JSON string means, by declared type.

use jiff::{Timestamp, civil, tz};

use super::{
    cast::whole,
    fault::{Fault, Reason},
};

/// `true` or `false` in any case, `1` or `0`.
pub(super) fn boolean(text: &str) -> Result<bool, Fault> {
    match text.trim() {
        "1" => Ok(true),
        "0" => Ok(false),
        word if word.eq_ignore_ascii_case("true") => Ok(true),
        word if word.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(Fault::wrong(text, "true or false")),
    }
}

/// Decimal digits with an optional sign; also a float that is whole (`3.0`), as pandas writes integers beside nulls.
pub(super) fn int64(text: &str) -> Result<i64, Fault> {
    let trimmed = text.trim();
    if let Ok(value) = trimmed.parse() {
        return Ok(value);
    }
    let digits = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::range(text, "int64"));
    }
    whole(float64(text).map_err(|_| Fault::wrong(text, "an integer"))?)
}

/// Decimal or scientific, or `NaN`, `Infinity`, `-Infinity`, `inf` in any case.
pub(super) fn float64(text: &str) -> Result<f64, Fault> {
    let value: f64 = text.trim().parse().map_err(|_| Fault::wrong(text, "a number"))?;
    let spelled_out = text.contains(['i', 'I']); // "inf", "Infinity"; digits that overflow are no infinity
    if value.is_infinite() && !spelled_out { Err(Fault::range(text, "float64")) } else { Ok(value) }
}

/// ISO 8601: a date, or a date and a time with `T` or a space between, with `Z`, an offset, or nothing (which is UTC).
/// Digits beyond the microsecond are cut.
pub(super) fn timestamp(text: &str) -> Result<i64, Fault> {
    let trimmed = text.trim();
    // Civil time would parse with an offset too, and drop it; so which of the two it is, is decided first.
    let has_offset = trimmed.get(DATE_BYTES..).is_some_and(|time| time.contains(['Z', 'z', '+', '-']));
    let moment = if has_offset {
        trimmed.parse::<Timestamp>()
    } else {
        trimmed.parse::<civil::DateTime>().and_then(|local| tz::Offset::UTC.to_timestamp(local))
    };
    let moment = moment.map_err(|_| Fault::wrong(text, "an ISO 8601 timestamp"))?;
    i64::try_from(moment.as_nanosecond().div_euclid(1000)).map_err(|_| Fault::range(text, "a timestamp"))
}

/// UTF-8, or the row is malformed.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|e| Fault::new(Reason::Malformed, format_args!("not UTF-8 ({e})")))
}

/// `2021-08-21`.
const DATE_BYTES: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn check_time(text: &str, expected: Option<i64>) {
        assert_eq!(timestamp(text).ok(), expected, "{text}");
    }

    #[test]
    fn timestamps_with_z_offset_or_none() {
        check_time("2021-08-21T01:23:58.996Z", Some(1_629_509_038_996_000));
        check_time("2021-08-21T01:23:58.996", Some(1_629_509_038_996_000));
        check_time("2021-08-21 01:23:58.996", Some(1_629_509_038_996_000));
        check_time("2021-08-21T03:23:58.996+02:00", Some(1_629_509_038_996_000));
        check_time("2021-08-20 18:23:58.996-07:00", Some(1_629_509_038_996_000));
        check_time("2021-08-21T01:23:58.996000999+00:00", Some(1_629_509_038_996_000));
        check_time("2021-08-21", Some(1_629_504_000_000_000));
        check_time("1969-12-31T23:59:59.9999999Z", Some(-1));
        for refused in
            ["", "yesterday", "2021-13-01", "1629509038", "2021-08-21T25:00:00Z", "2021-08-21T01:23:58+99:99"]
        {
            check_time(refused, None);
        }
    }

    #[test]
    fn integers_as_people_write_them() {
        let reason = |text: &str| int64(text).unwrap_err().reason;
        assert_eq!(int64(" 42 "), Ok(42));
        assert_eq!(int64("-7"), Ok(-7));
        assert_eq!(int64("3.0"), Ok(3));
        assert_eq!(reason("3.5"), Reason::WrongValue);
        assert_eq!(reason("three"), Reason::WrongValue);
        assert_eq!(reason("9223372036854775808"), Reason::OutOfRange);
    }

    #[test]
    fn floats_with_their_special_values() {
        assert_eq!(float64("1e3"), Ok(1000.0));
        assert_eq!(float64("-Infinity"), Ok(f64::NEG_INFINITY));
        assert!(float64("NaN").is_ok_and(f64::is_nan));
        assert_eq!(float64("1e999").unwrap_err().reason, Reason::OutOfRange);
        assert_eq!(float64("1,5").unwrap_err().reason, Reason::WrongValue);
    }

    #[test]
    fn booleans_in_any_case() {
        assert_eq!(boolean("True"), Ok(true));
        assert_eq!(boolean("FALSE"), Ok(false));
        assert_eq!(boolean("1"), Ok(true));
        assert!(boolean("yes").is_err());
    }
}
