//! Which keys are asked for. Keys are numbers from 0; how they are written is the template's.

use std::str::FromStr;

use fastrand::Rng;

/// A distribution over a key space.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Keys {
    Uniform {
        count: u64,
    },
    Zipf(Zipf),
    /// The first `hot` keys get `share` of the requests, the others the rest.
    Hot {
        count: u64,
        hot: u64,
        share: f64,
    },
    One {
        key: u64,
    },
}

impl Keys {
    /// The size of the key space: every key drawn is below it.
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Uniform { count } | Self::Hot { count, .. } => *count,
            Self::Zipf(zipf) => zipf.count,
            Self::One { key } => key + 1,
        }
    }

    pub(crate) fn draw(&self, random: &mut Rng) -> u64 {
        match self {
            Self::Uniform { count } => random.u64(0..*count),
            Self::Zipf(zipf) => zipf.draw(random),
            Self::Hot { count, hot, share } => {
                if random.f64() < *share {
                    random.u64(0..*hot)
                } else {
                    random.u64(*hot..*count)
                }
            }
            Self::One { key } => *key,
        }
    }
}

impl FromStr for Keys {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(':').collect();
        let number = |part: &str| -> Result<u64, String> {
            part.replace('_', "").parse().map_err(|_| format!("`{part}` is no number of keys"))
        };
        let count = |part: &str| match number(part)? {
            0 => Err("a key space needs at least one key".to_owned()),
            count if count > KEYS_MAX => Err(format!("a key space has at most {KEYS_MAX} keys")),
            count => Ok(count),
        };
        let real = |part: &str| part.parse::<f64>().map_err(|_| format!("`{part}` is no number"));
        match parts[..] {
            ["uniform", n] => Ok(Self::Uniform { count: count(n)? }),
            ["zipf", n, exponent] => match real(exponent)? {
                exponent if exponent > 0.0 && exponent <= 10.0 => Ok(Self::Zipf(Zipf::new(count(n)?, exponent))),
                _ => Err("the exponent of zipf lies above 0 and up to 10".to_owned()),
            },
            ["hot", n, hot, share] => {
                let (count, hot, share) = (count(n)?, number(hot)?, real(share)?);
                if hot == 0 || hot >= count {
                    return Err("hot keys are at least one and fewer than all".to_owned());
                }
                if !(0.0..=1.0).contains(&share) {
                    return Err("the share of hot keys lies between 0 and 1".to_owned());
                }
                Ok(Self::Hot { count, hot, share })
            }
            ["one", key] => match number(key)? {
                key if key < KEYS_MAX => Ok(Self::One { key }),
                _ => Err(format!("a key is below {KEYS_MAX}")),
            },
            _ => Err("expected uniform:N, zipf:N:EXPONENT, hot:N:HOT:SHARE or one:KEY".to_owned()),
        }
    }
}

/// Key `k` is drawn in proportion to `1 / (k + 1)^exponent`: key 0 most often.
///
/// Drawn by inverting the integral of that curve and rejecting what lies between curve and steps (Hörmann and Derflinger,
/// 1996): no table, whatever the number of keys, and hardly ever a second try.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Zipf {
    count: u64,
    exponent: f64,
    /// The integral at both ends of what is drawn from.
    low: f64,
    high: f64,
    /// A rank this close to the point it was rounded from needs no further check.
    near: f64,
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ranks are positive and at most KEYS_MAX, exact in a double"
)]
impl Zipf {
    fn new(count: u64, exponent: f64) -> Self {
        let mut zipf = Self { count, exponent, low: 0.0, high: 0.0, near: 0.0 };
        // The first rank's whole weight lies left of 1.5, as a step of height 1.
        zipf.low = zipf.integral(1.5) - 1.0;
        zipf.high = zipf.integral(count as f64 + 0.5);
        zipf.near = 2.0 - zipf.inverse(zipf.integral(2.5) - zipf.weight(2.0));
        zipf
    }

    fn draw(&self, random: &mut Rng) -> u64 {
        loop {
            let area = self.low + random.f64() * (self.high - self.low);
            let point = self.inverse(area);
            let rank = point.round().clamp(1.0, self.count as f64);
            if rank - point <= self.near || area >= self.integral(rank + 0.5) - self.weight(rank) {
                return rank as u64 - 1;
            }
        }
    }

    fn weight(&self, rank: f64) -> f64 {
        rank.powf(-self.exponent)
    }

    /// The integral of `weight`, up to a constant.
    fn integral(&self, x: f64) -> f64 {
        let power = 1.0 - self.exponent;
        if power.abs() < 1e-9 { x.ln() } else { (power * x.ln()).exp_m1() / power }
    }

    fn inverse(&self, area: f64) -> f64 {
        let power = 1.0 - self.exponent;
        if power.abs() < 1e-9 { area.exp() } else { ((area * power).ln_1p() / power).exp() }
    }
}

/// Doubles count exactly up to 2^53; a decimal bound reads better.
const KEYS_MAX: u64 = 1_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// How often each of the first `n` keys is drawn, as shares of `draws`.
    fn shares(keys: &str, n: usize, draws: u32) -> Vec<f64> {
        let keys: Keys = keys.parse().unwrap();
        let (mut random, mut counts) = (Rng::with_seed(42), vec![0_u32; n]);
        for _ in 0..draws {
            let key = keys.draw(&mut random);
            assert!(key < keys.count());
            if let Some(count) = counts.get_mut(usize::try_from(key).unwrap()) {
                *count += 1;
            }
        }
        counts.iter().map(|count| f64::from(*count) / f64::from(draws)).collect()
    }

    fn check(keys: &str, expected: &[f64]) {
        let found = shares(keys, expected.len(), 200_000);
        for (key, (found, expected)) in found.iter().zip(expected).enumerate() {
            // Four standard deviations of a share.
            let slack = 4.0 * (expected * (1.0 - expected) / 200_000.0).sqrt();
            assert!((found - expected).abs() <= slack, "{keys}: key {key} has {found}, not {expected}");
        }
    }

    #[test]
    fn each_key_gets_its_share() {
        check("uniform:4", &[0.25; 4]);
        check("one:2", &[0.0, 0.0, 1.0]);
        check("hot:6:2:0.9", &[0.45, 0.45, 0.025, 0.025, 0.025, 0.025]);
        for exponent in [0.5, 0.99, 1.0, 1.5] {
            let weights: Vec<f64> = (1..=50).map(|rank| f64::from(rank).powf(-exponent)).collect();
            let all: f64 = weights.iter().sum();
            let expected: Vec<f64> = weights.iter().map(|weight| weight / all).collect();
            check(&format!("zipf:50:{exponent}"), &expected);
        }
    }

    #[test]
    fn a_large_key_space_needs_no_table() {
        // 1 / (ln 10^9 + 0.5772) of a harmonic distribution is its first key.
        let found = shares("zipf:1_000_000_000:1", 1, 200_000)[0];
        assert!((found - 1.0 / (1e9_f64.ln() + 0.5772)).abs() < 0.002, "{found}");
        assert_eq!(shares("zipf:1:0.99", 1, 10), [1.0]);
    }

    #[test]
    fn what_is_no_distribution_says_why() {
        for (text, says) in [
            ("uniform:0", "at least one"),
            ("uniform:x", "no number of keys"),
            ("zipf:10", "expected uniform"),
            ("zipf:10:0", "exponent"),
            ("hot:10:10:0.5", "fewer than all"),
            ("hot:10:1:1.5", "between 0 and 1"),
            ("one:1000000000000", "below"),
        ] {
            let error = text.parse::<Keys>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
