//! The metadata items of a plan, rendered but for their effective times.
//!
//! For one set of options, everything about a view's features is constant but for two things: whether the key had a live
//! row that came in time, and the row's event time. So each view has its items rendered three times. The items of a live row
//! are cut where the event time goes:
//!
//! ```text
//! {"name":"v.a","effectiveTime":"  ·  ","dataType":{…},"status":"PRESENT"},{"name":"v.b","effectiveTime":"  ·  ",…}
//! ```

use std::{collections::BTreeMap, ops::Range};

use gannet_store::{ColumnType, Field};

use crate::{
    plan::{Plan, PlanView, Slot},
    render,
    tecton::MetadataOptions,
};

/// The constant bytes of one plan under one set of options.
#[derive(Debug)]
pub(crate) struct Template {
    bytes: Box<[u8]>,
    views: Box<[ViewItems]>,
    /// Pieces of all views, one after the other.
    pieces: Box<[Range<usize>]>,
}

/// One view's items, with a comma in front unless the view is the first.
#[derive(Debug)]
struct ViewItems {
    /// Positions in [`Template::pieces`]; the event time goes between one and the next.
    live: Range<usize>,
    missing: Range<usize>,
    late: Range<usize>,
}

/// How a view's key came out, as far as its items differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Live,
    Missing,
    Late,
}

impl Template {
    /// Renders the items of every slot.
    pub(crate) fn build(plan: &Plan, options: MetadataOptions) -> Self {
        let (mut bytes, mut pieces, mut views) = (Vec::new(), Vec::new(), Vec::new());
        for view in &plan.views {
            let first_piece = pieces.len();
            let mut piece = bytes.len();
            for place in view.slots.clone() {
                item(&plan.slots[place], place, view, options, Standing::Live, &mut bytes, |cut| {
                    pieces.push(piece..cut);
                    piece = cut;
                });
            }
            pieces.push(piece..bytes.len());
            let mut whole = |standing| {
                let start = bytes.len();
                for place in view.slots.clone() {
                    item(&plan.slots[place], place, view, options, standing, &mut bytes, |_| {});
                }
                start..bytes.len()
            };
            let (missing, late) = (whole(Standing::Missing), whole(Standing::Late));
            views.push(ViewItems { live: first_piece..pieces.len(), missing, late });
        }
        Self { bytes: bytes.into(), views: views.into(), pieces: pieces.into() }
    }

    /// Appends the items of the view at this position of the plan, with the event time of its live row.
    pub(super) fn append_live(&self, view: usize, time: &[u8], out: &mut Vec<u8>) {
        let mut pieces = self.pieces[self.views[view].live.clone()].iter();
        if let Some(piece) = pieces.next() {
            out.extend_from_slice(&self.bytes[piece.clone()]);
        }
        for piece in pieces {
            out.extend_from_slice(time);
            out.extend_from_slice(&self.bytes[piece.clone()]);
        }
    }

    /// The same for a key without a live row.
    pub(super) fn append_missing(&self, view: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes[self.views[view].missing.clone()]);
    }

    /// The same for a row that did not come in time.
    pub(super) fn append_late(&self, view: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes[self.views[view].late.clone()]);
    }
}

/// Appends one item, telling where its effective time goes if it has one.
fn item(
    slot: &Slot,
    place: usize,
    view: &PlanView,
    options: MetadataOptions,
    standing: Standing,
    out: &mut Vec<u8>,
    mut cut: impl FnMut(usize),
) {
    let present = standing == Standing::Live && slot.column.is_some();
    if place > 0 {
        out.push(b',');
    }
    out.push(b'{');
    let start = out.len();
    let member = |name: &str, out: &mut Vec<u8>| {
        if out.len() > start {
            out.push(b',');
        }
        render::string(name.as_bytes(), out);
        out.push(b':');
    };
    if options.has(MetadataOptions::NAMES) {
        member("name", out);
        render::string(slot.name.as_bytes(), out);
    }
    if options.has(MetadataOptions::EFFECTIVE_TIMES) && present && !view.timeless {
        member("effectiveTime", out);
        out.push(b'"');
        cut(out.len());
        out.push(b'"');
    }
    if options.has(MetadataOptions::DATA_TYPES) {
        member("dataType", out);
        data_type(&slot.feature.data_type, out);
    }
    if options.has(MetadataOptions::TYPES) {
        member("type", out);
        render::string(type_word(&slot.feature.data_type).as_bytes(), out);
    }
    if options.has(MetadataOptions::SERVING_STATUS) {
        member("status", out);
        out.extend_from_slice(match standing {
            Standing::Late => b"\"TIME_OUT\"",
            _ if present => b"\"PRESENT\"",
            Standing::Live | Standing::Missing => b"\"MISSING_DATA\"",
        });
    }
    if options.has(MetadataOptions::FEATURE_DESCRIPTIONS) && !slot.feature.description.is_empty() {
        member("description", out);
        render::string(slot.feature.description.as_bytes(), out);
    }
    if options.has(MetadataOptions::FEATURE_TAGS) && !slot.feature.tags.is_empty() {
        member("tags", out);
        tags(&slot.feature.tags, out);
    }
    out.push(b'}');
}

fn tags(tags: &BTreeMap<String, String>, out: &mut Vec<u8>) {
    for (place, (key, value)) in tags.iter().enumerate() {
        out.push(if place == 0 { b'{' } else { b',' });
        render::string(key.as_bytes(), out);
        out.push(b':');
        render::string(value.as_bytes(), out);
    }
    out.push(b'}');
}

/// The word for a type.
fn type_word(column_type: &ColumnType) -> &'static str {
    match column_type {
        ColumnType::Boolean => "boolean",
        ColumnType::Int64 => "int64",
        ColumnType::Float32 => "float32",
        ColumnType::Float64 => "float64",
        ColumnType::String => "string",
        ColumnType::Timestamp => "timestamp",
        ColumnType::Binary => "binary", // never a feature's
        ColumnType::Array(_) => "array",
        ColumnType::Struct(_) => "struct",
        ColumnType::Map(_) => "map",
    }
}

/// Appends a `dataType` object.
fn data_type(column_type: &ColumnType, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":");
    render::string(type_word(column_type).as_bytes(), out);
    match column_type {
        ColumnType::Array(element) => {
            out.extend_from_slice(b",\"elementType\":");
            data_type(element, out);
        }
        ColumnType::Map(value) => {
            out.extend_from_slice(b",\"keyType\":{\"type\":\"string\"},\"valueType\":");
            data_type(value, out);
        }
        ColumnType::Struct(fields) => {
            out.extend_from_slice(b",\"fields\":[");
            for (place, Field { name, column_type }) in fields.iter().enumerate() {
                out.extend_from_slice(if place == 0 { b"{\"name\":" } else { b",{\"name\":" });
                render::string(name.as_bytes(), out);
                out.extend_from_slice(b",\"dataType\":");
                data_type(column_type, out);
                out.push(b'}');
            }
            out.push(b']');
        }
        _ => {}
    }
    out.push(b'}');
}
