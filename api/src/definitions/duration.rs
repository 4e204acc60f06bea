//! Durations as the API writes them: `1d`, `1h30m`, `10m`, `30s`, `500ms`.

pub(super) use crate::aggregates::duration::text;

/// Microseconds of a duration. `None` unless it is numbers with units, each unit once, from days down.
pub(super) fn parse(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total: i64 = 0;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_lowercase).count();
        let (unit, tail) = tail.split_at(letters);
        // the iterator goes on where it stopped, so a unit that was used or passed is not found again
        let (_, microseconds) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(*microseconds)?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

/// What messages say is expected.
pub(super) const EXPECTED: &str = "a duration such as \"30d\", \"1h30m\", \"10m\", \"30s\" or \"500ms\"";

const UNITS: [(&str, i64); 5] =
    [("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1000)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        let check = |input, expected: Option<i64>| assert_eq!(parse(input), expected, "{input}");
        check("1d", Some(86_400_000_000));
        check("1h30m", Some(5_400_000_000));
        check("500ms", Some(500_000));
        check("1s500ms", Some(1_500_000));
        check("0s", Some(0));
        check("", None);
        check("30", None);
        check("d", None);
        check("1m1h", None);
        check("1d1d", None);
        check("1.5h", None);
        check("-1d", None);
        check("1w", None);
        check("1 d", None);
        check("99999999999999999999d", None);
        check("9223372036854775807d", None);
        for written in ["1d", "1h30m", "10m", "30s", "500ms", "0s", "2d1ms"] {
            assert_eq!(text(parse(written).unwrap()), written);
        }
        assert_eq!(text(parse("24h").unwrap()), "1d");
    }
}
