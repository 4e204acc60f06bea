//! Aggregations against an oracle that keeps all events and scans them, and against the worked examples of the reference.

mod accuracy;
mod combine;
mod golden;
mod hostile;
mod oracle;
mod properties;
mod rules;
mod specifications;
mod world;
