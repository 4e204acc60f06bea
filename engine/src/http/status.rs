//! Status codes with their standard reason phrases (clients print the phrase).

/// A response status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u16);
