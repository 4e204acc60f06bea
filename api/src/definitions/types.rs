//! Feature types as text: `int64`, `array<string>`, `struct<lat:float64,lon:float64>`, `map<string,float64>`.

use std::ops::Range;

use gannet_store::{ColumnType, Field};

use super::{
    error::quoted,
    limits::{STRUCT_FIELDS_MAX, TYPE_BYTES_MAX, TYPE_DEPTH_MAX},
    names::{self, NameKind},
    suggest,
};

/// Why a text is no type, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TypeFault {
    pub(super) at: Range<usize>,
    pub(super) found: String,
    pub(super) expected: String,
    pub(super) help: Option<String>,
}

/// Reads a type. Spaces between its parts carry no meaning.
pub(super) fn parse(text: &str) -> Result<ColumnType, TypeFault> {
    let mut parser = Parser { text, at: 0 };
    if text.len() > TYPE_BYTES_MAX {
        let found = format!("a type of {} bytes", text.len());
        return Err(parser.fault(0..1, found, format!("at most {TYPE_BYTES_MAX} bytes (TYPE_BYTES_MAX)")));
    }
    let column_type = parser.column_type(1)?;
    parser.skip_spaces();
    if parser.at < text.len() {
        let rest = quoted(&text[parser.at..]);
        return Err(parser.fault(parser.at..text.len(), format!("{rest} after the type"), "its end".to_owned()));
    }
    Ok(column_type)
}

/// Writes a type, without spaces; [`parse`] reads it back.
pub(super) fn text(column_type: &ColumnType) -> String {
    match column_type {
        ColumnType::Boolean => "boolean".to_owned(),
        ColumnType::Int64 => "int64".to_owned(),
        ColumnType::Float32 => "float32".to_owned(),
        ColumnType::Float64 => "float64".to_owned(),
        ColumnType::String => "string".to_owned(),
        ColumnType::Timestamp => "timestamp".to_owned(),
        ColumnType::Binary => "binary".to_owned(), // never declared; `inspect` shows it
        ColumnType::Array(element) => format!("array<{}>", text(element)),
        ColumnType::Map(value) => format!("map<string,{}>", text(value)),
        ColumnType::Struct(fields) => {
            let fields: Vec<_> = fields.iter().map(|f| format!("{}:{}", f.name, text(&f.column_type))).collect();
            format!("struct<{}>", fields.join(","))
        }
    }
}

