//! Sketches by themselves.

use datasketches::{
    hash::value::raw_bytes,
    hll::{HllSketch, HllType},
};

use super::{Digest, Distinct, distinct::DistinctRef};

fn bytes(distinct: &Distinct) -> Vec<u8> {
    let mut out = Vec::new();
    distinct.encode(&mut out);
    out
}

fn of(precision: u8, values: impl Iterator<Item = i64>) -> Distinct {
    let mut distinct = Distinct::new(precision);
    values.for_each(|value| distinct.add_integer(value));
    distinct
}

/// Ours beside the crate's own, over every form that it goes through.
#[test]
fn estimates_are_those_of_the_crate() {
    for precision in 4..=16 {
        let mut theirs = HllSketch::new(precision, HllType::Hll8).unwrap();
        let mut ours = Distinct::new(precision);
        for value in 0..20_000i64 {
            theirs.update(value);
            ours.add_integer(value);
            if value % 997 == 0 || value < 100 {
                let (theirs, ours) = (theirs.composite_estimate().round(), ours.estimate() as f64);
                assert!((theirs - ours).abs() <= 1.0, "precision {precision}, value {value}: {theirs} and {ours}");
            }
        }
    }
}

#[test]
fn texts_are_hashed_as_their_bytes() {
    let mut theirs = HllSketch::new(8, HllType::Hll8).unwrap();
    theirs.update(raw_bytes::from_str("apple"));
    let mut ours = Distinct::new(8);
    ours.add_bytes(b"apple");
    // One value: a byte that says sparse, and what their image has behind its head of 8 bytes.
    assert_eq!(bytes(&ours)[1..], theirs.serialize()[8..]);
    // Pinned: the hash must be the same in every version of the crate, or counts of old and new tiles do not add up.
    assert_eq!(bytes(&ours), [1, 132, 20, 182, 8]);
}

#[test]
fn the_same_values_have_the_same_bytes_whatever_the_way() {
    for precision in [4, 8, 11] {
        for count in [0, 1, 7, 8, 24, 25, 300, 3000] {
            let all = of(precision, 0..count);
            let backwards = of(precision, (0..count).rev());
            let mut merged = of(precision, 0..count / 3);
            merged.absorb(&of(precision, count / 4..count));
            let read = bytes(&all);
            let mut copied = Distinct::new(precision);
            copied.merge(DistinctRef::parse(&read, precision).unwrap());
            for other in [backwards, merged, copied] {
                assert_eq!(bytes(&other), read, "{count} at {precision}");
                assert_eq!(other.estimate(), all.estimate());
            }
        }
    }
}

#[test]
fn bytes_that_no_sketch_has_are_refused() {
    let check = |bytes: &[u8], sound: bool| assert_eq!(DistinctRef::parse(bytes, 4).is_some(), sound, "{bytes:?}");
    let dense = |rank: u8| [&[2][..], &[rank; 16]].concat();
    check(&[], true);
    check(&[1], true);
    check(&[1, 0, 0, 0, 4], true);
    check(&[1, 0, 0, 0, 3], false); // rank 0
    check(&[1, 0, 0, 0, 4, 0], false);
    check(&[1, 1, 0, 0, 4, 0, 0, 0, 4], false); // not ascending
    check(&[&[1][..], &[0, 0, 0, 4, 1, 0, 0, 4].repeat(5)].concat(), false);
    check(&dense(63), true);
    check(&dense(64), false);
    check(&dense(1)[1..], false);
    check(&[3], false);
}

#[test]
fn digests_are_read_as_they_were_written() {
    let mut digest = Digest::new(100);
    (0..5000).for_each(|value| digest.add(f64::from(value)));
    let mut out = Vec::new();
    digest.encode(&mut out);
    let mut read = Digest::parse(&out, 100).unwrap();
    assert_eq!(read.quantile(0.25), digest.quantile(0.25));
    assert!(Digest::parse(&out, 200).is_none(), "of another precision");
    assert!(Digest::parse(&out[..out.len() - 1], 100).is_none());
    assert!(Digest::parse(&[0; 32], 100).is_none(), "an older form");
    assert_eq!(Digest::parse(&[], 100).unwrap().quantile(0.5), None);
    // A weight that no tile has.
    let weight = out.len() - 8;
    out[weight..].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(Digest::parse(&out, 100).is_none());
}
