//! API keys: who may ask.
//!
//! A key is `gannet_<env>_<id>_<secret>_<checksum>`: prefix and checksum are for secret scanners and for people who
//! mistype. It holds 256 random bits, so one SHA-256 is all the stretching it needs; only that is stored. Any other
//! string may be made a key as well (development servers use `quickstart`), so a key is found by the hash of the whole
//! presented string. An unknown key costs the same work as a known one.
//!
//! Secrets are never logged, stored or quoted; what names a key anywhere is its id.

mod roles;

use std::{fmt::Write as _, num::NonZeroU32};

use gannet_engine::admission::Criticality;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

pub use self::roles::{Role, Roles};
use crate::budget::LatencyBudget;

/// Random bytes that [`create_key`] needs.
pub const KEY_RANDOM_BYTES: usize = 38;

/// One key as the table stores it. The secret is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Names the key to people; unique within a table.
    pub id: String,
    /// SHA-256 of the whole key as it is presented, as 64 lower-case hex digits.
    pub sha256: String,
    pub description: String,
    /// Microseconds since the Unix epoch.
    pub created_at_us: i64,
    /// Microseconds since the Unix epoch; refused from then on. `None` is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_us: Option<i64>,
    /// Refused, but kept so that the file tells what happened.
    #[serde(default)]
    pub revoked: bool,
    /// For requests with this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_budget: Option<LatencyBudget>,
    /// The most that requests with this key can be; what they say themselves may only lower it. `None`: they are believed.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "label")]
    pub criticality: Option<Criticality>,
    /// How many requests with this key may be in progress in a process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency_max: Option<NonZeroU32>,
    /// What it may do. A record of before there were roles may read everywhere.
    #[serde(default, skip_serializing_if = "Roles::is_default")]
    pub roles: Roles,
}

impl KeyRecord {
    /// The record of any string that is to be a key, for example the development key `quickstart`. The id is the key's
    /// own if it has our form, else it is made of the hash.
    pub fn of(key: &str, description: &str, created_at_us: i64) -> Self {
        let hash = sha256(key.as_bytes());
        let id = match id_of(key) {
            Some(id) => id.to_owned(),
            None => format!("k{}", hex(&hash[..5])),
        };
        Self {
            id,
            sha256: hex(&hash),
            description: description.to_owned(),
            created_at_us,
            expires_at_us: None,
            revoked: false,
            latency_budget: None,
            criticality: None,
            concurrency_max: None,
            roles: Roles::default(),
        }
    }
}

/// Makes a new key of [`KEY_RANDOM_BYTES`] random bytes: the key itself, to be shown once, and its record.
/// `environment` becomes part of the key; what is not a lower-case letter or a digit is left out of it.
pub fn create_key(
    random: &[u8; KEY_RANDOM_BYTES],
    environment: &str,
    description: &str,
    created_at_us: i64,
) -> (String, KeyRecord) {
    let environment: String = environment.chars().filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit()).collect();
    let (id, secret) = random.split_at(6);
    let mut key = format!("gannet_{environment}_{}_{}", base62(id, 9), base62(secret, 43));
    let sum = checksum(&key);
    key.push('_');
    key.push_str(&sum);
    let record = KeyRecord::of(&key, description, created_at_us);
    (key, record)
}

/// Whether a string of our form was mistyped (its checksum does not match). Strings of other forms never are.
pub fn is_mistyped(key: &str) -> bool {
    key.starts_with("gannet_") && id_of(key).is_none()
}

/// All keys. Immutable: a change is a new table, given to [`crate::Shared::set_keys`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyTable {
    records: Vec<KeyRecord>,
    /// Hash and place in `records`, sorted by hash.
    by_hash: Vec<([u8; 32], u32)>,
}

/// Why a `keys` file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    #[error("not a key table: {0}")]
    Json(#[from] serde_json::Error),
    #[error("key table of format {0}, this program reads 1")]
    Format(u32),
    #[error("key {id}: sha256 must be 64 lower-case hex digits")]
    Hash { id: String },
    #[error("key {id} is there twice")]
    Twice { id: String },
    #[error("key {id}: a latency budget of {us} µs; expected {}", LatencyBudget::EXPECTED)]
    Budget { id: String, us: u32 },
}

#[derive(Serialize, Deserialize)]
struct KeysFile {
    format: u32,
    keys: Vec<KeyRecord>,
}

