//! Newline-delimited JSON: one object a line. A member that is missing is null; members that no slot wants are passed over.

use std::{collections::HashMap, fmt, path::PathBuf};

use anyhow::Result;
use gannet_store::{ColumnType, Value};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value as Json;

use super::{
    blocks::{Block, Blocks, Body, Ends},
    fault::{Fault, Position, Reason},
    json,
    progress::Progress,
    rows::{Record, Rows},
    shape::Shape,
    text,
};

/// The files of one source, their lines cut into blocks.
#[derive(Debug)]
pub(super) struct NdjsonSource(Blocks);

impl NdjsonSource {
    pub(super) fn new(paths: &[PathBuf], block_bytes: usize) -> Self {
        let body = |path: &PathBuf| Body { path: path.clone(), first_byte: 0, first_line: 1 };
        Self(Blocks::new(paths.iter().map(body).collect(), Ends::Line, block_bytes, LINE_BYTES_MAX))
    }

    /// Takes blocks until there are none left. Called by every worker.
    pub(super) fn read(&self, rows: &mut Rows<'_>, shape: &Shape, progress: &Progress) -> Result<()> {
        let members = Members::of(shape);
        let mut object = Object { values: vec![Json::Null; members.count], slots: &members.slots };
        let mut block = Block::default();
        while self.0.next(&mut block)? {
            for (line, number) in block.bytes.split(|byte| *byte == b'\n').zip(block.first_line..) {
                let text = line.trim_ascii();
                if text.is_empty() {
                    continue; // a blank line is no record; after the last newline of a block there is none either
                }
                let position = Position::Line(number);
                let parsed =
                    if block.is_too_long { Err(line_too_long()) } else { members.parse(text, &mut object.values) };
                match parsed {
                    Ok(()) => rows.take(&object, block.file, number, position)?,
                    Err(fault) => rows.refuse(block.file, position, fault),
                }
            }
            progress.advance(block.taken);
        }
        Ok(())
    }
}

fn line_too_long() -> Fault {
    Fault::new(Reason::Malformed, format_args!("the line has more than {LINE_BYTES_MAX} bytes"))
}

/// The members that a view wants of each object.
struct Members<'s> {
    by_name: HashMap<&'s str, usize>,
    count: usize,
    /// For each slot, which member it is.
    slots: Vec<usize>,
}

impl<'s> Members<'s> {
    fn of(shape: &'s Shape) -> Self {
        let mut by_name: HashMap<&str, usize> = HashMap::new();
        let mut slots = Vec::new();
        for slot in &shape.slots {
            let next = by_name.len();
            slots.push(*by_name.entry(&slot.column).or_insert(next));
        }
        Self { count: by_name.len(), by_name, slots }
    }

    fn parse(&self, text: &[u8], values: &mut [Json]) -> Result<(), Fault> {
        values.fill(Json::Null);
        let malformed = |e: serde_json::Error| Fault::new(Reason::Malformed, format_args!("not a JSON object: {e}"));
        let mut deserializer = serde_json::Deserializer::from_str(text::utf8(text)?);
        Wanted { members: self, values }.deserialize(&mut deserializer).map_err(malformed)?;
        deserializer.end().map_err(malformed)
    }
}

/// Fills `values` from one object.
struct Wanted<'m, 's> {
    members: &'m Members<'s>,
    values: &'m mut [Json],
}

impl<'de> DeserializeSeed<'de> for Wanted<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        // Keys come borrowed unless they hold escapes; either way they are only looked up.
        while let Some(member) = map.next_key_seed(Name(&self.members.by_name))? {
            match member {
                Some(at) => self.values[at] = map.next_value()?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// A member's name, looked up without being copied.
struct Name<'m, 's>(&'m HashMap<&'s str, usize>);

impl<'de> DeserializeSeed<'de> for Name<'_, '_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_, '_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.get(name).copied())
    }
}

/// One line, parsed.
struct Object<'m> {
    values: Vec<Json>,
    slots: &'m [usize],
}

impl Object<'_> {
    fn member<'j, T>(
        &'j self,
        slot: usize,
        read: impl FnOnce(&'j Json) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        let json = &self.values[self.slots[slot]];
        if json.is_null() { Ok(None) } else { read(json).map(Some) }
    }
}

impl Record for Object<'_> {
    fn boolean(&self, slot: usize) -> Result<Option<bool>, Fault> {
        self.member(slot, json::boolean)
    }

    fn int64(&self, slot: usize) -> Result<Option<i64>, Fault> {
        self.member(slot, json::int64)
    }

    fn float32(&self, slot: usize) -> Result<Option<f32>, Fault> {
        self.member(slot, json::float32)
    }

    fn float64(&self, slot: usize) -> Result<Option<f64>, Fault> {
        self.member(slot, json::float64)
    }

    fn timestamp(&self, slot: usize) -> Result<Option<i64>, Fault> {
        self.member(slot, json::timestamp)
    }

    fn string(&self, slot: usize) -> Result<Option<&str>, Fault> {
        self.member(slot, json::string)
    }

    fn nested(&self, slot: usize, column_type: &ColumnType) -> Result<Value, Fault> {
        json::value(&self.values[self.slots[slot]], column_type)
    }
}

/// Four times the longest row; what is longer is not held in memory.
const LINE_BYTES_MAX: usize = 4 << 20;
