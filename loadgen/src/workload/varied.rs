//! Requests that say something else each time, as writes do: further keys, a counter, random numbers, the time of sending.
//!
//! How long such a body is shows only once it is written, so its length is put in front of it afterwards. Requests that hold
//! nothing but their own key are not rendered here.

use fastrand::Rng;

use super::{
    keys::Keys,
    request::{DIGITS_MAX, KeyFormat, Parts, digits},
};

/// What holes are filled with.
#[derive(Debug)]
pub(crate) struct Fill<'a> {
    /// The request's own key.
    pub(crate) key: u64,
    /// The time of sending.
    pub(crate) unix_us: u64,
    /// What further keys are drawn from.
    pub(crate) keys: &'a Keys,
    pub(crate) random: &'a mut Rng,
    /// The next number that nobody has had.
    pub(crate) counter: &'a mut u64,
}

/// A request with holes of several kinds.
#[derive(Debug)]
pub(crate) struct Varied {
    format: KeyFormat,
    head: Vec<Piece>,
    body: Vec<Piece>,
    has_length: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(Box<[u8]>),
    /// `{key}`: the same wherever it stands in a request.
    Key,
    /// `{another-key}`: drawn anew for each place, as `--keys` says.
    AnotherKey,
    /// `{counter}`: counts up from 0 through all requests of the run.
    Counter,
    /// `{random:N}`: below N.
    Random(u64),
    /// `{now}`: as RFC 3339 writes it, in microseconds, the same wherever it stands in a request.
    Now,
}

impl Varied {
    /// `None` if there is no hole but for the key.
    pub(super) fn new(parts: &Parts<'_>, format: &KeyFormat) -> Result<Option<Self>, String> {
        let (head, body) = (pieces(&parts.head())?, pieces(parts.body)?);
        let varies = head.iter().chain(&body).any(|piece| !matches!(piece, Piece::Text(_) | Piece::Key));
        let varied = || Self { format: format.clone(), head, body, has_length: parts.has_length() };
        Ok(varies.then(varied))
    }

    /// Appends a request.
    pub(super) fn render(&self, mut fill: Fill<'_>, out: &mut Vec<u8>) {
        let mut now = None;
        self.write(&self.head, &mut fill, &mut now, out);
        if !self.has_length {
            out.extend_from_slice(b"\r\n");
            return;
        }
        out.extend_from_slice(b"Content-Length: ");
        let length_at = out.len();
        out.extend_from_slice(b"\r\n\r\n");
        let body_at = out.len();
        self.write(&self.body, &mut fill, &mut now, out);
        let mut buffer = [b'0'; DIGITS_MAX];
        let length = digits((out.len() - body_at) as u64, 1, &mut buffer);
        out.splice(length_at..length_at, length.iter().copied());
    }

    fn write(&self, pieces: &[Piece], fill: &mut Fill<'_>, now: &mut Option<[u8; TIME_BYTES]>, out: &mut Vec<u8>) {
        let number = |number: u64, out: &mut Vec<u8>| {
            let mut buffer = [b'0'; DIGITS_MAX];
            out.extend_from_slice(digits(number, 1, &mut buffer));
        };
        for piece in pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Key => self.format.write(fill.key, out),
                Piece::AnotherKey => self.format.write(fill.keys.draw(fill.random), out),
                Piece::Counter => {
                    number(*fill.counter, out);
                    *fill.counter += 1;
                }
                Piece::Random(below) => number(fill.random.u64(0..*below), out),
                Piece::Now => out.extend_from_slice(now.get_or_insert_with(|| rfc3339(fill.unix_us))),
            }
        }
    }
}

/// Cuts a text at its holes. Braces that are none stay: JSON is full of them.
fn pieces(text: &[u8]) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let (mut from, mut at) = (0, 0);
    while let Some(brace) = memchr::memchr(b'{', &text[at..]) {
        let start = at + brace;
        at = start + 1;
        let Some(end) = memchr::memchr(b'}', &text[start..]).map(|length| start + length + 1) else { break };
        if let Some(hole) = hole(&text[start..end])? {
            pieces.extend((from < start).then(|| Piece::Text(text[from..start].into())));
            pieces.push(hole);
            (from, at) = (end, end);
        }
    }
    pieces.extend((from < text.len()).then(|| Piece::Text(text[from..].into())));
    Ok(pieces)
}

