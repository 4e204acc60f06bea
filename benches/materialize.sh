#!/usr/bin/env bash
# A million rows of Parquet (one string key, an event time, three columns) read, sorted and written as segments, synced.
#
# Goal: at least 500,000 rows/s on two cores; at most 1.6 times the raw bytes of keys, event times and values on disk.
# Not the goal: input that is larger than memory (the sort spills, see docs/materialize.md).
#
# usage: benches/materialize.sh [USERS=1000000] [ROUNDS=5]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
users=${1:-1000000} rounds=${2:-5}
data=$root/target/compare-$users
[ -n "${GANNET:-}" ] || cargo build --release --quiet --manifest-path "$root/Cargo.toml"
gannet=${GANNET:-$root/target/release/gannet}
"$gannet" quickstart --data "$data" --users "$users" --load-only >/dev/null
for ((r = 1; r <= rounds; r++)); do
  "$gannet" --data "$data" materialize last_transaction_amount user_profile user_risk user_transaction_counts
done
"$gannet" --data "$data" verify
