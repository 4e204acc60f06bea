//! Connections by slot. A slot's generation changes each time it is vacated, so that a name from an earlier use finds nothing.

use crate::reactor::Token;

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

/// A fixed number of places.
#[derive(Debug)]
pub(super) struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

impl<T> Slots<T> {
    pub(super) fn new(places: usize) -> Self {
        let places = u32::try_from(places).expect("slots are counted in 32 bits");
        Self {
            slots: (0..places).map(|_| Slot { generation: 0, value: None }).collect(),
            free: (0..places).rev().collect(), // the lowest slot is used first: its memory is warm
        }
    }

    /// The name that the next `insert` will give, if there is room.
    pub(super) fn insert(&mut self, value: T) -> Option<Token> {
        let slot = self.free.pop()?;
        let place = &mut self.slots[slot as usize];
        place.value = Some(value);
        Some(Token { slot, generation: place.generation })
    }

    pub(super) fn get(&self, token: Token) -> Option<&T> {
        let place = self.slots.get(token.slot as usize)?;
        if place.generation == token.generation { place.value.as_ref() } else { None }
    }

    pub(super) fn of(&mut self, token: Token) -> Option<&mut T> {
        let place = self.slots.get_mut(token.slot as usize)?;
        if place.generation != token.generation {
            return None;
        }
        place.value.as_mut()
    }

    pub(super) fn remove(&mut self, token: Token) -> Option<T> {
        let place = self.slots.get_mut(token.slot as usize)?;
        if place.generation != token.generation {
            return None;
        }
        let value = place.value.take()?;
        place.generation = place.generation.wrapping_add(1) & ((1 << 28) - 1); // what fits the ring's user data
        self.free.push(token.slot);
        Some(value)
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Token, &T)> {
        self.slots.iter().zip(0u32..).filter_map(|(place, slot)| {
            place.value.as_ref().map(|value| (Token { slot, generation: place.generation }, value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_an_earlier_use_of_a_slot_finds_nothing() {
        let mut slots = Slots::new(1);
        let first = slots.insert("a").unwrap();
        assert!(slots.insert("b").is_none(), "full");
        assert_eq!(slots.remove(first), Some("a"));
        let second = slots.insert("b").unwrap();
        assert_eq!(first.slot, second.slot);
        assert_eq!(slots.of(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.of(second), Some(&mut "b"));
        assert_eq!(slots.len(), 1);
    }
}
