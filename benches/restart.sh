#!/usr/bin/env bash
# How soon a server that was killed gives its first correct answer: a log whose tail has to be read back, and many segments beside it.
#
# Goal: at most 2 s with 256 MB of log and 10 GB of segments, also when the page cache is empty (as root, every second start). Correct is an
# answer with what was acknowledged last before the kill. Not the goal: the time until everything is in memory.
#
# usage: benches/restart.sh [USERS=50000000] [LOG_MB=256] [ROUNDS=3]
# 50 million users are about 10 GB of segments, and take ten minutes to make; where the disk has not twice that, as many as fit a third of
# what is free. 10000 8 1 is a smoke run. environment: DATA (target/restart, kept for the next time), GANNET, LOADGEN. Port 8173.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
users=${1:-50000000} log_mb=${2:-256} rounds=${3:-3}
[ -n "${GANNET:-}" ] || cargo build --release --quiet --manifest-path "$root/Cargo.toml" -p gannet -p gannet-loadgen
gannet=${GANNET:-$root/target/release/gannet} loadgen=${LOADGEN:-$root/target/release/gannet-loadgen}
mkdir -p "${DATA:-$root/target}"
fits=$(($(df --output=avail -B1 "${DATA:-$root/target}" | tail -1) / 3 / 210)) # bytes of segments a user
[ "$users" -le $fits ] || { echo "the disk has room for $fits users, not $users"; users=$fits; }
data=${DATA:-$root/target}/restart-$users
pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true' EXIT
[ -e "$data/CURRENT" ] || "$gannet" quickstart --data "$data" --users "$users" --load-only
cat >"$data-sources/definitions/restart.toml" <<'TOML'
workspace = "prod"
[stream_sources.restart_events]
timestamp = "at"
fields = { user_id = "string", at = "timestamp", n = "int64", note = "string" }
[feature_views.restart_latest]
entity = "user"
stream = "restart_events"
features = { n = "int64", note = "string" }
[feature_services.restart]
features = ["restart_latest", "user_profile"]
TOML
export GANNET_DATA=$data
"$gannet" apply "$data-sources/definitions" >/dev/null
key=$("$gannet" keys create --role admin)
printf '[ingest]\noverlay_mib = 2048\n' >"$data-restart.toml" # nothing is flushed: all of it is read back from the log
url=http://127.0.0.1:8173
serve() { "$gannet" serve --listen 127.0.0.1:8173 --config "$data-restart.toml" 2>"$data-serve.log" & pid=$!; }
ask() {
  curl -sf -H "Authorization: Tecton-key $key" $url/v1/feature-service/get-features \
    -d '{"params":{"workspaceName":"prod","featureServiceName":"restart","joinKeyMap":{"user_id":"C0000000007"}}}' 2>/dev/null
}
await() { # TEXT: until the answer holds it
  until ask | grep -q -- "$1"; do kill -0 "$pid" 2>/dev/null || { cat "$data-serve.log" >&2; exit 1; }; sleep 0.002; done
}
written_bytes() { curl -s $url/metrics | awk '/^gannet_written_bytes_total/ {print $2}'; }
rm -rf "$data/log" # of a run before; the views of this bench have nothing else
serve; await '"features"'
record='{"record":{"user_id":"{another-key}","at":"{now}","n":{counter},"note":"'$(printf 'x%.0s' $(seq 200))'"}}'
{ printf '{"workspace_name":"prod","dry_run":false,"records":{"restart_events":['; for _ in $(seq 99); do printf '%s,' "$record"; done; printf '%s]}}' "$record"; } >"$data-body.json"
until [ "${written:-0}" -ge $((log_mb << 20)) ]; do
  "$loadgen" --url $url/ingest --key "$key" --keys "uniform:$users" --closed --connections 32 --warmup 0s --duration 250ms --body @"$data-body.json" --json "$data-run.json" >/dev/null
  rows=$((${rows:-0} + $(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["total"]["counts"]["good"] * 100)' "$data-run.json")))
  [ "$rows" -gt 0 ] || { echo "nothing is taken"; exit 1; }
  written=$(written_bytes)
done
for ((r = 1; r <= rounds; r++)); do
  for cache in warm empty; do
    # What the answer after the kill has to say.
    curl -sf -o /dev/null -H "Authorization: Tecton-key $key" $url/ingest -d '{"workspace_name":"prod","dry_run":false,"records":{"restart_events":[{"record":{"user_id":"C0000000007","at":"'"$(date -u +%FT%T.%6NZ -d '+1 hour')"'","n":99'$r$([ $cache = warm ] && echo 1 || echo 2)',"note":"last"}}]}}'
    kill -9 "$pid"; wait "$pid" 2>/dev/null || true
    if [ $cache = empty ]; then sync; { echo 3 >/proc/sys/vm/drop_caches; } 2>/dev/null || { serve; await '"99'; continue; }; fi
    start=$(date +%s%N)
    serve; await "\"99$r$([ $cache = warm ] && echo 1 || echo 2)\""
    echo "segments $(du -sh "$data/segments" | cut -f1), log $((written >> 20)) MB with $rows rows, page cache $cache: first correct answer $((($(date +%s%N) - start) / 1000000)) ms after the start"
  done
done
kill -INT "$pid"; wait "$pid" || { echo "it failed:"; cat "$data-serve.log"; exit 1; }; pid=
