//! Durations as feature names have them: `1d`, `1h30m`, `30s`.

/// The shortest way to write a duration that is not negative; zero is `0s`.
pub(crate) fn text(microseconds: i64) -> String {
    let (mut rest, mut out) = (microseconds, String::new());
    for (name, unit) in UNITS {
        if rest / unit != 0 {
            out.push_str(&format!("{}{name}", rest / unit));
            rest %= unit;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

pub(super) const DAY_US: i64 = 86_400_000_000;

const UNITS: [(&str, i64); 6] =
    [("d", DAY_US), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1000), ("us", 1)];
