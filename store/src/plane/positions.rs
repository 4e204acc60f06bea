//! How far each source was taken, so that what comes twice counts once.

use super::SourceToken;
use crate::{directory::SourcePositions, limits::SOURCE_POSITIONS_MAX};

/// The highest sequence that was taken, by source and partition.
#[derive(Debug, Default)]
pub(super) struct Positions {
    known: SourcePositions,
    count: usize,
    /// Those of the group at hand, with what was there before: undone if the log does not take it.
    changes: Vec<(String, u64, Option<u64>)>,
}

/// What a token says of its write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    New,
    /// It was taken before, or is in the group at hand.
    Known,
    /// There are as many sources and partitions as may be.
    TooMany,
}

impl Positions {
    pub(super) fn new(known: SourcePositions) -> Self {
        let count = known.values().map(|partitions| partitions.len()).sum();
        Self { known, count, changes: Vec::new() }
    }

    pub(super) fn look(&self, token: &SourceToken) -> Token {
        let known = self.known.get(&token.source).and_then(|partitions| partitions.get(&token.partition));
        match known {
            Some(known) if token.sequence <= *known => Token::Known,
            None if self.count >= SOURCE_POSITIONS_MAX => Token::TooMany,
            _ => Token::New,
        }
    }

    /// Takes note of a token that is new.
    pub(super) fn advance(&mut self, token: SourceToken) {
        let SourceToken { source, partition, sequence } = token;
        let partitions = match self.known.get_mut(&source) {
            Some(partitions) => partitions,
            None => self.known.entry(source.clone()).or_default(),
        };
        let before = partitions.insert(partition, sequence);
        self.count += usize::from(before.is_none());
        self.changes.push((source, partition, before));
    }

    /// What the group at hand brought stays.
    pub(super) fn keep(&mut self) {
        self.changes.clear();
    }

    /// What it brought goes.
    pub(super) fn undo(&mut self) {
        for (source, partition, before) in self.changes.drain(..).rev() {
            let Some(partitions) = self.known.get_mut(&source) else { continue };
            match before {
                Some(before) => drop(partitions.insert(partition, before)),
                None => {
                    partitions.remove(&partition);
                    self.count -= 1;
                    if partitions.is_empty() {
                        self.known.remove(&source);
                    }
                }
            }
        }
    }

    pub(super) fn all(&self) -> SourcePositions {
        self.known.clone()
    }
}
