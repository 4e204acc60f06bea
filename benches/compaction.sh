#!/usr/bin/env bash
# What flushing and compacting costs the reads that go on meanwhile: their p50, p99 and p99.9 over time while writes fill an overlay that is
# flushed every few seconds, as a picture; and how many bytes a second compaction puts through.
#
# Goal: nobody who reads should see when it happens. Not the goal: the most that can be written (ingest.sh).
#
# usage: benches/compaction.sh [SECONDS=60] [USERS=2000000] [ROWS=50000] [READS=10000]     (5 10000 5000 1000 is a smoke run)
# ROWS and READS are a second; OVERLAY_MIB (64) is what is flushed at a time. Writes OUT (target/compaction.svg). environment: DATA
# (target/compaction, made anew), GANNET, LOADGEN, SERVER_CORES (0), CLIENT_CORE (1). Port 8174.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
seconds=${1:-60} users=${2:-2000000} rows=${3:-50000} reads=${4:-10000}
data=${DATA:-$root/target/compaction} out=${OUT:-$root/target/compaction.svg}
[ -n "${GANNET:-}" ] || cargo build --release --quiet --manifest-path "$root/Cargo.toml" -p gannet -p gannet-loadgen
gannet=${GANNET:-$root/target/release/gannet} loadgen=${LOADGEN:-$root/target/release/gannet-loadgen}
rm -rf "$data" && mkdir -p "$data/definitions"
pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true; rm -rf "$data/store"' EXIT
cat >"$data/definitions/bench.toml" <<'TOML'
workspace = "prod"
[entities.user]
join_keys = { user_id = "string" }
[stream_sources.events]
timestamp = "at"
fields = { user_id = "string", at = "timestamp", amount = "int64", merchant = "string" }
[feature_views.latest]
entity = "user"
stream = "events"
features = { amount = "int64", merchant = "string" }
[feature_services.model]
features = ["latest"]
TOML
printf '[ingest]\noverlay_mib = %s\n' "${OVERLAY_MIB:-64}" >"$data/gannet.toml"
export GANNET_DATA=$data/store
"$gannet" apply "$data/definitions" >/dev/null
key=$("$gannet" keys create --role admin)
record='{"record":{"user_id":"{another-key}","at":"{now}","amount":{random:100000},"merchant":"M{random:1000}"}}'
{ printf '{"workspace_name":"prod","dry_run":false,"records":{"events":['; for _ in $(seq 99); do printf '%s,' "$record"; done; printf '%s]}}' "$record"; } >"$data/write.json"
printf '{"params":{"workspaceName":"prod","featureServiceName":"model","joinKeyMap":{"user_id":"{key}"}}}' >"$data/read.json"
"$gannet" serve --listen 127.0.0.1:8174 --cores "${SERVER_CORES:-0}" --config "$data/gannet.toml" 2>"$data/serve.log" & pid=$!
for _ in $(seq 600); do
  curl -sf -o /dev/null http://127.0.0.1:8174/readyz && break
  kill -0 $pid 2>/dev/null || { cat "$data/serve.log"; exit 1; }
  sleep 0.05
done
load() { "$loadgen" --url http://127.0.0.1:8174/ingest --key "$key" --cpu "${CLIENT_CORE:-1}" --keys "uniform:$users" --schedule poisson --warmup 1s "$@" >"$data/run.txt" || { cat "$data/run.txt"; exit 1; }; }
load --duration "$((users / 100000 + 1))s" --closed --connections 32 --body @"$data/write.json" # most of them are there then, and compacted
curl -sf http://127.0.0.1:8174/metrics >"$data/before.txt"
read="name=read,path=/api/v1/feature-service/get-features,body=@$data/read.json,connections=64"
load --duration "$((seconds / 4 + 1))s" --rate "$reads" --stream "$read" --json "$data/alone.json"
load --duration "${seconds}s" --rate $((reads + rows / 100)) --stream "$read,weight=$reads" --stream "name=write,weight=$((rows / 100)),connections=32,body=@$data/write.json" --json "$data/beside.json"
curl -sf http://127.0.0.1:8174/metrics >"$data/after.txt"
python3 "$here/curves.py" compaction "$out" "alone=$data/alone.json" "beside writes=$data/beside.json"
python3 - "$data" "$seconds" "$(find "$data/store/segments" -name "*.seg" -printf "%s\\n" | sort -n | tail -1)" <<'PY'
import json, sys
data, seconds = sys.argv[1], float(sys.argv[2])
of = lambda name, stream: next(one for one in json.load(open(f"{data}/{name}.json"))["streams"] if one["name"] == stream)
for name in ("alone", "beside"):
    times = of(name, "read")["response_time_us"]
    print(f"reads {name:6}: p50 {times['p50']:.0f} p99 {times['p99']:.0f} p99.9 {times['p99_9']:.0f} max {times['max']:.0f} us")
write = of("beside", "write")
print(f"written: {write['good_per_s'] * 100:.0f} rows/s, 429 {write['counts']['refused']}, other {write['counts']['other']}")
def metrics(when):
    sums = {}
    for line in open(f"{data}/{when}.txt"):
        if line[:1] not in "#\n":
            name, value = line.rsplit(" ", 1)
            sums[name.split("{")[0]] = sums.get(name.split("{")[0], 0) + float(value)
    return sums
before, after = metrics("before"), metrics("after")
grown = {name: after[name] - before.get(name, 0) for name in after}
print(f"flushed {grown['gannet_flushes_total']:.0f} times, in {grown['gannet_flush_seconds_total']:.1f} s")
number, spent, size = grown["gannet_compactions_total"], grown["gannet_compaction_seconds_total"], float(sys.argv[3] or 0)
rate = f", each of {size / 1e6:.0f} MB: {number * size / spent / 1e6:.0f} MB/s" if number else ""
print(f"compacted {number:.0f} times, in {spent:.1f} s{rate}")
PY
echo "picture: $out"
kill -INT $pid; wait $pid || { echo "the server failed:"; cat "$data/serve.log"; exit 1; }; pid=
