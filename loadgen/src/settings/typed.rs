//! Values of the command line that are more than a number.

use std::str::FromStr;

use crate::{
    clock::{NS_PER_MS, NS_PER_S, NS_PER_US},
    pacing::Step,
    workload::keys::Keys,
};

/// A length of time, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Duration(pub(crate) u64);

impl FromStr for Duration {
    type Err = String;

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded just before")]
    #[expect(clippy::cast_precision_loss, reason = "units are exact in a double")]
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected a time up to an hour, as in 500us, 20ms, 5s or 2m; not `{text}`");
        let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(expected)?;
        let unit_ns = match &text[unit_at..] {
            "us" => NS_PER_US,
            "ms" => NS_PER_MS,
            "s" => NS_PER_S,
            "m" => 60 * NS_PER_S,
            _ => return Err(expected()),
        };
        let ns = text[..unit_at].parse::<f64>().map_err(|_| expected())? * unit_ns as f64;
        if !(0.0..=3600.0 * NS_PER_S as f64).contains(&ns) {
            return Err(expected());
        }
        Ok(Self(ns.round() as u64))
    }
}

/// Requests a second; 0 is none.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    match text.replace('_', "").parse::<f64>() {
        Ok(rate) if (0.0..=10_000_000.0).contains(&rate) => Ok(rate),
        _ => Err(format!("expected a rate from 0 to 10000000 a second; not `{text}`")),
    }
}

/// Rates in a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Steps(pub(crate) Vec<Step>);

impl FromStr for Steps {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let step = |part: &str| {
            let (rate_per_s, length) =
                part.split_once(':').ok_or_else(|| format!("expected RATE:TIME, as in 80000:5s; not `{part}`"))?;
            let step = Step { rate_per_s: rate(rate_per_s)?, length_ns: length.parse::<Duration>()?.0 };
            if step.length_ns == 0 { Err("a step takes some time".to_owned()) } else { Ok(step) }
        };
        Ok(Self(text.split(',').map(step).collect::<Result<_, _>>()?))
    }
}

/// The parts of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// As it goes into `Host`.
    pub(crate) authority: String,
    /// What is connected to: with a port.
    pub(crate) host_and_port: String,
    pub(crate) target: String,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("https://") {
            return Err("https is not spoken here; measure in front of what ends TLS".to_owned());
        }
        let rest = text.strip_prefix("http://").ok_or("expected http://HOST[:PORT][/PATH]")?;
        let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let without_fragment = path.split('#').next().unwrap_or(path);
        if authority.is_empty() || authority.contains('@') || text.contains(|c: char| c.is_ascii_control() || c == ' ')
        {
            return Err("expected http://HOST[:PORT][/PATH]".to_owned());
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let host_and_port = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        Ok(Self { authority: authority.to_owned(), host_and_port, target: without_fragment.to_owned() })
    }
}

/// A stream as it was written; what is `None` comes from the other options.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct StreamText {
    pub(crate) name: String,
    pub(crate) weight: Option<f64>,
    pub(crate) headers: Vec<String>,
    pub(crate) key: Option<String>,
    pub(crate) keys: Option<Keys>,
    pub(crate) absent: Option<f64>,
    pub(crate) body: Option<String>,
    /// Of the URL, with what may follow: another endpoint of the same server.
    pub(crate) path: Option<String>,
    /// Connections that no other stream uses.
    pub(crate) connections: Option<u32>,
}

impl FromStr for StreamText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut stream = Self::default();
        for field in split_unescaped(text) {
            let (name, value) = field.split_once('=').ok_or_else(|| format!("expected FIELD=VALUE; not `{field}`"))?;
            match name {
                "name" => stream.name = value.to_owned(),
                "weight" => match value.parse::<f64>() {
                    Ok(weight) if weight > 0.0 && weight.is_finite() => stream.weight = Some(weight),
                    _ => return Err(format!("a weight is a number above 0; not `{value}`")),
                },
                "header" => stream.headers.push(value.to_owned()),
                "key" => stream.key = Some(value.to_owned()),
                "keys" => stream.keys = Some(value.parse()?),
                "absent" => stream.absent = Some(crate::cli::share(value)?),
                "body" => stream.body = Some(value.to_owned()),
                "path" if value.starts_with('/') && !value.contains(|c: char| c.is_ascii_control() || c == ' ') => {
                    stream.path = Some(value.to_owned());
                }
                "path" => return Err(format!("a path begins with / and has no spaces; not `{value}`")),
                "connections" => match value.parse() {
                    Ok(connections) if connections > 0 => stream.connections = Some(connections),
                    _ => return Err(format!("connections are a number above 0; not `{value}`")),
                },
                _ => return Err(format!("no field `{name}`; there are {FIELDS}")),
            }
        }
        if stream.name.is_empty() { Err("a stream needs a name".to_owned()) } else { Ok(stream) }
    }
}

const FIELDS: &str = "name, weight, connections, header, key, keys, absent, body, path";

/// Parts between commas; `\,` is a comma.
fn split_unescaped(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let last = parts.len() - 1;
        match letter {
            '\\' if letters.peek() == Some(&',') => parts[last].extend(letters.next()),
            ',' => parts.push(String::new()),
            _ => parts[last].push(letter),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        for (text, ns) in [("500us", 500_000), ("1.5s", 1_500_000_000), ("2m", 120_000_000_000), ("0s", 0)] {
            assert_eq!(text.parse(), Ok(Duration(ns)), "{text}");
        }
        for wrong in ["5", "s", "5h", "-1s", "61m", "NaNs", ""] {
            assert!(wrong.parse::<Duration>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn steps_are_rates_and_times() {
        let step = |rate_per_s, length_ns| Step { rate_per_s, length_ns };
        let expected = Steps(vec![step(80_000.0, 5_000_000_000), step(0.0, 100_000_000)]);
        assert_eq!("80_000:5s,0:100ms".parse(), Ok(expected));
        for wrong in ["", "80000", "80000:5", "x:5s", "1:0s", "-1:5s"] {
            assert!(wrong.parse::<Steps>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_url_has_a_host_and_perhaps_more() {
        for (url, host_and_port, target) in [
            ("http://a", "a:80", "/"),
            ("http://a:81/x?y=1#z", "a:81", "/x?y=1"),
            ("http://[::1]:8080/", "[::1]:8080", "/"),
            ("http://[::1]/", "[::1]:80", "/"),
        ] {
            let address: Address = url.parse().unwrap();
            assert_eq!((address.host_and_port.as_str(), address.target.as_str()), (host_and_port, target), "{url}");
        }
        for wrong in ["a:80", "https://a", "http://", "http://u@a/", "http://a/ b"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_stream_is_written_in_fields() {
        let stream: StreamText =
            r"name=a,weight=2.5,header=X: 1\, 2,header=Y: z,keys=one:7,absent=0.5,connections=9,path=/y?z"
                .parse()
                .unwrap();
        let expected = StreamText {
            name: "a".to_owned(),
            weight: Some(2.5),
            headers: vec!["X: 1, 2".to_owned(), "Y: z".to_owned()],
            keys: Some(Keys::One { key: 7 }),
            absent: Some(0.5),
            connections: Some(9),
            path: Some("/y?z".to_owned()),
            ..StreamText::default()
        };
        assert_eq!(stream, expected);
        for wrong in [
            "",
            "weight=1",
            "name=a,weight=0",
            "name=a,size=1",
            "name=a,connections=0",
            "name=a,absent=2",
            "name=a,path=x",
            "name=a,keys=all",
        ] {
            assert!(wrong.parse::<StreamText>().is_err(), "{wrong}");
        }
    }
}
