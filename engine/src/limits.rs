//! Every bound of this crate, with its reason. Those that an operator may set are fields of [`Limits`].
