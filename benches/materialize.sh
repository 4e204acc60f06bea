#!/usr/bin/env bash
# A million rows of each kind of source read, sorted and written as segments, synced: Parquet (one string key, an event time,
# three columns), then the like as CSV and as NDJSON.
#
# Goal: at least 500,000 rows/s on two cores, whatever the source; at most 1.6 times the raw bytes of keys, event times and
# values on disk. Not the goal: input that is larger than memory (the sort spills, see docs/materialize.md).
#
# usage: benches/materialize.sh [USERS=1000000] [ROUNDS=5]      (10000 1 is a matter of seconds)
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
users=${1:-1000000} rounds=${2:-5}
data=$root/target/compare-$users texts=$root/target/materialize-$users
[ -n "${GANNET:-}" ] || cargo build --release --quiet --manifest-path "$root/Cargo.toml"
gannet=${GANNET:-$root/target/release/gannet}
"$gannet" quickstart --data "$data" --users "$users" --load-only >/dev/null

mkdir -p "$texts/definitions"
awk -v users="$users" -v csv="$texts/users.csv" -v ndjson="$texts/users.ndjson" 'BEGIN {
  split("DE FR US Viet_Nam", countries, " "); print "user_id,at,amount,count,country" >csv
  for (i = 0; i < users; i++) {
    at = sprintf("2024-%02d-%02dT%02d:%02d:%02d.%03dZ", 1 + i % 9, 1 + i % 28, i % 24, i % 60, int(i / 7) % 60, i % 1000)
    amount = i * 7919 % 100000 / 100; count = i * 31 % 1000; country = countries[1 + i % 4]
    printf "C%010d,%s,%s,%d,\"%s\"\n", i, at, amount, count, country >csv
    printf "{\"user_id\":\"C%010d\",\"at\":\"%s\",\"amount\":%s,\"count\":%d,\"country\":\"%s\"}\n", i, at, amount, count, country >ndjson
  }
}'
{
  printf 'workspace = "prod"\n[entities.user]\njoin_keys = { user_id = "string" }\n'
  for format in csv ndjson; do
    printf '[feature_views.%s]\nentity = "user"\ntimestamp = "at"\nsource = { %s = "../users.%s" }\n' $format $format $format
    printf 'features = { amount = "float64", count = "int64", country = "string" }\n'
  done
} >"$texts/definitions/users.toml"
"$gannet" --data "$texts/data" apply "$texts/definitions" >/dev/null

for ((r = 1; r <= rounds; r++)); do
  "$gannet" --data "$data" materialize last_transaction_amount user_profile user_risk user_transaction_counts
  "$gannet" --data "$texts/data" materialize
done
"$gannet" --data "$data" verify
"$gannet" --data "$texts/data" verify
