//! Timestamps as records write them.

/// ISO 8601: a date, or a date and a time with `T` or a space between; seconds may be left out and have up to nine fractional digits, of
/// which those beyond the microsecond are cut; then `Z`, an offset such as `+02:00`, or nothing, which is UTC.
pub(crate) fn timestamp_us(text: &str) -> Option<i64> {
    let (date, rest) = text.as_bytes().split_at_checked(DATE_BYTES)?;
    let (year, month, day) = match date {
        [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] => {
            (digits(&[*y1, *y2, *y3, *y4])?, digits(&[*m1, *m2])?, digits(&[*d1, *d2])?)
        }
        _ => return None,
    };
    if !(1..=12).contains(&month) || !(1..=days_of(year, month)).contains(&day) {
        return None;
    }
    let midnight_us = days_before(year, month, day) * 86_400 * SECOND_US;
    let Some((b'T' | b't' | b' ', rest)) = rest.split_first() else {
        return rest.is_empty().then_some(midnight_us);
    };
    let (hour, rest) = two_digits(rest, 23)?;
    let (minute, rest) = two_digits(rest.strip_prefix(b":")?, 59)?;
    let (second, rest) = match rest.strip_prefix(b":") {
        Some(rest) => two_digits(rest, 59)?,
        None => (0, rest),
    };
    let (fraction_us, rest) = match rest.strip_prefix(b".") {
        Some(rest) => fraction_us(rest)?,
        None => (0, rest),
    };
    let offset_minutes = match rest {
        [] | [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), rest @ ..] => {
            let (hours, rest) = two_digits(rest, 23)?;
            let minutes = match rest.strip_prefix(b":").unwrap_or(rest) {
                [] if rest.is_empty() => 0,
                rest => two_digits(rest, 59).filter(|(_, rest)| rest.is_empty())?.0,
            };
            (hours * 60 + minutes) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let seconds = (hour * 60 + minute - offset_minutes) * 60 + second;
    Some(midnight_us + seconds * SECOND_US + fraction_us)
}

/// One to nine digits behind a point.
fn fraction_us(text: &[u8]) -> Option<(i64, &[u8])> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (fraction, rest) = text.split_at(end);
    if !(1..=9).contains(&fraction.len()) {
        return None;
    }
    let of = |place: usize| fraction.get(place).map_or(0, |digit| i64::from(digit - b'0'));
    Some(((0..6).fold(0, |value, place| value * 10 + of(place)), rest))
}

fn two_digits(text: &[u8], max: i64) -> Option<(i64, &[u8])> {
    let (number, rest) = text.split_at_checked(2)?;
    let number = digits(number).filter(|number| *number <= max)?;
    Some((number, rest))
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to this one, in the proleptic Gregorian calendar. Years start in March here, so that the leap day is a year's
/// last; 400 years have 146 097 days.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

const DATE_BYTES: usize = 10;

const SECOND_US: i64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::Stamp;

    #[track_caller]
    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(timestamp_us(text), expected, "{text}");
    }

    #[test]
    fn timestamps_with_z_offset_or_none() {
        check("2021-08-21T01:23:58.996Z", Some(1_629_509_038_996_000));
        check("2021-08-21T01:23:58.996", Some(1_629_509_038_996_000));
        check("2021-08-21 01:23:58.996", Some(1_629_509_038_996_000));
        check("2021-08-21t03:23:58.996+02:00", Some(1_629_509_038_996_000));
        check("2021-08-21T03:23:58.996+0200", Some(1_629_509_038_996_000));
        check("2021-08-21T03:23:58.996+02", Some(1_629_509_038_996_000));
        check("2021-08-20T18:23:58.996-07:00", Some(1_629_509_038_996_000));
        check("2021-08-21T01:23", Some(1_629_508_980_000_000));
        check("2021-08-21T01:23z", Some(1_629_508_980_000_000));
        check("2021-08-21", Some(1_629_504_000_000_000));
    }

    #[test]
    fn nine_digits_are_cut_to_the_microsecond_towards_the_past() {
        check("2021-08-21T01:23:58.123456999Z", Some(1_629_509_038_123_456));
        check("2021-08-21T01:23:58.1Z", Some(1_629_509_038_100_000));
        check("1969-12-31T23:59:59.999999999Z", Some(-1));
        check("1970-01-01T00:00:00.000000999Z", Some(0));
    }

    #[test]
    fn the_first_and_the_last_moment_that_can_be_written_fit() {
        check("0000-01-01T00:00:00+23:59", Some(-62_167_219_200_000_000 - 86_340_000_000));
        check("9999-12-31T23:59:59.999999999-23:59", Some(253_402_300_799_999_999 + 86_340_000_000));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for refused in [
            "",
            "yesterday",
            "2021-13-01",
            "2021-00-01",
            "2021-02-29",
            "1900-02-29",
            "2021-04-31",
            "2021-01-00",
            "1629509038",
            "2021-08-21T",
            "2021-08-21T1",
            "2021-08-21T01",
            "2021-08-21T01:",
            "2021-08-21T24:00:00Z",
            "2021-08-21T01:60",
            "2021-08-21T01:23:60Z",
            "2021-08-21T01:23:58.",
            "2021-08-21T01:23:58.Z",
            "2021-08-21T01:23:58.1234567890Z",
            "2021-08-21T01:23:58+99:99",
            "2021-08-21T01:23:58+02:",
            "2021-08-21T01:23:58+2",
            "2021-08-21T01:23:58+02:00x",
            "2021-08-21T01:23:58Zx",
            " 2021-08-21",
            "2021-08-21 ",
            "+2021-08-21",
            "-2021-08-21",
            "12021-08-21",
            "2021-08-21Z",
            "2021‐08-21",
            "٢٠٢١-08-21",
            "2021-08-21T01:23:58 Z",
        ] {
            check(refused, None);
        }
        check("2000-02-29", Some(951_782_400_000_000));
        check("2024-02-29", Some(1_709_164_800_000_000));
    }

    /// Beside the other direction, which was written apart.
    #[test]
    fn every_day_of_a_cycle_reads_back_as_it_is_shown() {
        for day in (-719_528..-719_528 + 146_097).chain(2_932_896 - 366..2_932_896) {
            let moment_us = day * 86_400_000_000 + 86_399_123_456;
            let mut stamp = Stamp::new();
            let text = std::str::from_utf8(stamp.text(moment_us)).unwrap();
            check(text, Some(moment_us));
        }
    }
}
