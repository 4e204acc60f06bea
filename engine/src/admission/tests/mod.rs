mod concurrency;
mod config;
mod decisions;
mod hysteresis;
mod load;
mod overload;
mod simulator;
