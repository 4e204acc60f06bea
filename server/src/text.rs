//! Figures and times as people read and write them.

use jiff::Timestamp;

/// `1,234,567`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `17 B`, `1.2 KiB`, `3.4 GiB`.
#[expect(clippy::cast_precision_loss, reason = "two digits for people")]
pub(crate) fn bytes(n: u64) -> String {
    let mut value = n as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{n} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

/// `512MiB`, `2 GiB`, `100MB`, or a plain number of bytes.
pub(crate) fn parse_bytes(text: &str) -> Result<usize, String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let scale = match unit.trim() {
        "" | "B" => 1,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(format!("expected a size such as 512MiB or 2GiB, found `{text}`")),
    };
    let number: usize =
        number.parse().map_err(|_| format!("expected a size such as 512MiB or 2GiB, found `{text}`"))?;
    number.checked_mul(scale).ok_or_else(|| format!("`{text}` is too large"))
}

/// ISO 8601 in UTC.
pub(crate) fn time(unix_us: i64) -> String {
    Timestamp::from_microsecond(unix_us).map_or_else(|_| format!("{unix_us} µs"), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(3 << 40), "3.0 TiB");
        assert_eq!(time(1_629_509_038_996_000), "2021-08-21T01:23:58.996Z");
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_bytes("512MiB"), Ok(512 << 20));
        assert_eq!(parse_bytes(" 2 GiB "), Ok(2 << 30));
        assert_eq!(parse_bytes("100MB"), Ok(100_000_000));
        assert_eq!(parse_bytes("4096"), Ok(4096));
        for refused in ["", "MiB", "1.5GiB", "-1", "5 apples", "99999999999999GiB"] {
            assert!(parse_bytes(refused).is_err(), "{refused}");
        }
    }
}
