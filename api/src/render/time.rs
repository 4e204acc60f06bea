//! Moments as RFC 3339 in UTC: `2021-08-21T01:23:58.996Z`, with 0, 3 or 6 fractional digits.

/// The text of a moment, with the last one kept: rows written by one job share their event time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    unix_us: i64,
    text: [u8; 36],
    len: usize,
}

impl Default for Stamp {
    fn default() -> Self {
        Self::new()
    }
}

impl Stamp {
    pub(crate) fn new() -> Self {
        let mut stamp = Self { unix_us: 0, text: [0; 36], len: 0 };
        stamp.write(0);
        stamp
    }

    /// Without quotes.
    pub(crate) fn text(&mut self, unix_us: i64) -> &[u8] {
        if unix_us != self.unix_us {
            self.write(unix_us);
        }
        &self.text[..self.len]
    }

    fn write(&mut self, unix_us: i64) {
        self.unix_us = unix_us;
        self.len = 0;
        let microseconds = unix_us.rem_euclid(1_000_000);
        let seconds = unix_us.div_euclid(1_000_000);
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        if (0..10_000).contains(&year) {
            self.digits(year.unsigned_abs(), 4);
        } else {
            // ISO 8601's expanded form; microseconds in 64 bits reach six digits.
            self.push(if year < 0 { b'-' } else { b'+' });
            self.digits(year.unsigned_abs(), 6);
        }
        let parts = [(b'-', month), (b'-', day), (b'T', second / 3600), (b':', second / 60 % 60), (b':', second % 60)];
        for (separator, part) in parts {
            self.push(separator);
            self.digits(part.unsigned_abs(), 2);
        }
        if microseconds != 0 {
            self.push(b'.');
            if microseconds % 1000 == 0 {
                self.digits(microseconds.unsigned_abs() / 1000, 3);
            } else {
                self.digits(microseconds.unsigned_abs(), 6);
            }
        }
        self.push(b'Z');
    }

    fn push(&mut self, byte: u8) {
        self.text[self.len] = byte;
        self.len += 1;
    }

    fn digits(&mut self, mut value: u64, count: usize) {
        for place in (self.len..self.len + count).rev() {
            self.text[place] = b'0' + (value % 10).to_le_bytes()[0];
            value /= 10;
        }
        self.len += count;
    }
}

/// A moment as a JSON string.
pub(crate) fn timestamp(unix_us: i64, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(Stamp::new().text(unix_us));
    out.push(b'"');
}

/// Year, month and day of a day counted from 1970-01-01 in the proleptic Gregorian calendar. Years start in March here,
/// so that the leap day is a year's last; 400 years have 146 097 days.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468; // from 0000-03-01
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// The day's number from 1970-01-01: what [`civil`] takes apart. Days beyond a month's end count on.
pub(crate) fn unix_days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_zero_three_or_six_fractional_digits() {
        let mut stamp = Stamp::new();
        let mut check =
            |unix_us, expected: &str| assert_eq!(std::str::from_utf8(stamp.text(unix_us)).unwrap(), expected);
        check(0, "1970-01-01T00:00:00Z");
        check(1_629_509_038_996_000, "2021-08-21T01:23:58.996Z");
        check(1_629_509_038_996_010, "2021-08-21T01:23:58.996010Z");
        check(-1, "1969-12-31T23:59:59.999999Z");
        check(951_782_400_000_000, "2000-02-29T00:00:00Z");
        check(4_107_542_400_000_000, "2100-03-01T00:00:00Z");
        check(253_402_300_799_000_000, "9999-12-31T23:59:59Z");
        check(253_402_300_800_000_000, "+010000-01-01T00:00:00Z");
        check(-62_167_219_200_000_000, "0000-01-01T00:00:00Z");
        check(i64::MIN, "-290308-12-21T19:59:05.224192Z");
        check(i64::MAX, "+294247-01-10T04:00:54.775807Z");
        check(0, "1970-01-01T00:00:00Z");
    }

    #[test]
    fn days_follow_each_other() {
        let (mut year, mut month, mut day) = civil(-800_000);
        for days in -799_999..800_000 {
            let next = civil(days);
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 => 28 + i64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (year, month, day) = match (month, day == last) {
                (12, true) => (year + 1, 1, 1),
                (_, true) => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
            assert_eq!(next, (year, month, day));
            assert_eq!(unix_days(year, month, day), days);
        }
    }
}
