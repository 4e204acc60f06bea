#!/usr/bin/env bash
# How soon a server answers after it was started, with many segments, and what stays resident.
#
# Goals: first answer within 300 ms of the start with 10 GB of segments, also when the page cache is empty; with `populate = "none"`,
# resident memory at most the pages that lookups touched + 64 MiB. As root the page cache is emptied before every second start.
#
# usage: benches/start.sh [USERS=50000000] [SECONDS_AFTER=15]
# (50 million users are about 10 GB of segments, and take ten minutes to make; 10000 1 is a matter of seconds)
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
users=${1:-50000000} after=${2:-15}
data=${DATA:-$root/target/start-$users}
[ -n "${GANNET:-}" ] || cargo build --release --quiet --manifest-path "$root/Cargo.toml"
gannet=${GANNET:-$root/target/release/gannet}
[ -e "$data/CURRENT" ] || "$gannet" quickstart --data "$data" --users "$users" --load-only
echo "segments: $(du -sh "$data/segments" | cut -f1)"
body='{"params":{"workspaceName":"prod","featureServiceName":"fraud_bench","joinKeyMap":{"user_id":"C0000000007"}}}'
ask() { curl -sf -o /dev/null -H 'Authorization: Tecton-key quickstart' -d "$body" http://127.0.0.1:8104/v1/feature-service/get-features; }
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true' EXIT
serve() { "$gannet" serve --data "$data" --listen 127.0.0.1:8104 "$@" 2>"$data-serve.log" & pid=$!; }
await() { until ask; do kill -0 "$pid" 2>/dev/null || { cat "$data-serve.log" >&2; exit 1; }; sleep 0.002; done; }
resident() { awk '/^VmRSS|^RssFile|^RssAnon/{printf "%s %d MiB  ", $1, $2/1024}' /proc/$pid/status; }
empty() { sync; { echo 3 >/proc/sys/vm/drop_caches; } 2>/dev/null; }
for populate in none index all; do
  config=$data-$populate.toml
  printf '[memory]\npopulate = "%s"\n' "$populate" >"$config"
  for cache in warm empty warm empty warm empty; do
    if [ $cache = empty ]; then empty || continue; fi
    start=$(date +%s%N)
    serve --config "$config"
    await
    end=$(date +%s%N)
    echo "populate = $populate, page cache $cache: first answer $(((end - start) / 1000000)) ms after the start; $(resident)"
    kill -INT $pid; wait $pid || true
  done
done
# Resident after many uniform lookups, against the pages that they would touch in place. The row cache is part of it; it is what
# RssAnon grows by.
export USERS=$users KEY=quickstart SERVICE=fraud_bench WORKSPACE=prod
for populate in none index; do
  serve --config "$data-$populate.toml" --cores 0
  await
  for _ in $(seq 600); do # its index is there
    if [ $populate = none ] || grep -q 'message="in memory"' "$data-serve.log"; then break; fi
    sleep 0.1
  done
  echo "populate = $populate: $(resident)before"
  requests=$(taskset -c 1 wrk -t1 -c16 -d3 -s "$root/benches/get-features.lua" http://127.0.0.1:8104/ | awk '/requests in/{print $1}')
  sleep "$after" # the background verification goes on meanwhile, and must not add to it
  cached=$(curl -sf http://127.0.0.1:8104/metrics | awk '/^gannet_row_cache_used_bytes/{print int($2/1048576)}')
  echo "populate = $populate: $(resident)after $requests requests, which in place would touch up to $((requests * 8 * 4096 / 1048576)) MiB (4 views, an index page and a row page each); $cached MiB of rows are cached"
  kill -INT $pid; wait $pid || true
done
