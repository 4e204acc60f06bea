//! What the quickstart brings along: the example repository, embedded, so that the binary alone is enough.

pub(crate) mod bench;
pub(crate) mod examples;
pub(crate) mod replay;
pub(crate) mod request;