#[derive(Debug)]
struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Parser<'t> {
    fn column_type(&mut self, depth: usize) -> Result<ColumnType, TypeFault> {
        let (word, at) = self.word();
        if depth > TYPE_DEPTH_MAX {
            let found = format!("a type nested {depth} levels deep");
            return Err(self.fault(at, found, format!("at most {TYPE_DEPTH_MAX} levels (TYPE_DEPTH_MAX)")));
        }
        Ok(match word {
            "boolean" => ColumnType::Boolean,
            "int64" => ColumnType::Int64,
            "float32" => ColumnType::Float32,
            "float64" => ColumnType::Float64,
            "string" => ColumnType::String,
            "timestamp" => ColumnType::Timestamp,
            "array" => {
                self.expect('<', "the element's type in `<…>`")?;
                let element = self.column_type(depth + 1)?;
                self.expect('>', "`>` after the element's type")?;
                ColumnType::Array(Box::new(element))
            }
            "map" => {
                self.expect('<', "the value's type in `<…>`")?;
                let value = self.map_value(depth + 1)?;
                self.expect('>', "`>` after the value's type")?;
                ColumnType::Map(Box::new(value))
            }
            "struct" => {
                self.expect('<', "fields in `<…>`, such as `struct<lat:float64,lon:float64>`")?;
                ColumnType::Struct(self.fields(depth + 1)?)
            }
            _ => return Err(self.unknown(word, at)),
        })
    }

    /// `T`, or `string,T`: keys are always strings.
    fn map_value(&mut self, depth: usize) -> Result<ColumnType, TypeFault> {
        let start = self.at;
        let first = self.column_type(depth)?;
        if !self.take(',') {
            return Ok(first);
        }
        if first != ColumnType::String {
            let found = format!("map keys of type {}", quoted(&text(&first)));
            return Err(self.fault(start..self.at - 1, found, "`string`: keys of a map are strings".to_owned()));
        }
        self.column_type(depth)
    }

    /// After `struct<`, up to and with `>`.
    fn fields(&mut self, depth: usize) -> Result<Vec<Field>, TypeFault> {
        let mut fields: Vec<Field> = Vec::new();
        loop {
            let (name, at) = self.word();
            if let Some((found, expected)) = names::fault(NameKind::Column, "a struct's field", name) {
                return Err(self.fault(at, found, expected.to_owned()));
            }
            if fields.iter().any(|field| field.name == name) {
                let found = format!("the field {} twice in one struct", quoted(name));
                return Err(self.fault(at, found, "each name once".to_owned()));
            }
            if fields.len() == STRUCT_FIELDS_MAX {
                let expected = format!("at most {STRUCT_FIELDS_MAX} (STRUCT_FIELDS_MAX)");
                return Err(self.fault(at, "too many fields in one struct".to_owned(), expected));
            }
            self.expect(':', "`:` and a type after the field's name")?;
            let column_type = self.column_type(depth)?;
            fields.push(Field { name: name.to_owned(), column_type });
            if !self.take(',') {
                break;
            }
        }
        self.expect('>', "`,` or `>` after a struct's field")?;
        Ok(fields)
    }

    /// The next run of characters that are not punctuation, and where it stands.
    fn word(&mut self) -> (&'t str, Range<usize>) {
        self.skip_spaces();
        let start = self.at;
        let rest = &self.text[start..];
        let length = rest.find(['<', '>', ',', ':', ' ', '\t']).unwrap_or(rest.len());
        self.at += length;
        (&rest[..length], start..self.at)
    }

    fn take(&mut self, wanted: char) -> bool {
        self.skip_spaces();
        let taken = self.text[self.at..].starts_with(wanted);
        self.at += if taken { wanted.len_utf8() } else { 0 };
        taken
    }

    fn expect(&mut self, wanted: char, expected: &str) -> Result<(), TypeFault> {
        if self.take(wanted) {
            return Ok(());
        }
        let found = match self.text[self.at..].chars().next() {
            Some(character) => format!("{} in a type", quoted(&character.to_string())),
            None => "the end of a type".to_owned(),
        };
        Err(self.fault(self.at..self.at + 1, found, expected.to_owned()))
    }

    fn unknown(&self, word: &str, at: Range<usize>) -> TypeFault {
        let help = match word {
            "int" | "int8" | "int16" | "int32" | "integer" | "long" | "bigint" => Some("use int64"),
            "bool" => Some("use boolean"),
            "float" | "double" => Some("use float64, or float32 for half the bytes"),
            "str" | "text" | "varchar" => Some("use string"),
            "datetime" | "date" | "time" => Some("use timestamp"),
            "list" => Some("use array<…>"),
            _ => None,
        };
        let found = if word.is_empty() { "no type".to_owned() } else { format!("unknown type {}", quoted(word)) };
        let help = help.map(str::to_owned).or_else(|| suggest::did_you_mean(word, TYPE_WORDS));
        TypeFault { help, ..self.fault(at, found, EXPECTED.to_owned()) }
    }

    fn fault(&self, at: Range<usize>, found: String, expected: String) -> TypeFault {
        TypeFault { at, found, expected, help: None }
    }

    fn skip_spaces(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }
}

/// What messages say is expected.
pub(super) const EXPECTED: &str =
    "one of: boolean, int64, float32, float64, string, timestamp, array<T>, struct<name:T,…>, map<string,T>";

const TYPE_WORDS: [&str; 9] =
    ["boolean", "int64", "float32", "float64", "string", "timestamp", "array", "struct", "map"];
