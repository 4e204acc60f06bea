//! What a connection has to say, in the order of its requests: what may leave, and what is behind a request that waits. It knows bytes and names,
//! not what they say, and not when.
//!
//! ```text
//!   may leave ─► the ring        behind: [ waits ] [ rendered ] [ waits ] [ rendered ]
//! ```

use std::collections::VecDeque;

use super::{pooled, recycle};
use crate::service::Waiting;

#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Rendered, not yet given to the ring.
    out: Vec<u8>,
    /// What follows `out`, in order; begins with one that waits, or is empty.
    behind: VecDeque<Piece>,
    /// How many pieces of `behind` wait.
    waits: usize,
}

/// A part that cannot leave yet, because a request before it, or it itself, waits.
#[derive(Debug)]
enum Piece {
    Waits(Waiting),
    /// Rendered, behind one that waits.
    Rendered(Vec<u8>),
}

/// Where the answer to a request that waited belongs.
#[derive(Debug)]
pub(super) struct Place {
    index: usize,
    /// Nothing is behind it.
    pub(super) is_last: bool,
}

impl Answers {
    /// Whether there is anything that may leave.
    pub(super) fn may_leave(&self) -> bool {
        !self.out.is_empty()
    }

    /// Takes what may leave.
    pub(super) fn leave(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Requests that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waits
    }

    /// Nothing is behind a request that waits.
    pub(super) fn none_waits(&self) -> bool {
        self.behind.is_empty()
    }

    /// All that is rendered.
    pub(super) fn bytes(&self) -> usize {
        let bytes = |piece: &Piece| if let Piece::Rendered(bytes) = piece { bytes.len() } else { 0 };
        // `behind` is empty but for the connection of a request that waits.
        self.out.len() + self.behind.iter().map(bytes).sum::<usize>()
    }

    /// Where the next answer goes: to what may leave, or behind one that waits.
    pub(super) fn next(&mut self, pool: &mut Vec<Vec<u8>>) -> &mut Vec<u8> {
        if self.behind.is_empty() {
            if self.out.capacity() == 0 {
                self.out = pooled(pool);
            }
            return &mut self.out;
        }
        if matches!(self.behind.back(), Some(Piece::Waits(_))) {
            self.behind.push_back(Piece::Rendered(pooled(pool)));
        }
        match self.behind.back_mut() {
            Some(Piece::Rendered(bytes)) => bytes,
            Some(Piece::Waits(_)) | None => unreachable!("a rendered piece was just pushed"),
        }
    }

    /// The next answer has to wait; what comes after it stays behind it.
    pub(super) fn wait(&mut self, waiting: Waiting) {
        self.behind.push_back(Piece::Waits(waiting));
        self.waits += 1;
    }

    /// The place that was kept for a request that waits.
    pub(super) fn place_of(&self, waiting: Waiting) -> Option<Place> {
        let index = self.behind.iter().position(|piece| matches!(piece, Piece::Waits(w) if *w == waiting))?;
        Some(Place { index, is_last: index + 1 == self.behind.len() })
    }

    /// Has an answer rendered in its place. If none before it waits, it may leave, with all behind it up to the next that waits.
    pub(super) fn fill(&mut self, place: Place, pool: &mut Vec<Vec<u8>>, render: impl FnOnce(&mut Vec<u8>)) {
        self.waits -= 1;
        if place.index > 0 {
            let mut bytes = pooled(pool);
            render(&mut bytes);
            self.behind[place.index] = Piece::Rendered(bytes);
            return;
        }
        self.behind.pop_front();
        if self.out.capacity() == 0 {
            self.out = pooled(pool);
        }
        render(&mut self.out);
        while let Some(Piece::Rendered(_)) = self.behind.front()
            && let Some(Piece::Rendered(bytes)) = self.behind.pop_front()
        {
            self.out.extend_from_slice(&bytes);
            recycle(pool, bytes);
        }
    }

    /// Nobody is left to tell: forgets what is behind, and names who waits.
    pub(super) fn give_up(&mut self, pool: &mut Vec<Vec<u8>>, mut each: impl FnMut(Waiting)) {
        self.waits = 0;
        for piece in self.behind.drain(..) {
            match piece {
                Piece::Waits(waiting) => each(waiting),
                Piece::Rendered(bytes) => recycle(pool, bytes),
            }
        }
    }
}
