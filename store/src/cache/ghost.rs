//! Which rows were dropped from probation lately: fingerprints, so that a row that comes back soon is known to be wanted.
//!
//! A ghost is 28 bits of the hash and 4 bits of era. Eras count bytes dropped, so that ghosts last until as many bytes were
//! dropped as main holds, whatever the length of rows. A wrong guess admits a row too early, and nothing else; but a long scan
//! makes many guesses: with 12 bits, one over a million rows displaced a fifth of what was wanted.

/// One line of ghosts.
pub(super) const LINE_BYTES: usize = size_of::<Line>();

pub(super) struct Ghost {
    lines: Box<[Line]>,
    era_bytes: usize,
    era: u32,
    /// Dropped in this era.
    dropped_bytes: usize,
}

/// Ghosts, 0 where there is none. A plain array, of which many zeros are memory that nobody has touched yet; an allocation of
/// this size starts at a page, and so each line at a cache line.
type Line = [u32; GHOSTS];

impl Ghost {
    /// `main_bytes`: how many bytes must be dropped until a ghost is forgotten.
    pub(super) fn new(lines: usize, main_bytes: usize) -> Self {
        let era_bytes = (main_bytes / ERAS_REMEMBERED as usize).max(1);
        Self { lines: vec![[0; GHOSTS]; lines].into_boxed_slice(), era_bytes, era: 0, dropped_bytes: 0 }
    }

    pub(super) fn bytes(&self) -> usize {
        self.lines.len() * LINE_BYTES
    }

    /// Remembers what was dropped, in the place of the oldest of its line.
    pub(super) fn add(&mut self, hash: u64, entry_bytes: usize) {
        self.dropped_bytes += entry_bytes;
        if self.dropped_bytes >= self.era_bytes {
            self.dropped_bytes = 0;
            self.era = (self.era + 1) % ERAS;
        }
        let (at, era) = (self.line(hash), self.era);
        let ghosts = &mut self.lines[at];
        let age = |ghost: u32| if ghost == 0 { ERAS } else { age(ghost, era) };
        let oldest = ghosts.iter_mut().max_by_key(|ghost| age(**ghost)).expect("a line has ghosts");
        *oldest = fingerprint(hash) | era;
    }

    /// Whether this was dropped lately; if so, it is forgotten.
    pub(super) fn take(&mut self, hash: u64) -> bool {
        let (at, era) = (self.line(hash), self.era);
        let is_it = |ghost: u32| ghost & !ERA == fingerprint(hash) && age(ghost, era) <= ERAS_REMEMBERED;
        let found = self.lines[at].iter_mut().find(|ghost| is_it(**ghost));
        found.map(|ghost| *ghost = 0).is_some()
    }

    fn line(&self, hash: u64) -> usize {
        (((hash >> 32) * self.lines.len() as u64) >> 32) as usize
    }
}

/// In eras. They come round, so one of 16 eras ago seems new; by then it has nearly always been replaced.
fn age(ghost: u32, era: u32) -> u32 {
    (era + ERAS - (ghost & ERA)) % ERAS
}

/// The upper 28 bits, never all zero.
fn fingerprint(hash: u64) -> u32 {
    let [a, b, c, d, ..] = hash.to_le_bytes();
    u32::from_le_bytes([a, b, c, d]).max(ERAS) & !ERA
}

const GHOSTS: usize = 16;
const ERAS: u32 = 16;
const ERA: u32 = ERAS - 1;
const ERAS_REMEMBERED: u32 = 8;

const _: () = assert!(LINE_BYTES == 64);