impl KeyTable {
    /// A table of these records; ids and hashes must be unique.
    pub fn new(records: Vec<KeyRecord>) -> Result<Self, KeysError> {
        let mut by_hash = Vec::with_capacity(records.len());
        for (place, record) in (0u32..).zip(&records) {
            let hash = unhex(&record.sha256).ok_or_else(|| KeysError::Hash { id: record.id.clone() })?;
            by_hash.push((hash, place));
            if let Some(LatencyBudget { us, .. }) =
                record.latency_budget.filter(|set| !LatencyBudget::is_in_range(set.us))
            {
                return Err(KeysError::Budget { id: record.id.clone(), us });
            }
        }
        by_hash.sort_unstable();
        let mut ids: Vec<&str> = records.iter().map(|record| record.id.as_str()).collect();
        ids.sort_unstable();
        if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(KeysError::Twice { id: pair[0].to_owned() });
        }
        if let Some(pair) = by_hash.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(KeysError::Twice { id: records[pair[1].1 as usize].id.clone() });
        }
        Ok(Self { records, by_hash })
    }

    /// Reads a `keys` file: `{"format":1,"keys":[…]}`.
    pub fn parse(file: &[u8]) -> Result<Self, KeysError> {
        let file: KeysFile = serde_json::from_slice(file)?;
        if file.format != 1 { Err(KeysError::Format(file.format)) } else { Self::new(file.keys) }
    }

    /// Writes a `keys` file, one member a line.
    pub fn serialise(&self) -> Result<Vec<u8>, KeysError> {
        let mut text = serde_json::to_vec_pretty(&KeysFile { format: 1, keys: self.records.clone() })?;
        text.push(b'\n');
        Ok(text)
    }

    /// In the order of the file.
    pub fn records(&self) -> &[KeyRecord] {
        &self.records
    }

    /// Checks the value of an `Authorization` header: `Tecton-key <key>` or `Bearer <key>`, the scheme in any case. Whoever is let
    /// in gets what is set for the key.
    pub(crate) fn check(&self, header: Option<&[u8]>, unix_us: i64) -> Result<Granted, Denied> {
        let Some(header) = header else { return Err(Denied::Missing) };
        let Some(key) = presented(header) else { return Err(Denied::Undecodable) };
        let hash = sha256(key);
        // Order leaks at most how many bits of a hash match, and nobody can choose a hash.
        let place = self.by_hash.partition_point(|(known, _)| known < &hash);
        let (known, place, record) = match self.by_hash.get(place) {
            Some((known, place)) => (known, *place as usize, self.records.get(*place as usize)),
            None => (&[0; 32], 0, None),
        };
        let same = bool::from(known.ct_eq(&hash));
        match record.filter(|_| same) {
            None => Err(Denied::Unknown),
            Some(record) if record.revoked => Err(Denied::Revoked),
            Some(record) if record.expires_at_us.is_some_and(|at| at <= unix_us) => Err(Denied::Expired),
            Some(record) => Ok(Granted {
                place,
                budget: record.latency_budget,
                criticality: record.criticality,
                concurrency_max: record.concurrency_max,
                everywhere: record.roles.of_every(),
            }),
        }
    }
}

/// What the key of a request that was let in brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Granted {
    /// The key's position in [`KeyTable::records`].
    pub(crate) place: usize,
    pub(crate) budget: Option<LatencyBudget>,
    criticality: Option<Criticality>,
    pub(crate) concurrency_max: Option<NonZeroU32>,
    /// Its role in every workspace: what most keys have, and all that most requests look at.
    everywhere: Option<Role>,
}

impl Granted {
    /// Whether the key has this role in this workspace. `keys` is the table that let it in.
    #[inline]
    pub(crate) fn may(self, keys: &KeyTable, workspace: &[u8], role: Role) -> bool {
        self.everywhere >= Some(role) || self.may_there(keys, workspace, role)
    }

    #[cold]
    fn may_there(self, keys: &KeyTable, workspace: &[u8], role: Role) -> bool {
        let (record, workspace) = (keys.records.get(self.place), std::str::from_utf8(workspace));
        matches!((record, workspace), (Some(record), Ok(workspace)) if record.roles.may_in(workspace, role))
    }

    /// What a request is that says this of itself: the less critical of the two, since the least critical is the greatest.
    pub(crate) fn criticality(self, said: Option<Criticality>) -> Criticality {
        self.criticality.max(said).unwrap_or(Criticality::Default)
    }
}

