//! Latency budgets that are set beforehand, by a feature service or an API key: how they are written, and which of several counts.

use serde::{Deserialize, Serialize};

use crate::limits::{BUDGET_US_MAX, BUDGET_US_MIN};

/// A latency budget for requests that set none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyBudget {
    /// Microseconds from when a request is seen.
    pub us: u32,
    /// No request may have a longer one, whatever it asks for.
    #[serde(default)]
    pub cap: bool,
}

impl LatencyBudget {
    /// Microseconds of a budget as it is written: a number with `ms` or `s`, such as `20ms`, `0.5ms` or `1s`. `None` for anything
    /// else, for fractions of a microsecond, and beyond 0.1 ms to 60 s.
    pub fn parse(text: &str) -> Option<u32> {
        // `ms` before `s`, which it ends with.
        let (number, unit_us) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
            (Some(number), _) => (number, 1000),
            (None, Some(number)) => (number, 1_000_000),
            (None, None) => return None,
        };
        let (whole, fraction) = match number.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return None,
            None => (number, ""),
        };
        let mut us = digits(whole)?.checked_mul(unit_us)?;
        let mut place_us = unit_us;
        for digit in fraction.chars() {
            let digit = digit.to_digit(10).map(u64::from)?;
            if digit != 0 && place_us < 10 {
                return None;
            }
            place_us /= 10;
            us = us.checked_add(digit * place_us)?;
        }
        u32::try_from(us).ok().filter(|us| Self::is_in_range(*us))
    }

    /// The shortest way to write it: `20ms`, `0.5ms`, `1s`.
    pub fn text(self) -> String {
        let (milliseconds, rest) = (self.us / 1000, self.us % 1000);
        match (milliseconds, rest) {
            (milliseconds, 0) if milliseconds > 0 && milliseconds % 1000 == 0 => format!("{}s", milliseconds / 1000),
            (milliseconds, 0) => format!("{milliseconds}ms"),
            (milliseconds, rest) => {
                let rest = format!("{rest:03}");
                format!("{milliseconds}.{}ms", rest.trim_end_matches('0'))
            }
        }
    }

    /// Whether requests could ask for it too.
    pub(crate) fn is_in_range(us: u32) -> bool {
        (BUDGET_US_MIN..=BUDGET_US_MAX).contains(&us)
    }

    /// What messages say is expected.
    pub const EXPECTED: &str = "a latency budget from \"0.1ms\" to \"60s\", such as \"20ms\", \"0.5ms\" or \"1s\"";
}

/// The budget of a request, in microseconds: its own, else the shortest that is set beforehand; and never longer than any cap.
pub(crate) fn of(asked_us: Option<u32>, beforehand: [Option<LatencyBudget>; 2]) -> Option<u32> {
    let mut budget_us = asked_us;
    for set in beforehand.into_iter().flatten() {
        if asked_us.is_none() || set.cap {
            budget_us = Some(budget_us.map_or(set.us, |us| us.min(set.us)));
        }
    }
    budget_us
}

/// At least one, and nothing else: `parse` alone would take a sign.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_read_and_written() {
        let check = |text: &str, expected: Option<u32>| assert_eq!(LatencyBudget::parse(text), expected, "{text}");
        check("20ms", Some(20_000));
        check("0.5ms", Some(500));
        check("1s", Some(1_000_000));
        check("0.1ms", Some(100));
        check("0.0001s", Some(100));
        check("60s", Some(60_000_000));
        check("60000ms", Some(60_000_000));
        check("1.250s", Some(1_250_000));
        check("12.3450ms", Some(12_345));
        check("0.00100000000000s", Some(1000));
        for refused in [
            "",
            "20",
            "ms",
            "s",
            ".5ms",
            "5.ms",
            "-1ms",
            "+1ms",
            " 1ms",
            "1 ms",
            "1ms ",
            "1m",
            "1h",
            "20us",
            "1e3ms",
            "1,5ms",
            "1.2.3ms",
            "0.0001ms",
            "0.1234ms",
            "0.10000005s",
            "0ms",
            "0s",
            "0.099ms",
            "60.001s",
            "61s",
            "99999999999999999999s",
            "NaNms",
            "infs",
            "1s500ms",
            "٣ms",
        ] {
            check(refused, None);
        }
        for written in ["20ms", "0.5ms", "1s", "60s", "0.1ms", "1500ms", "1.001ms", "12.345ms", "10s"] {
            assert_eq!(LatencyBudget { us: LatencyBudget::parse(written).unwrap(), cap: false }.text(), written);
        }
    }

    #[test]
    fn the_own_budget_wins_but_against_a_shorter_cap() {
        let default = |us| Some(LatencyBudget { us, cap: false });
        let cap = |us| Some(LatencyBudget { us, cap: true });
        let check = |asked, service, key, expected| {
            assert_eq!(of(asked, [service, key]), expected, "{asked:?} {service:?} {key:?}");
            assert_eq!(of(asked, [key, service]), expected, "whoever sets it");
        };
        check(None, None, None, None);
        check(Some(7), None, None, Some(7));
        // Defaults: the shorter of the two, and only for requests that set none.
        check(None, default(5), None, Some(5));
        check(None, default(5), default(3), Some(3));
        check(Some(9), default(5), default(3), Some(9));
        check(Some(1), default(5), default(3), Some(1));
        // Caps bound what is asked for; they are defaults too.
        check(None, cap(5), None, Some(5));
        check(Some(9), cap(5), None, Some(5));
        check(Some(4), cap(5), None, Some(4));
        check(Some(9), cap(5), cap(3), Some(3));
        // One of each.
        check(None, cap(5), default(3), Some(3));
        check(None, cap(5), default(8), Some(5));
        check(Some(9), cap(5), default(3), Some(5));
        check(Some(4), cap(5), default(3), Some(4));
    }
}