fn hole(text: &[u8]) -> Result<Option<Piece>, String> {
    Ok(Some(match text {
        b"{key}" => Piece::Key,
        b"{another-key}" => Piece::AnotherKey,
        b"{counter}" => Piece::Counter,
        b"{now}" => Piece::Now,
        _ => {
            let Some(below) = text.strip_prefix(b"{random:").and_then(|rest| rest.strip_suffix(b"}")) else {
                return Ok(None);
            };
            let below = std::str::from_utf8(below).ok().and_then(|digits| digits.parse().ok()).filter(|n| *n > 0);
            Piece::Random(below.ok_or_else(|| {
                let found = String::from_utf8_lossy(text);
                format!("`{found}` is no hole; expected {{random:N}}, N being a whole number above 0")
            })?)
        }
    }))
}

/// `2026-02-03T04:05:06.000007Z`
fn rfc3339(unix_us: u64) -> [u8; TIME_BYTES] {
    let (seconds, us) = (unix_us / 1_000_000, unix_us % 1_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years are counted from March, so that the day that comes and goes is their last; 400 of them have 146,097 days.
    let day = days + 719_468;
    let (era, day_of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let day_of_month = day_of_year - (153 * from_march + 2) / 5 + 1;

    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let fields = [
        (0..4, year),
        (5..7, month),
        (8..10, day_of_month),
        (11..13, second / 3_600),
        (14..16, second / 60 % 60),
        (17..19, second % 60),
        (20..26, us),
    ];
    for (place, mut number) in fields {
        for digit in text[place].iter_mut().rev() {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
        }
    }
    text
}

const TIME_BYTES: usize = 27;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::request::Template;

    /// Two requests after another, with keys drawn from one that is 7.
    fn render(target: &str, body: &str) -> [String; 2] {
        let parts = Parts { method: "POST", target, host: "h", headers: &[], body: body.as_bytes() };
        let template = Template::new(&parts, &"C{:03}".parse().unwrap()).unwrap();
        let (mut random, mut counter, keys) = (Rng::with_seed(42), 0, "one:7".parse().unwrap());
        [1, 2].map(|key| {
            let unix_us = 1_709_251_199_000_000 + key;
            let mut out = b"before".to_vec();
            let fill = Fill { key, unix_us, keys: &keys, random: &mut random, counter: &mut counter };
            template.render(fill, &mut out);
            String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned()
        })
    }

    #[test]
    fn each_hole_is_filled_anew_and_the_length_follows() {
        let [first, second] = render("/{key}", r#"{"a":["{key}","{another-key}",{counter},{counter}],"at":"{now}"}"#);
        let expected = |key, other, counters: [u32; 2], at| {
            let [one, two] = counters;
            let body = format!(r#"{{"a":["C00{key}","C00{other}",{one},{two}],"at":"{at}"}}"#);
            let length = body.len();
            format!("POST /C00{key} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{body}")
        };
        assert_eq!(first, expected(1, 7, [0, 1], "2024-02-29T23:59:59.000001Z"));
        assert_eq!(second, expected(2, 7, [2, 3], "2024-02-29T23:59:59.000002Z"));
    }

    #[test]
    fn random_numbers_lie_below_their_bound() {
        let body = "{random:3} ".repeat(300);
        let [first, second] = render("/", &body);
        let numbers = |text: &str| text.split_once("\r\n\r\n").unwrap().1.trim().to_owned();
        assert_ne!(numbers(&first), numbers(&second));
        let mut seen: Vec<String> = numbers(&first).split(' ').map(str::to_owned).collect();
        assert_eq!(seen.len(), 300);
        seen.sort();
        seen.dedup();
        assert_eq!(seen, ["0", "1", "2"]);
    }

    #[test]
    fn braces_that_are_no_hole_stay() {
        let text = |text: &str| Piece::Text(text.as_bytes().into());
        let check = |body: &str, expected: &[Piece]| assert_eq!(pieces(body.as_bytes()).unwrap(), expected, "{body}");
        check("", &[]);
        check("{", &[text("{")]);
        check(r#"{"a":{}}"#, &[text(r#"{"a":{}}"#)]);
        check("{{now}}", &[text("{"), Piece::Now, text("}")]);
        check("{random:9}{nobody}", &[Piece::Random(9), text("{nobody}")]);
        for wrong in ["{random:}", "{random:0}", "{random:x}", "{random:-1}"] {
            assert!(pieces(wrong.as_bytes()).unwrap_err().contains(wrong), "{wrong}");
        }
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        let check = |unix_us, expected: &str| assert_eq!(std::str::from_utf8(&rfc3339(unix_us)), Ok(expected));
        check(0, "1970-01-01T00:00:00.000000Z");
        check(951_782_400_000_000, "2000-02-29T00:00:00.000000Z");
        check(1_767_225_599_999_999, "2025-12-31T23:59:59.999999Z");
        check(1_767_225_600_000_000, "2026-01-01T00:00:00.000000Z");
        check(4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z");
    }
}
