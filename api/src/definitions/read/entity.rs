//! `[entities.…]`.

use gannet_store::KeyType;
use toml_edit::Item;

use super::section::{Reader, Section};
use crate::definitions::{
    declared::EntityDeclared,
    error::quoted,
    faults::{Place, Reported, Spanned},
    limits::JOIN_KEYS_MAX,
    model::JoinKey,
    names::NameKind,
    suggest,
};

/// Every key of an entity.
pub(super) const ENTITY_KEYS: [&str; 3] = ["join_keys", "description", "tags"];

pub(super) fn read(reader: &mut Reader<'_, '_>, section: &Section<'_>, name: Spanned<String>) -> EntityDeclared {
    section.only(reader, &ENTITY_KEYS, &[]);
    EntityDeclared { heading: section.heading(reader, name), join_keys: join_keys(reader, section).ok() }
}

fn join_keys(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> Result<Vec<JoinKey>, Reported> {
    let Some(item) = section.table.get("join_keys") else {
        return Err(section.missing(reader, "join_keys", EXPECTED));
    };
    let (keys, mut outcome) = if let Some(table) = item.as_table_like() {
        let keys: Vec<_> = table
            .iter()
            .map(|(name, item)| {
                let place = reader.key_place(table, name).unwrap_or(section.place);
                join_key(reader, section, Spanned { value: name.to_owned(), place }, item)
            })
            .collect();
        (keys, Ok(()))
    } else if let Some((tables, outcome)) = section.tables(reader, "join_keys", item, "a join key", EXPECTED) {
        (tables.iter().map(|table| join_key_table(reader, table)).collect(), outcome)
    } else {
        return Err(section.unfit(reader, "join_keys", item, EXPECTED));
    };
    let place = section.key_place(reader, "join_keys");
    if keys.len() > JOIN_KEYS_MAX {
        let what = format!("join keys in {}", section.owner);
        return Err(reader.faults.report_limit(place, &what, keys.len(), ("JOIN_KEYS_MAX", JOIN_KEYS_MAX)));
    }
    if keys.is_empty() && outcome.is_ok() {
        return Err(reader.faults.report(place, format!("no join keys in {}", section.owner), EXPECTED));
    }
    let mut unique: Vec<JoinKey> = Vec::new();
    for key in keys {
        match key {
            Ok(key) if unique.iter().any(|other| other.name == key.value.name) => {
                let found = format!("the join key {} twice in {}", quoted(&key.value.name), section.owner);
                outcome = Err(reader.faults.report(key.place, found, "each name once"));
            }
            Ok(key) => unique.push(key.value),
            Err(reported) => outcome = Err(reported),
        }
    }
    outcome.map(|()| unique)
}

/// `{ name = "tail_number", type = "string" }`
fn join_key_table(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> Result<Spanned<JoinKey>, Reported> {
    section.only(reader, &["name", "type"], &[]);
    let name = section.required(reader, "name", EXPECTED)?;
    match section.table.get("type") {
        Some(item) => join_key(reader, section, name, item),
        None => Err(section.missing(reader, "type", TYPES)),
    }
}

fn join_key(
    reader: &mut Reader<'_, '_>,
    section: &Section<'_>,
    name: Spanned<String>,
    item: &Item,
) -> Result<Spanned<JoinKey>, Reported> {
    let legal = reader.name(NameKind::Column, "a join key", &name.value, name.place);
    let what = format!("the join key {} of {}", quoted(&name.value), section.owner);
    let word = reader.text_of(item, &what, TYPES, name.place)?;
    let key_type = key_type(reader, &what, &word.value, word.place)?;
    legal?;
    Ok(Spanned { value: JoinKey { name: name.value, key_type }, place: name.place })
}

fn key_type(reader: &mut Reader<'_, '_>, what: &str, word: &str, place: Place) -> Result<KeyType, Reported> {
    match word {
        "int64" => Ok(KeyType::Int64),
        "string" => Ok(KeyType::String),
        _ => {
            let help = match word {
                "int" | "int32" | "integer" | "long" => Some("use int64".to_owned()),
                _ => suggest::did_you_mean(word, ["int64", "string"]),
            };
            let found = format!("the type {} for {what}", quoted(word));
            Err(reader.faults.report_with_help(place, found, TYPES, help))
        }
    }
}

const EXPECTED: &str = "at least one join key, such as `join_keys = { user_id = \"string\" }`";
const TYPES: &str = "one of: int64, string";