/// Criticalities by their labels.
mod label {
    use gannet_engine::admission::Criticality;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[expect(clippy::ref_option, reason = "the signature that serde calls")]
    pub(super) fn serialize<S: Serializer>(of: &Option<Criticality>, serializer: S) -> Result<S::Ok, S::Error> {
        match of {
            Some(criticality) => serializer.serialize_str(criticality.label()),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Option<Criticality>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        let unknown =
            || D::Error::custom(format_args!("criticality `{text}`; expected critical, default or sheddable"));
        Criticality::from_label(text.as_bytes()).map(Some).ok_or_else(unknown)
    }
}

/// Why a request was not let in. The caller is told the same in every case; the counters tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    Missing,
    Undecodable,
    Unknown,
    Expired,
    Revoked,
}

/// The key in `<scheme> <key>`, if the scheme is one of ours.
fn presented(header: &[u8]) -> Option<&[u8]> {
    let space = header.iter().position(|&byte| byte == b' ')?;
    let (scheme, key) = header.split_at(space);
    let key = key.trim_ascii();
    let ours = scheme.eq_ignore_ascii_case(b"Tecton-key") || scheme.eq_ignore_ascii_case(b"Bearer");
    (ours && !key.is_empty()).then_some(key)
}

/// The id within a key of our form whose checksum is right.
fn id_of(key: &str) -> Option<&str> {
    let (body, sum) = key.rsplit_once('_')?;
    let mut parts = body.split('_');
    let (prefix, _environment, id, secret) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let whole = prefix == "gannet" && !id.is_empty() && !secret.is_empty() && parts.next().is_none();
    (whole && checksum(body) == sum).then_some(id)
}

