mod concurrency;
mod config;
mod decisions;
mod load;
mod overload;
mod simulator;
