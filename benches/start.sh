#!/usr/bin/env bash
# How soon a server answers after it was started, with many segments, and what stays resident.
#
# Goals: first answer within 300 ms of the start with 10 GB of segments; with `populate = "none"`, resident memory at most the
# pages that lookups touched + 64 MiB. Not the goal: an empty page cache (run `echo 3 > /proc/sys/vm/drop_caches` first as
# root to see that).
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
for populate in none all; do
  config=$data-$populate.toml
  printf '[memory]\npopulate = "%s"\n' "$populate" >"$config"
  for _ in 1 2 3; do
    start=$(date +%s%N)
    serve --config "$config"
    await
    end=$(date +%s%N)
    resident=$(awk '/^VmRSS/{print int($2/1024)}' /proc/$pid/status)
    echo "populate = $populate: first answer $(((end - start) / 1000000)) ms after the start, resident $resident MiB"
    kill -INT $pid; wait $pid || true
  done
done
# Resident after many uniform lookups, against the pages that they can have touched.
serve --config "$data-none.toml" --cores 0
await
export USERS=$users KEY=quickstart SERVICE=fraud_bench WORKSPACE=prod
requests=$(taskset -c 1 wrk -t1 -c16 -d3 -s "$root/benches/get-features.lua" http://127.0.0.1:8104/ | awk '/requests in/{print $1}')
sleep "$after" # the background verification goes on meanwhile, and must not add to it
awk -v n="$requests" '/^RssFile|^RssAnon/{printf "%s %d MiB  ", $1, $2/1024} END{printf "after %d requests, which touch at most %d MiB (4 views, a bucket page and a row page each); RssFile also counts the cached neighbours that the kernel maps with each page it faults in, 64 KiB at a time\n", n, n*8*4096/1048576}' /proc/$pid/status
kill -INT $pid; wait $pid || true