fn checksum(body: &str) -> String {
    base62(&sha256(body.as_bytes())[..4], 6)
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The number that these bytes spell, big end first, in exactly `digits` digits of base 62.
fn base62(bytes: &[u8], digits: usize) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut number = bytes.to_vec();
    let mut text = vec![b'0'; digits];
    for place in text.iter_mut().rev() {
        let mut rest = 0u32;
        for byte in &mut number {
            let dividend = (rest << 8) | u32::from(*byte);
            *byte = (dividend / 62).to_le_bytes()[0]; // below 256: rest is below 62
            rest = dividend % 62;
        }
        *place = DIGITS[rest as usize];
    }
    text.into_iter().map(char::from).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: LatencyBudget = LatencyBudget { us: 20_000, cap: true };

    fn table() -> (KeyTable, String) {
        let (key, record) = create_key(&[7; KEY_RANDOM_BYTES], "prod", "ci", 1);
        let mut gone = KeyRecord::of("gone", "", 1);
        gone.revoked = true;
        let mut old = KeyRecord::of("old", "", 1);
        old.expires_at_us = Some(100);
        old.latency_budget = Some(BUDGET);
        (KeyTable::new(vec![record, KeyRecord::of("quickstart", "", 1), gone, old]).unwrap(), key)
    }

    #[test]
    fn a_new_key_has_our_form_and_carries_its_id() {
        let (key, record) = create_key(&[0xff; KEY_RANDOM_BYTES], "Prod-1", "ci", 5);
        assert!(key.starts_with("gannet_rod1_"), "{key}");
        assert_eq!(id_of(&key), Some(record.id.as_str()));
        assert_eq!(key.len(), "gannet_rod1_".len() + 9 + 1 + 43 + 1 + 6);
        assert!(!is_mistyped(&key));
        assert!(is_mistyped(&key.replace("rod1", "rod2")));
        assert!(!format!("{record:?}").contains(key.split('_').nth(3).unwrap()));
    }

    #[test]
    fn keys_are_let_in_by_either_scheme_in_any_case() {
        let (table, key) = table();
        let check = |header: &str, expected| {
            let budget = table.check(Some(header.as_bytes()), 50).map(|granted| granted.budget);
            assert_eq!(budget, expected, "{header}");
        };
        check(&format!("Tecton-key {key}"), Ok(None));
        check(&format!("bearer   {key}"), Ok(None));
        check("TECTON-KEY quickstart", Ok(None));
        check("Tecton-key old", Ok(Some(BUDGET)));
        check("Tecton-key gone", Err(Denied::Revoked));
        check("Tecton-key other", Err(Denied::Unknown));
        check("Tecton-key quickstart x", Err(Denied::Unknown));
        check("Basic quickstart", Err(Denied::Undecodable));
        check("quickstart", Err(Denied::Undecodable));
        check("Tecton-key ", Err(Denied::Undecodable));
        assert_eq!(table.check(Some(b"Tecton-key old"), 100), Err(Denied::Expired));
        assert_eq!(table.check(None, 0), Err(Denied::Missing));
        assert_eq!(KeyTable::default().check(Some(b"Tecton-key x"), 0), Err(Denied::Unknown));
    }

    #[test]
    fn a_key_may_what_its_roles_say() {
        let mut one = KeyRecord::of("one", "", 0);
        one.roles = Roles::none();
        one.roles.add(Some("prod"), Role::Editor);
        let table = KeyTable::new(vec![KeyRecord::of("old", "", 0), one]).unwrap();
        let table = KeyTable::parse(&table.serialise().unwrap()).unwrap();
        let check = |key: &str, workspace: &str, role, expected| {
            let granted = table.check(Some(format!("Bearer {key}").as_bytes()), 0).unwrap();
            assert_eq!(granted.may(&table, workspace.as_bytes(), role), expected, "{key} in {workspace}");
        };
        check("old", "prod", Role::Consumer, true);
        check("old", "prod", Role::Editor, false);
        check("one", "prod", Role::Editor, true);
        check("one", "prod", Role::Admin, false);
        check("one", "test", Role::Viewer, false);
        check("one", "*", Role::Viewer, false);
    }

    #[test]
    fn a_request_may_be_less_critical_than_its_key_and_never_more() {
        use Criticality::{Critical, Default as Ordinary, Sheddable};
        let check = |key, said, expected| {
            let mut record = KeyRecord::of("k", "", 0);
            record.criticality = key;
            let table = KeyTable::parse(&KeyTable::new(vec![record]).unwrap().serialise().unwrap()).unwrap();
            let granted = table.check(Some(b"Bearer k"), 0).unwrap();
            assert_eq!(granted.criticality(said), expected, "{key:?} {said:?}");
        };
        check(None, None, Ordinary);
        for said in Criticality::ALL {
            check(None, Some(said), said);
            check(Some(said), None, said);
            check(Some(Critical), Some(said), said);
            check(Some(Sheddable), Some(said), Sheddable);
        }
        check(Some(Ordinary), Some(Critical), Ordinary);
        check(Some(Ordinary), Some(Sheddable), Sheddable);
    }

    /// As releases before budgets wrote it.
    #[test]
    fn a_file_without_budgets_is_read_and_written_as_it_was() {
        let hash = "0".repeat(64);
        let file = format!(
            "{{\n  \"format\": 1,\n  \"keys\": [\n    {{\n      \"id\": \"a\",\n      \"sha256\": \"{hash}\",\n      \
             \"description\": \"\",\n      \"created_at_us\": 0,\n      \"revoked\": false\n    }}\n  ]\n}}\n"
        );
        let table = KeyTable::parse(file.as_bytes()).unwrap();
        let KeyRecord { latency_budget: None, criticality: None, concurrency_max: None, .. } = table.records()[0]
        else {
            panic!("{table:?}");
        };
        assert_eq!(String::from_utf8(table.serialise().unwrap()).unwrap(), file);
    }

    #[test]
    fn a_table_survives_its_file_and_faulty_files_are_refused() {
        let (table, _) = table();
        assert_eq!(KeyTable::parse(&table.serialise().unwrap()).unwrap(), table);
        let check = |file: &str, expected: &str| {
            let error = KeyTable::parse(file.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("{", "not a key table");
        check(r#"{"format":2,"keys":[]}"#, "format 2");
        check(r#"{"format":1,"keys":[{"id":"a","sha256":"XX","description":"","created_at_us":0}]}"#, "key a: sha256");
        let with_budget = |us: u32| {
            let hash = "0".repeat(64);
            format!(
                r#"{{"format":1,"keys":[{{"id":"a","sha256":"{hash}","description":"","created_at_us":0,"latency_budget":{{"us":{us}}}}}]}}"#
            )
        };
        check(&with_budget(99), "key a: a latency budget of 99 µs; expected");
        check(&with_budget(60_000_001), "key a: a latency budget of 60000001 µs");
        let table = KeyTable::parse(with_budget(100).as_bytes()).unwrap();
        assert_eq!(table.records()[0].latency_budget, Some(LatencyBudget { us: 100, cap: false }));
        let with =
            |member: &str| with_budget(100).replace("\"latency_budget\"", &format!("{member},\"latency_budget\""));
        check(&with(r#""criticality":"high""#), "criticality `high`; expected critical, default or sheddable");
        check(&with(r#""concurrency_max":0"#), "not a key table");
        let table = KeyTable::parse(with(r#""criticality":"sheddable","concurrency_max":7"#).as_bytes()).unwrap();
        assert_eq!(table.records()[0].criticality, Some(Criticality::Sheddable));
        assert_eq!(table.records()[0].concurrency_max, NonZeroU32::new(7));
        let record = KeyRecord::of("k", "", 0);
        assert!(matches!(KeyTable::new(vec![record.clone(), record]), Err(KeysError::Twice { .. })));
    }
}
