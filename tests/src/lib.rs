//! Nothing: this crate only tests (see `tidy/`).
