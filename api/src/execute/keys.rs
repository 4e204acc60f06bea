//! A request's join keys become the encoded keys of its plan.

use gannet_store::{KeyType, key::KeyWriter};

use super::batch::span;
use crate::{
    error::{Fault, Quoted},
    plan::Plan,
    query::{KeyEntry, KeyValue, Span},
    tecton::Decoded,
};

/// A join key's value as its type has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Typed {
    Null,
    Int64(i64),
    /// In the request's body.
    Text(Span),
}

/// Memory of the encoding, kept from request to request.
#[derive(Debug, Default)]
pub(super) struct KeyEncoder {
    /// By position in the plan's join keys.
    sent: Vec<Option<KeyEntry>>,
    typed: Vec<Typed>,
    /// By position in the plan's key sets.
    encoded: Vec<Option<Span>>,
}

impl KeyEncoder {
    /// Matches what was sent with what the plan needs, and appends each of its keys to `arena`. Missing keys are told
    /// before unknown ones, and those before wrong types; by name, in byte order.
    pub(super) fn encode<'q>(
        &mut self,
        plan: &'q Plan,
        decoded: &Decoded<'q>,
        arena: &mut Vec<u8>,
    ) -> Result<(), Fault<'q>> {
        self.sent.clear();
        self.sent.resize(plan.join_keys.len(), None);
        let mut unknown: Option<&[u8]> = None;
        for entry in decoded.keys {
            let name = entry.name.of(decoded.body);
            match plan.join_key(name) {
                Some(place) => self.sent[place] = Some(*entry),
                None => unknown = Some(unknown.map_or(name, |other| other.min(name))),
            }
        }
        if let Some(place) = self.sent.iter().position(Option::is_none) {
            return Err(Fault::MissingJoinKey(&plan.join_keys[place].name));
        }
        if let Some(name) = unknown {
            return Err(Fault::UnknownJoinKey { name: Quoted(name), expected: &plan.join_key_names });
        }
        self.typed.clear();
        for (entry, join_key) in self.sent.iter().flatten().zip(&plan.join_keys) {
            let wrong = |expected| Fault::JoinKeyType { name: &join_key.name, expected };
            self.typed.push(match (join_key.key_type, entry.value) {
                (_, KeyValue::Null) => Typed::Null,
                (KeyType::String, KeyValue::Text(text)) => Typed::Text(text),
                (KeyType::String, _) => return Err(wrong("string")),
                (KeyType::Int64, _) => Typed::Int64(decoded.int64(entry).ok_or_else(|| wrong("int64"))?),
            });
        }
        self.encoded.clear();
        for set in &plan.key_sets {
            let start = arena.len();
            let mut key = KeyWriter::new(&set.types, arena);
            let mut null = false;
            for part in &set.parts {
                match self.typed[*part] {
                    Typed::Null => null = true,
                    Typed::Int64(value) => key.int64(value),
                    Typed::Text(text) => key.string(text.of(decoded.body)),
                }
                if null {
                    break;
                }
            }
            // A key with a null is nobody's; so is one longer than any that can be stored.
            let whole = key.finish();
            self.encoded.push((whole && !null).then(|| span(start, arena.len())));
        }
        Ok(())
    }

    /// The key of a key set, in the arena; `None` if nothing is to be read with it.
    pub(super) fn key(&self, key_set: usize) -> Option<Span> {
        self.encoded[key_set]
    }
}
