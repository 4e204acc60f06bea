//! Rows: encoded and read back.
