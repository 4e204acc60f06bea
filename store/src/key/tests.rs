//! Keys: distinct parts give distinct bytes, and come back.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Int64(i64),
    String(Vec<u8>),
}

fn encode(parts: &[Part]) -> (Vec<KeyType>, Option<Vec<u8>>) {
    let of = |part: &Part| if matches!(part, Part::Int64(_)) { KeyType::Int64 } else { KeyType::String };
    let types: Vec<KeyType> = parts.iter().map(of).collect();
    let mut out = Vec::new();
    let mut writer = KeyWriter::new(&types, &mut out);
    for part in parts {
        match part {
            Part::Int64(value) => writer.int64(*value),
            Part::String(value) => writer.string(value),
        }
    }
    let whole = writer.finish();
    (types, whole.then_some(out))
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let part = prop_oneof![
        any::<i64>().prop_map(Part::Int64),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Part::String),
    ];
    proptest::collection::vec(part, 1..5)
}

proptest! {
    #[test]
    fn parts_come_back(parts in parts()) {
        let (types, key) = encode(&parts);
        let key = key.unwrap();
        let mut reader = KeyReader::new(&types, &key);
        let back: Vec<Part> = reader.by_ref().map(|part| match part {
            KeyPartRef::Int64(value) => Part::Int64(value),
            KeyPartRef::String(value) => Part::String(value.to_vec()),
        }).collect();
        prop_assert_eq!(back, parts);
        prop_assert!(reader.is_done());
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(parts in parts(), key in proptest::collection::vec(any::<u8>(), 0..40)) {
        let (types, _) = encode(&parts);
        prop_assert!(KeyReader::new(&types, &key).count() <= types.len());
    }
}

#[test]
fn a_single_string_is_its_bytes() {
    assert_eq!(encode(&[Part::String(b"user_000001".to_vec())]).1.unwrap(), b"user_000001");
}

#[test]
fn a_key_too_long_is_taken_back() {
    let mut out = b"before".to_vec();
    let mut writer = KeyWriter::new(&[KeyType::String], &mut out);
    writer.string(&[0; KEY_BYTES_MAX + 1]);
    assert!(!writer.finish());
    assert_eq!(out, b"before");
    assert!(encode(&[Part::String(vec![0; KEY_BYTES_MAX])]).1.is_some());
    assert!(encode(&[Part::String(vec![0; 70_000]), Part::Int64(1)]).1.is_none());
}
