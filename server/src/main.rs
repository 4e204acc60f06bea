//! stub
mod clock;
mod materialize;
mod text;
fn main() {}
