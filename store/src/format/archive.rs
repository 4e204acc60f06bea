//! The structured part of a segment, as an rkyv archive: the schema, so that a file can be read without its manifest.
//!
//! Flat arrays only, no strings, maps or shared pointers: validation then is a walk over a few numbers. This is the one
//! module that names rkyv, and it goes through rkyv's checking interface alone, so it needs no `unsafe`. The bytes are
//! trusted because their checksum matched; validation is the second line.

use rkyv::{Archive, Deserialize, Serialize, rancor, util::AlignedVec};

use crate::{
    limits::{TYPE_DEPTH_MAX, TYPES_MAX},
    schema::{ColumnType, Field, KeyPart, KeyType, Schema},
};

/// A schema as flat arrays: key parts first, then columns, nested types right after what they are nested in.
#[derive(Archive, Serialize, Deserialize)]
struct FlatSchema {
    key_parts: u16,
    types: Vec<FlatType>,
    /// All names one after the other.
    names: Vec<u8>,
}

#[derive(Archive, Serialize, Deserialize)]
struct FlatType {
    kind: u8,
    /// Fields of a struct, elements of an array, values of a map: how many types follow that are nested in this one.
    children: u16,
    name_end: u32,
}

const _: () = assert!(size_of::<ArchivedFlatType>() == 8, "the archive's layout is part of the format");
const _: () = assert!(size_of::<rkyv::vec::ArchivedVec<u8>>() == 8, "relative pointers have 32 bits");

/// A schema as the META region holds it. `None`: more types, names or nesting than the format has room for.
pub(crate) fn archive_schema(schema: &Schema) -> Option<AlignedVec> {
    let mut flat =
        FlatSchema { key_parts: u16::try_from(schema.key.len()).ok()?, types: Vec::new(), names: Vec::new() };
    for part in &schema.key {
        let kind = match part.key_type {
            KeyType::Int64 => INT64,
            KeyType::String => STRING,
        };
        flat.push(kind, 0, &part.name)?;
    }
    for column in &schema.columns {
        flat.push_field(column, TYPE_DEPTH_MAX)?;
    }
    rkyv::to_bytes::<rancor::Error>(&flat).ok()
}

/// The schema that the META region holds, if the bytes are sound.
pub(crate) fn read_schema(bytes: &[u8]) -> Option<Schema> {
    // Files are mapped at page boundaries and regions start at blocks, but this function takes any bytes.
    let mut aligned: AlignedVec = AlignedVec::with_capacity(bytes.len());
    aligned.extend_from_slice(bytes);
    let archived = rkyv::access::<ArchivedFlatSchema, rancor::Error>(&aligned).ok()?;
    let flat = rkyv::deserialize::<FlatSchema, rancor::Error>(archived).ok()?;
    let mut reader = Reader { flat: &flat, next: 0, name_start: 0 };
    let mut schema = Schema { key: Vec::new(), columns: Vec::new() };
    for _ in 0..flat.key_parts {
        let (flat_type, name) = reader.next_type()?;
        let key_type = match flat_type.kind {
            INT64 => KeyType::Int64,
            STRING => KeyType::String,
            _ => return None,
        };
        schema.key.push(KeyPart { name, key_type });
    }
    while reader.next < flat.types.len() {
        schema.columns.push(reader.next_field(TYPE_DEPTH_MAX)?);
    }
    Some(schema)
}

impl FlatSchema {
    fn push(&mut self, kind: u8, children: usize, name: &str) -> Option<()> {
        self.names.extend_from_slice(name.as_bytes());
        let name_end = u32::try_from(self.names.len()).ok()?;
        self.types.push(FlatType { kind, children: u16::try_from(children).ok()?, name_end });
        (self.types.len() <= TYPES_MAX).then_some(())
    }

    fn push_field(&mut self, field: &Field, depth: usize) -> Option<()> {
        self.push_type(&field.name, &field.column_type, depth)
    }

    fn push_type(&mut self, name: &str, column_type: &ColumnType, depth: usize) -> Option<()> {
        let deeper = depth.checked_sub(1)?;
        match column_type {
            ColumnType::Boolean => self.push(BOOLEAN, 0, name),
            ColumnType::Int64 => self.push(INT64, 0, name),
            ColumnType::Float32 => self.push(FLOAT32, 0, name),
            ColumnType::Float64 => self.push(FLOAT64, 0, name),
            ColumnType::String => self.push(STRING, 0, name),
            ColumnType::Timestamp => self.push(TIMESTAMP, 0, name),
            ColumnType::Binary => self.push(BINARY, 0, name),
            ColumnType::Array(element) => {
                self.push(ARRAY, 1, name)?;
                self.push_type("", element, deeper)
            }
            ColumnType::Map(value) => {
                self.push(MAP, 1, name)?;
                self.push_type("", value, deeper)
            }
            ColumnType::Struct(fields) => {
                self.push(STRUCT, fields.len(), name)?;
                fields.iter().try_for_each(|field| self.push_field(field, deeper))
            }
        }
    }
}

struct Reader<'f> {
    flat: &'f FlatSchema,
    next: usize,
    name_start: usize,
}

impl<'f> Reader<'f> {
    fn next_type(&mut self) -> Option<(&'f FlatType, String)> {
        let flat_type = self.flat.types.get(self.next)?;
        let name_end = flat_type.name_end as usize;
        let name = str::from_utf8(self.flat.names.get(self.name_start..name_end)?).ok()?.to_owned();
        self.next += 1;
        self.name_start = name_end;
        Some((flat_type, name))
    }

    fn next_field(&mut self, depth: usize) -> Option<Field> {
        let deeper = depth.checked_sub(1)?;
        let (flat_type, name) = self.next_type()?;
        let column_type = match flat_type.kind {
            BOOLEAN => ColumnType::Boolean,
            INT64 => ColumnType::Int64,
            FLOAT32 => ColumnType::Float32,
            FLOAT64 => ColumnType::Float64,
            STRING => ColumnType::String,
            TIMESTAMP => ColumnType::Timestamp,
            BINARY => ColumnType::Binary,
            ARRAY => ColumnType::Array(Box::new(self.next_field(deeper)?.column_type)),
            MAP => ColumnType::Map(Box::new(self.next_field(deeper)?.column_type)),
            STRUCT => {
                let fields = (0..flat_type.children).map(|_| self.next_field(deeper)).collect::<Option<_>>()?;
                ColumnType::Struct(fields)
            }
            _ => return None,
        };
        Some(Field { name, column_type })
    }
}

const BOOLEAN: u8 = 1;
const INT64: u8 = 2;
const FLOAT32: u8 = 3;
const FLOAT64: u8 = 4;
const STRING: u8 = 5;
const TIMESTAMP: u8 = 6;
const ARRAY: u8 = 7;
const STRUCT: u8 = 8;
const MAP: u8 = 9;
const BINARY: u8 = 10;
