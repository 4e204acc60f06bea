//! Where a simulation may go one way or another: drawn from a seed, or all of them one after the other.

/// Makes choices. The same seed makes the same ones.
#[derive(Debug, Clone)]
pub enum Choices {
    Seeded(u64),
    /// The way being gone: at each fork what is taken and how many ways there are.
    Each {
        way: Vec<(usize, usize)>,
        at: usize,
    },
}

impl Choices {
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(seed)
    }

    /// Goes the first way at every fork; [`Self::next_way`] turns to the next.
    pub fn each() -> Self {
        Self::Each { way: Vec::new(), at: 0 }
    }

    /// Goes back to the start and takes the next way. False once all were gone.
    pub fn next_way(&mut self) -> bool {
        let Self::Each { way, at } = self else { return false };
        *at = 0;
        while let Some((taken, ways)) = way.last_mut() {
            *taken += 1;
            if taken < ways {
                return true;
            }
            way.pop();
        }
        false
    }

    /// Whether all ways are gone, so that they should be few.
    pub fn is_each(&self) -> bool {
        matches!(self, Self::Each { .. })
    }

    /// One of `ways`, which is not 0.
    pub fn below(&mut self, ways: usize) -> usize {
        match self {
            Self::Seeded(state) => {
                // Splitmix64.
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut mixed = *state;
                mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
                let mixed = u128::from(mixed ^ mixed >> 31);
                usize::try_from((mixed * ways as u128) >> 64).unwrap_or(0)
            }
            Self::Each { way, at } => {
                if *at == way.len() {
                    way.push((0, ways));
                }
                *at += 1;
                way.get(*at - 1).map_or(0, |(taken, _)| *taken)
            }
        }
    }

    pub fn either(&mut self) -> bool {
        self.below(2) == 1
    }
}
