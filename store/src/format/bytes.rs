//! Little-endian numbers out of, and into, bytes at any alignment.

/// The `N` bytes at `at`, if they are there.
#[inline]
pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[inline]
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array_at(bytes, at).map(u16::from_le_bytes)
}

#[inline]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

#[inline]
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array_at(bytes, at).map(u64::from_le_bytes)
}

#[inline]
pub(crate) fn i64_at(bytes: &[u8], at: usize) -> Option<i64> {
    array_at(bytes, at).map(i64::from_le_bytes)
}

/// Seven bits per byte, the lowest first, the top bit set on all but the last; at most 28 bits.
/// Returns the number and how many bytes it took.
#[inline]
pub(crate) fn varint(bytes: &[u8]) -> Option<(u32, usize)> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some((u32::from(first), 1));
    }
    let mut number = u32::from(first & 0x7f);
    for (at, &byte) in bytes.iter().enumerate().take(VARINT_BYTES_MAX).skip(1) {
        number |= u32::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Some((number, at + 1));
        }
    }
    None
}

pub(crate) fn write_varint(out: &mut Vec<u8>, number: usize) {
    let mut rest = number;
    while rest >= 0x80 {
        out.push(u8::try_from(rest & 0x7f).unwrap_or(0) | 0x80);
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap_or(0));
}

/// Twice the bits that a length within a row needs.
const VARINT_BYTES_MAX: usize = 4;

/// How many bytes each end offset of a variable part takes. Stored as two bits; zero is nobody's, so that bytes never
/// written, or a page that went missing, do not read as a row.
///
/// 32 bits, so that a row's head has no padding: copying padding made loads wait for stores, and cost a
/// quarter of a lookup whose row is in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum EndWidth {
    One = 1,
    Two = 2,
    Four = 3,
}

impl EndWidth {
    /// The narrowest that holds `end`.
    pub(crate) fn fitting(end: usize) -> Self {
        match end {
            0..=0xff => Self::One,
            0x100..=0xffff => Self::Two,
            _ => Self::Four,
        }
    }

    #[inline]
    pub(crate) fn of_code(code: u32) -> Option<Self> {
        match code & 3 {
            1 => Some(Self::One),
            2 => Some(Self::Two),
            3 => Some(Self::Four),
            _ => None,
        }
    }

    pub(crate) fn code(self) -> usize {
        self as usize
    }

    #[inline]
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
        }
    }

    /// The `index`th end of the list that starts at `at`.
    #[inline]
    pub(crate) fn read(self, bytes: &[u8], at: usize, index: usize) -> Option<usize> {
        match self {
            Self::One => bytes.get(at + index).map(|&end| usize::from(end)),
            Self::Two => u16_at(bytes, at + index * 2).map(usize::from),
            Self::Four => u32_at(bytes, at + index * 4).map(|end| end as usize),
        }
    }

    pub(crate) fn write(self, out: &mut Vec<u8>, end: usize) {
        // An end that does not fit belongs to something longer than any row may be, which is refused when it is whole.
        match self {
            Self::One => out.push(u8::try_from(end).unwrap_or(u8::MAX)),
            Self::Two => out.extend_from_slice(&u16::try_from(end).unwrap_or(u16::MAX).to_le_bytes()),
            Self::Four => out.extend_from_slice(&u32::try_from(end).unwrap_or(u32::MAX).to_le_bytes()),
        }
    }
}
