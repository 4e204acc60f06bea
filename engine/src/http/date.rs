//! The `Date` field's value: `Sun, 06 Nov 1994 08:49:37 GMT`, always 29 bytes.

/// Formats the date at most once a second.
#[derive(Debug, Clone, Copy)]
pub struct DateCache {
    unix_s: i64,
    text: [u8; DATE_BYTES],
}

/// An IMF-fixdate's length.
pub const DATE_BYTES: usize = 29;

impl DateCache {
    /// Starts at the given second since the Unix epoch.
    pub fn new(unix_s: i64) -> Self {
        Self { unix_s, text: imf_fixdate(unix_s) }
    }

    /// Takes the time of this turn. True if the text changed.
    pub fn update(&mut self, unix_s: i64) -> bool {
        if unix_s == self.unix_s {
            return false;
        }
        *self = Self::new(unix_s);
        true
    }

    /// The date, as it is sent.
    pub fn text(&self) -> &[u8; DATE_BYTES] {
        &self.text
    }
}

/// RFC 9110 §5.6.7. Years outside four digits are shown as their last four; no clock of ours gets there.
fn imf_fixdate(unix_s: i64) -> [u8; DATE_BYTES] {
    let (days, second) = (unix_s.div_euclid(DAY_S), unix_s.rem_euclid(DAY_S));
    let (year, month, day) = civil_from_days(days);
    let weekday = name(b"ThuFriSatSunMonTueWed", days.rem_euclid(7));
    let month = name(b"JanFebMarAprMayJunJulAugSepOctNovDec", month - 1);
    let ([d1, d2], [c1, c2], [y1, y2]) = (two(day), two(year / 100), two(year));
    let ([h1, h2], [m1, m2], [s1, s2]) = (two(second / 3600), two(second / 60 % 60), two(second % 60));
    let [w1, w2, w3] = weekday;
    let [n1, n2, n3] = month;
    [
        w1, w2, w3, b',', b' ', d1, d2, b' ', n1, n2, n3, b' ', c1, c2, y1, y2, b' ', h1, h2, b':', m1, m2, b':', s1,
        s2, b' ', b'G', b'M', b'T',
    ]
}

/// The proleptic Gregorian date of a day counted from 1970-01-01: year, month 1–12, day 1–31. Years are taken to begin
/// in March, so that the leap day is the last one, and are counted within eras of 400 years, which all have equal length.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let since_march_0000 = days + 719_468;
    let era = since_march_0000.div_euclid(ERA_DAYS);
    let day_of_era = since_march_0000.rem_euclid(ERA_DAYS);
    // Take out the leap days before dividing: one each 4 years, none each 100, one again at the era's end.
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // From March on, months alternate between 31 and 30 days in runs of five that take 153 days.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// The last two decimal digits.
fn two(n: i64) -> [u8; 2] {
    let digit = |n: i64| b'0' + u8::try_from(n.rem_euclid(10)).unwrap_or_default();
    [digit(n / 10), digit(n)]
}

/// The `index`-th name of three letters.
fn name(names: &[u8], index: i64) -> [u8; 3] {
    let (names, _) = names.as_chunks::<3>();
    usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or(*b"???")
}

const DAY_S: i64 = 24 * 60 * 60;
const ERA_DAYS: i64 = 400 * 365 + 97;
