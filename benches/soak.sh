#!/usr/bin/env bash
# Everything at once, for a while: reads, writes, deletes, flushes of an overlay that is far too small, compaction, materialize, apply,
# SIGHUP, kill -9 and restart. Every answer is checked against a model of what was acknowledged.
#
# Goals: no wrong answer; the memory of a process that is not restarted stays flat. Not the goal: speed.
#
# usage: benches/soak.sh [MINUTES=10] [KEYS=20000] [SEED=1]     (1 2000 is a smoke run)
# environment: DATA (target/soak, made anew), GANNET, PORT (8170)
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
minutes=${1:-10} keys=${2:-20000} seed=${3:-1}
data=${DATA:-$root/target/soak}
[ -n "${GANNET:-}" ] || cargo build --release --quiet --manifest-path "$root/Cargo.toml" -p gannet
rm -rf "$data" && mkdir -p "$data"
trap 'rm -rf "$data/store"' EXIT
python3 "$root/benches/soak.py" "${GANNET:-$root/target/release/gannet}" "$data" "$minutes" "$keys" "$seed" "${PORT:-8170}"
