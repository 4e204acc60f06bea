//! The numeric rules of `docs/materialize.md`: a value is taken when the declared type can hold it, and never bent to fit.

use super::fault::Fault;

/// A float that is a whole number, such as what pandas makes of integer columns with nulls.
pub(super) fn whole(value: f64) -> Result<i64, Fault> {
    // 2^63 itself is out: as a float it is exact, as an int64 it is one too many.
    if value.fract() != 0.0 || !(-TWO_POW_63..TWO_POW_63).contains(&value) {
        let fits = value.is_finite() && value.fract() == 0.0;
        return Err(if fits { Fault::range(value, "int64") } else { Fault::wrong(value, "an integer") });
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and in range, as was just checked")]
    let whole = value as i64;
    Ok(whole)
}

/// An integer as float64, if that is exact.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "what was lost is looked for")]
pub(super) fn float64_of_integer(value: i64) -> Result<f64, Fault> {
    let float = value as f64;
    if i128::from(value) == float as i128 { Ok(float) } else { Err(Fault::range(value, "float64 exactly")) }
}

/// An integer as float32, if that is exact.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "what was lost is looked for")]
pub(super) fn float32_of_integer(value: i64) -> Result<f32, Fault> {
    let float = value as f32;
    if i128::from(value) == float as i128 { Ok(float) } else { Err(Fault::range(value, "float32 exactly")) }
}

/// The nearest float32; only a finite number that would become infinite is refused.
pub(super) fn narrow(value: f64) -> Result<f32, Fault> {
    #[expect(clippy::cast_possible_truncation, reason = "rounding is what declaring float32 asks for")]
    let narrow = value as f32;
    if narrow.is_infinite() && value.is_finite() { Err(Fault::range(value, "float32")) } else { Ok(narrow) }
}

/// Ticks since the epoch, of which `per_second` make a second, as microseconds; finer ones are cut towards the past.
pub(super) fn microseconds(ticks: i64, per_second: i64) -> Result<i64, Fault> {
    if per_second > MICROSECONDS {
        return Ok(ticks.div_euclid(per_second / MICROSECONDS));
    }
    ticks.checked_mul(MICROSECONDS / per_second).ok_or_else(|| Fault::range(ticks, "a timestamp"))
}

/// Days since the epoch as microseconds at midnight UTC.
pub(super) fn midnight(days: i64) -> Result<i64, Fault> {
    days.checked_mul(86_400 * MICROSECONDS).ok_or_else(|| Fault::range(days, "a timestamp"))
}

const MICROSECONDS: i64 = 1_000_000;

const TWO_POW_63: f64 = 9_223_372_036_854_775_808.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_become_integers_only_when_whole_and_in_range() {
        assert_eq!(whole(3.0), Ok(3));
        assert_eq!(whole(-0.0), Ok(0));
        assert_eq!(whole(-TWO_POW_63), Ok(i64::MIN));
        for refused in [2.5, f64::NAN, f64::INFINITY, TWO_POW_63, 1e300] {
            assert!(whole(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn integers_become_floats_only_when_exact() {
        assert_eq!(float64_of_integer(1 << 53), Ok(9_007_199_254_740_992.0));
        assert!(float64_of_integer((1 << 53) + 1).is_err());
        assert!(float64_of_integer(i64::MAX).is_err());
        assert!(float64_of_integer(i64::MIN).is_ok());
        assert_eq!(float32_of_integer(1 << 24), Ok(16_777_216.0));
        assert!(float32_of_integer((1 << 24) + 1).is_err());
    }

    #[test]
    fn float64_rounds_to_float32_but_does_not_overflow() {
        assert_eq!(narrow(0.1), Ok(0.1));
        assert!(narrow(1e39).is_err());
        assert_eq!(narrow(f64::INFINITY), Ok(f32::INFINITY));
        assert!(narrow(f64::NAN).is_ok_and(f32::is_nan));
    }

    #[test]
    fn timestamps_of_every_unit() {
        assert_eq!(microseconds(2, 1), Ok(2_000_000));
        assert_eq!(microseconds(2, 1000), Ok(2_000));
        assert_eq!(microseconds(2, 1_000_000), Ok(2));
        assert_eq!(microseconds(2_999, 1_000_000_000), Ok(2));
        assert_eq!(microseconds(-1, 1_000_000_000), Ok(-1));
        assert!(microseconds(i64::MAX, 1).is_err());
        assert_eq!(midnight(1), Ok(86_400_000_000));
    }
}
