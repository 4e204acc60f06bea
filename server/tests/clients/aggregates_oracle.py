"""Aggregates three ways over the flights of 2013: materialized from a file, streamed through /ingest, and computed by DuckDB from the
same events. Every function over every kind of window has to give the same, at several moments; what DuckDB can only bound, files and stream have to
agree on. One view leaves its edge and its names to Gannet. Exits non-zero on the first lie.

usage: aggregates_oracle.py GANNET FLIGHTS_PARQUET FOLDER [KEYS=24] [SEED=1]
"""
import atexit
import datetime
import functools
import http.client
import json
import math
import os
import random
import signal
import subprocess
import sys
import time

import duckdb

gannet, flights, folder = sys.argv[1:4]
keys_wanted, seed = int((sys.argv + ["24"] * 5)[4]), int(sys.argv[5]) if len(sys.argv) > 5 else 1
dice = random.Random(seed)
os.makedirs(f"{folder}/definitions", exist_ok=True)
os.environ["GANNET_DATA"] = f"{folder}/store"
duck = duckdb.connect(config={"threads": 2})
duck.execute("SET TimeZone = 'UTC'")

MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000
COLUMNS = {
    "distance": "int64", "arrival": "float64", "departure": "float32", "destination": "string", "late": "boolean", "route": "array<string>",
    "origin": "string",
}
NUMBERS = ["sum", "mean", "min", "max", "var_samp", "var_pop", "stddev_samp", "stddev_pop"]
LISTS = ["last", "first", "last(1)", "last(3)", "first(4)"]
DISTINCT = ["last_distinct(3)", "first_distinct(3)", "last_distinct(40)", "approx_count_distinct", "approx_count_distinct(4)", "approx_count_distinct(14)"]
PERCENTILES = ["approx_percentile(0.5)", "approx_percentile(0.9,200)", "approx_percentile(0.0)", "approx_percentile(1.0,20)"]
FUNCTIONS = {
    "distance": ["count"] + NUMBERS + LISTS + DISTINCT + PERCENTILES,
    "arrival": ["count"] + NUMBERS + LISTS + PERCENTILES,
    "departure": ["count"] + LISTS + PERCENTILES[:2],
    "destination": ["count", "min", "max"] + LISTS + DISTINCT,
    "late": ["count"] + LISTS,
    "route": ["count"] + LISTS,
}
# Each with a name of its own, for the view that gives none.
BY_DEFAULT = {
    "distance": ["count"] + NUMBERS + ["last", "first", "last(3)", "first(4)", "last_distinct(3)", "approx_count_distinct", "approx_percentile(0.5)", "approx_percentile(0.9,200)"],
    "destination": ["count", "max", "last", "first_distinct(3)", "approx_count_distinct(14)"],
    "late": ["last"],
}
# What a view groups by `origin`; the arrays of arrays among it.
GROUPED = {"distance": ["count", "sum", "last", "last(2)"], "arrival": ["mean", "max"], "destination": ["last_distinct(2)"]}


def run(*arguments):
    done = subprocess.run([gannet, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout


def duration(us):
    assert us % MINUTE == 0
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m")):
        if us % unit == 0:
            return f"{us // unit}{name}"


# --- events: some planes and some small carriers, each a key; times are moved so that the last flight leaves an hour before EDGE, and
# are unique within a key, but for the key `TWICE`, of which every fifth event is there twice. There are three moments to look at, a third
# of the year apart: of the events before each, most are sent then, in any order, and some only for the next.
EDGE = int(time.time() * 1e6) // DAY * DAY
EDGES = [EDGE - 240 * DAY, EDGE - 120 * DAY, EDGE]
START = EDGE - 200 * DAY  # of lifetimes
duck.execute(f"""
CREATE TABLE sent AS
  WITH raw AS (SELECT *, epoch_us(scheduled_at) AS us FROM '{flights}'),
  picked AS (SELECT tail_number FROM raw WHERE tail_number IS NOT NULL GROUP BY 1 ORDER BY hash(tail_number || '{seed}') LIMIT {keys_wanted}),
  keyed AS (
    SELECT tail_number AS key, * FROM raw WHERE tail_number IN (FROM picked)
    UNION ALL SELECT carrier AS key, * FROM raw WHERE carrier IN ('OO', 'HA')
    UNION ALL SELECT 'TWICE' AS key, * FROM raw WHERE carrier = 'OO'),
  moved AS (
    SELECT key, us - (SELECT max(us) FROM raw) + {EDGE} - {HOUR} + row_number() OVER (PARTITION BY key, us ORDER BY tail_number, flight, destination, origin) - 1 AS us,
      distance_miles::BIGINT AS distance, arrival_delay_minutes::DOUBLE AS arrival, departure_delay_minutes::FLOAT AS departure, destination,
      departure_delay_minutes > 15 AS late, [origin, destination] AS route, origin
    FROM keyed)
  SELECT *, least(2, (us >= {EDGES[0]})::INT + (us >= {EDGES[1]})::INT + (hash(key, us, {seed}) % 10 = 0)::INT) AS phase,
    phase = 0 AND hash(us, key, {seed}) % 3 = 0 AS before
  FROM moved;
INSERT INTO sent FROM (SELECT * FROM sent WHERE key = 'TWICE' AND us % 300000000 = 0);
""")
# Batch views end behind their newest event, and stream views at it: an event just before and one right at each edge make both the same. They have
# an origin: an event without a secondary key counts nowhere, and is no newest event either.
for phase, edge in enumerate(EDGES):
    for us in (edge - 1, edge):
        duck.execute(f"INSERT INTO sent (key, us, origin, phase, before) VALUES ('EDGE', {us}, 'EDGE', {phase}, false)")
events = [dict(zip(["key", "us", *COLUMNS, "phase", "before"], row)) for row in duck.execute(f"SELECT key, us, {', '.join(COLUMNS)}, phase, before FROM sent ORDER BY us, key").fetchall()]
keys = sorted({event["key"] for event in events} - {"EDGE"})
assert sum(event["key"] == "TWICE" for event in events) > sum(event["key"] == "OO" for event in events)
print(f"{len(events)} events of {len(keys)} keys, seed {seed}")

# --- views: by kind, the same features over the same windows. One of them reaches over the whole year, or old events would be refused.
TILED = {
    DAY: [(1 * DAY, 0), (7 * DAY, 0), (30 * DAY, 0), (1 * DAY, -1 * DAY), (30 * DAY, -60 * DAY), (380 * DAY, 0), "lifetime"],
    HOUR: [(1 * HOUR, 0), (6 * HOUR, -2 * HOUR), (3 * DAY, 0), (380 * DAY, 0), "lifetime"],
    10 * MINUTE: [(2 * HOUR, 0), (10 * DAY, -1 * HOUR), (380 * DAY, 0), "lifetime"],
}
CONTINUOUS = [(1 * HOUR, 0), (90 * MINUTE, -30 * MINUTE), (7 * DAY, 0), (60 * DAY, -7 * DAY), (400 * DAY, 0)]
SECONDARY = [(1 * DAY, 0), (30 * DAY, 0), (7 * DAY, -7 * DAY), (380 * DAY, 0), "lifetime"]


def window_name(window):
    if window == "lifetime":
        return "lifetime"
    length, offset = window
    return duration(length) + (f"_offset_{duration(-offset)}" if offset else "")


def default_name(column, function, window, interval):
    """As docs/aggregates.md says."""
    name, _, rest = function.rstrip(")").partition("(")
    if name == "approx_percentile":
        name += "_p" + rest.split(",")[0].replace(".", "_")
    elif rest and name != "approx_count_distinct":
        name += f"_{rest}"
    if window == "lifetime":
        return f"{column}_{name}_lifetime"
    length, offset = window
    return f"{column}_{name}_{duration(length)}_{duration(interval)}" + (f"_offset_{duration(-offset)}" if offset else "")


class View:
    def __init__(self, name, where, interval, windows, functions, secondary=None, by_default=False):
        self.name, self.where, self.interval, self.windows, self.secondary = name, where, interval, windows, secondary
        self.by_default = by_default  # neither leading edge nor names are said
        self.features = []  # (name, column, function, window)
        for window in windows:
            for column, of_column in functions.items():
                for function in of_column:
                    plain = function.replace("(", "_").replace(")", "").replace(",", "_").replace(".", "_")
                    name = default_name(column, function, window, interval) if by_default else f"{column}_{plain}_{window_name(window)}"
                    self.features.append((name, column, function, window))

    def toml(self):
        lines = [f"[feature_views.{self.name}]", 'entity = "flyer"'] + ([] if self.by_default else ['leading_edge = "latest_event_time"'])
        if "stream" in self.where:
            lines.append(f'stream = "{self.where["stream"]}"')
        if "file" in self.where:
            lines += ['timestamp = "at"', f'source = {{ parquet = "../{self.where["file"]}" }}']
        if self.interval:
            lines += [f'aggregation_interval = "{duration(self.interval)}"', f'lifetime_start = "{iso(START)}"']
        if self.secondary:
            lines.append(f'secondary_key = "{self.secondary}"')
        lines.append("features = [")
        for name, column, function, window in self.features:
            at = '"lifetime"' if window == "lifetime" else f'"{duration(window[0])}"' + (f', offset = "-{duration(-window[1])}"' if window[1] else "")
            named = "" if self.by_default else f'name = "{name}", '
            lines.append(f'  {{ {named}column = "{column}", type = "{COLUMNS[column]}", function = "{function}", window = {at} }},')
        return "\n".join(lines) + "\n]\n"


def iso(us):
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=us)
    return moment.isoformat(timespec="microseconds") + "Z"


STREAM, FILE, BOTH = {"stream": "flights"}, {"file": "all.parquet"}, {"stream": "later_flights", "file": "before.parquet"}
views = [View("continuous", STREAM, None, CONTINUOUS, FUNCTIONS), View("both", BOTH, DAY, TILED[DAY], FUNCTIONS)]
for interval, windows in TILED.items():
    for kind, where in (("batch", FILE), ("stream", STREAM)):
        views.append(View(f"{kind}_{duration(interval)}", where, interval, windows, FUNCTIONS))
for kind, where in (("batch", FILE), ("stream", STREAM)):
    views.append(View(f"{kind}_by_origin", where, DAY, SECONDARY, GROUPED, secondary="origin"))
by_clock = View("by_clock", STREAM, DAY, TILED[DAY], BY_DEFAULT, by_default=True)
views.append(View("continuous_by_origin", STREAM, None, [(7 * DAY, 0), (400 * DAY, 0)], GROUPED, secondary="origin"))

with open(f"{folder}/definitions/flights.toml", "w") as out:
    out.write('workspace = "prod"\n[entities.flyer]\njoin_keys = { key = "string" }\n')
    fields = ", ".join(f'{name} = "{kind}"' for name, kind in {"key": "string", "at": "timestamp", **COLUMNS}.items())
    for source in (STREAM["stream"], BOTH["stream"]):
        out.write(f'[stream_sources.{source}]\ntimestamp = "at"\nfields = {{ {fields} }}\n')
    out.write("".join(view.toml() for view in [*views, by_clock]))


# --- the server
class Server:
    def __init__(self):
        self.log = open(f"{folder}/serve.log", "w+")
        command = [gannet, "serve", "--listen", "127.0.0.1:0", "--config", f"{folder}/gannet.toml"]
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=self.log)
        atexit.register(self.process.kill)  # or it goes on after a lie
        while "message=listening address=" not in (said := open(f"{folder}/serve.log").read()):
            assert self.process.poll() is None, said
            time.sleep(0.01)
        address = said.split("message=listening address=")[1].split()[0]
        self.connection = http.client.HTTPConnection(address, timeout=20)

    def ask(self, path, body):
        self.connection.request("POST", path, json.dumps(body), {"Authorization": f"Tecton-key {key}"})
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())

    def ingest(self, batch):
        sources = {STREAM["stream"]: batch, BOTH["stream"]: [event for event in batch if not event["before"]]}
        records = {source: [{"record": record(event)} for event in events] for source, events in sources.items() if events}
        body = {"workspace_name": "prod", "dry_run": False, "records": records}
        for _ in range(2000):
            status, said = self.ask("/ingest", body)
            if status != 429:
                break
            time.sleep(0.01)  # what was written lately is being flushed
        if status == 400 and "12582912" in str(said) and len(batch) > 1:  # seven views with all their partials are a lot
            self.ingest(batch[: len(batch) // 2])
            self.ingest(batch[len(batch) // 2 :])
            return
        assert status == 200, said

    def view(self, name, of):
        options = {"includeNames": True, "includeServingStatus": True, "includeEffectiveTimes": True}
        params = {"workspaceName": "prod", "featureViewName": name, "joinKeyMap": {"key": of}, "metadataOptions": options}
        status, said = self.ask("/api/v1/feature-service/get-features", {"params": params})
        assert status == 200, f"{name} of {of}: {said}"
        items = said["metadata"]["features"]
        values = {item["name"].split(".", 1)[1]: value for item, value in zip(items, said["result"]["features"])}
        return values, {item["status"] for item in items}, {item.get("effectiveTime") for item in items}

    def end(self, with_signal):
        self.process.send_signal(with_signal)
        code = self.process.wait()
        assert with_signal == signal.SIGKILL or code == 0, open(f"{folder}/serve.log").read()


def record(event):
    return {"at": iso(event["us"]), **{name: event[name] for name in ("key", *COLUMNS)}}


# --- the oracle
def select(column, function):
    """SQL of an aggregate of the table `seen`, or None for what is bounded rather than equal."""
    name, _, rest = function.rstrip(")").partition("(")
    ordered = f"list({column} ORDER BY us) FILTER ({column} IS NOT NULL)"
    plain = {"mean": "avg", "count": "count"}.get(name, name)
    if name in ("last", "first") and rest:
        return f"{ordered}[-{rest}:]" if name == "last" else f"{ordered}[1:{rest}]"
    if name in ("last", "first"):
        return f"{ordered}[{'-1' if name == 'last' else '1'}]"
    if name == "approx_count_distinct":
        return f"count(DISTINCT {column})"
    if name == "approx_percentile":
        return f"list({column} ORDER BY {column}) FILTER ({column} IS NOT NULL)"
    if name == "count":
        return f"nullif(count({column}), 0)"
    return f"{plain}({column})"


@functools.cache
def compute(view, edge, upto):
    """By key, and by secondary key if there is one: the value of each feature at the edge, of the events that were sent."""
    results = {}
    for window in view.windows:
        if window == "lifetime":
            bounds = f"us >= {START} AND us < {edge}"
        elif view.interval:
            bounds = f"us >= {edge + window[1] - window[0]} AND us < {edge + window[1]}"
        else:
            bounds = f"us > {edge + window[1] - window[0]} AND us <= {edge + window[1]}"
        sent = f"SELECT * FROM sent WHERE phase <= {upto} AND {bounds}"
        if not view.interval:  # of one key and time there is one event
            sent = f"SELECT DISTINCT * EXCLUDE (phase, before) FROM ({sent})"
        by = "key" + (f", {view.secondary}" if view.secondary else "")
        here = [(name, column, function) for name, column, function, of in view.features if of == window]
        simple = [(name, column, function) for name, column, function in here if "_distinct(" not in function or function.startswith("approx")]
        columns = ", ".join(select(column, function) for _, column, function in simple)
        where = f"WHERE {view.secondary} IS NOT NULL" if view.secondary else ""
        for row in duck.execute(f"WITH seen AS ({sent}) SELECT {by}, {columns} FROM seen {where} GROUP BY {by}").fetchall():
            group, values = row[: 1 + bool(view.secondary)], row[1 + bool(view.secondary) :]
            results.setdefault((window, *group), {}).update(zip((name for name, _, _ in simple), values))
        for name, column, function in here:
            if (name, column, function) in simple:
                continue
            end, n = function.rstrip(")").split("_distinct(")
            best, part = ("max", f"[-{n}:]") if end == "last" else ("min", f"[1:{n}]")
            sql = f"""WITH seen AS ({sent}), once AS (SELECT {by}, {column} AS value, {best}(us) AS moment FROM seen WHERE {column} IS NOT NULL GROUP BY {by}, {column})
                      SELECT {by}, (list(value ORDER BY moment)){part} FROM once GROUP BY {by}"""
            for row in duck.execute(sql).fetchall():
                results[(window, *row[:-1])][name] = row[-1]
    return results


def plain(value, kind):
    """As JSON has it: int64 as a string."""
    if value is None or kind == "array":
        return value
    if isinstance(value, list):
        return [plain(one, kind) for one in value]
    return str(value) if kind == "int64" else value


def close(found, expected, tolerance):
    if isinstance(expected, list):
        return isinstance(found, list) and len(found) == len(expected) and all(map(lambda f, e: close(f, e, tolerance), found, expected))
    if isinstance(expected, float) and isinstance(found, (int, float)) and not isinstance(found, bool):
        return math.isclose(found, expected, rel_tol=tolerance, abs_tol=tolerance)
    return type(found) is type(expected) and found == expected


def agrees(column, function, found, expected):
    kind = COLUMNS[column].split("<")[0]
    if function.startswith("approx_count_distinct"):
        if not expected:
            return found is None
        precision = int(function[22:-1] or 8) if "(" in function else 8
        # Five standard errors; few values are told exactly.
        return isinstance(found, str) and abs(int(found) - expected) <= 5 * 1.04 / math.sqrt(2**precision) * expected
    if function.startswith("approx_percentile"):
        if not expected:
            return found is None
        share, precision = (function[18:-1] + ",100").split(",")[:2]
        share, n, slack = float(share), len(expected), 3 / float(precision)
        low = expected[max(0, math.floor((share - slack) * n) - 1)]
        high = expected[min(n - 1, math.ceil((share + slack) * n) + 1)]
        return isinstance(found, (int, float)) and low <= found <= high
    if function == "count":
        kind = "int64"
    elif function in ("mean", "var_samp", "var_pop", "stddev_samp", "stddev_pop"):
        expected = None if expected is None else float(expected)
        kind = "float64"
    elif function == "sum" and kind == "int64":
        expected = None if expected is None else int(expected)
    # Variances of equal values: zero, but for the last digits of doubles.
    tolerance = 1e-7 if function[:3] in ("var", "std") else 1e-6 if kind == "float32" else 1e-9
    return close(found, plain(expected, kind), tolerance)


compared = 0


def compare(server, view, edge, upto, of_keys):
    global compared
    expected = compute(view, edge, upto)
    known = {row[0] for row in duck.execute(f"SELECT DISTINCT key FROM sent WHERE phase <= {upto}").fetchall()}
    for of in of_keys:
        values, statuses, times = server.view(view.name, of)
        where = f"{view.name} of {of} at {iso(edge)}, seed {seed}"
        assert statuses == {"PRESENT" if of in known else "MISSING_DATA"}, f"{where}: {statuses}"
        if view.interval and of in known:
            assert {moment.rstrip("Z") for moment in times} == {iso(edge).split(".")[0]}, f"{where}: {times}"
        groups = {}
        for window, key, *group in expected:
            if key == of:
                groups.setdefault(window, []).extend(group)
        if view.secondary:
            for window in view.windows:
                found, inside = values.pop(f"origin_keys_{window_name(window)}"), sorted(groups.get(window, []))
                assert found == (inside if of in known else None), f"{where}: {found}, not {inside}"
        assert set(values) == {name for name, _, _, _ in view.features}, where
        for name, column, function, window in view.features:
            if view.secondary:
                each = [expected[window, of, group].get(name) for group in sorted(groups.get(window, []))]
                right = values[name] is None if of not in known else len(values[name]) == len(each) and all(
                    agrees(column, function, found, value) for found, value in zip(values[name], each))
            else:
                each = expected.get((window, of), {}).get(name)
                right = agrees(column, function, values[name], each)
            assert right, f"{where}: {name} is {values[name]}, and DuckDB says {each}"
            compared += 1


def compare_by_clock(server, upto, of_keys):
    """Windows end with today's beginning, whatever was sent last."""
    while True:
        today = int(time.time() * 1e6) // DAY * DAY
        try:
            return compare(server, by_clock, today, upto, of_keys)
        except AssertionError:
            if int(time.time() * 1e6) // DAY * DAY == today:
                raise  # and not because it is tomorrow by now


def as_floats(value):
    """A double without a fraction is written without a point."""
    return [as_floats(one) for one in value] if isinstance(value, list) else float(value) if isinstance(value, int) else value


def compare_each_other(server, where, of_keys):
    """Views of a file and of a stream, of the same events: to the digit, but for what depends on the order of additions."""
    global compared
    of = {view.name: view for view in views}
    for view in batch:
        stream = of[view.name.replace("batch", "stream")]
        for key in of_keys:
            (one, _, _), (other, _, _) = server.view(view.name, key), server.view(stream.name, key)
            for name, column, function, _ in view.features:
                if function.startswith("approx_percentile"):
                    continue  # depends on the order of events
                floats = function == "mean" or function[:3] in ("var", "std") or (function == "sum" and COLUMNS[column] == "float64")
                same = close(as_floats(one[name]), as_floats(other[name]), 1e-7) if floats else one[name] == other[name]
                assert same, f"{view.name} of {key} at {where}, seed {seed}: {name} is {one[name]}, and {other[name]} as a stream"
                compared += 1


# --- the run
def file(name, condition):
    """Without what lies right at an edge: a batch view would end a tile later."""
    duck.execute(f"""COPY (SELECT * EXCLUDE (us, phase, before), make_timestamptz(us) AS at FROM sent
                     WHERE {condition} AND us NOT IN {tuple(EDGES)} ORDER BY hash(us)) TO '{folder}/{name}' (FORMAT parquet)""")


with open(f"{folder}/gannet.toml", "w") as out:
    out.write("[ingest]\noverlay_mib = 8\n")
batch = [view for view in views if view.where == FILE]
file("before.parquet", "before")
file("all.parquet", "phase = 0")
run("apply", "definitions", "--materialize")
key = run("keys", "create", "--role", "admin").strip()
server = Server()
for phase, edge in enumerate(EDGES):
    streamed = [event for event in events if event["phase"] == phase]
    dice.shuffle(streamed)
    while streamed:
        many = dice.choice([1, 10, 100, 400])
        server.ingest(streamed[:many])
        del streamed[:many]
    if phase > 0:
        file("all.parquet", f"phase <= {phase}")
        run("materialize", *(view.name for view in batch))
    for view in batch:  # until the server has taken it up
        for _ in range(500):
            if server.view(view.name, "EDGE")[2] == {iso(edge).split(".")[0] + "Z"}:
                break
            time.sleep(0.02)
    for view in views:
        compare(server, view, edge, phase, keys + ["nobody"])
    compare_by_clock(server, phase, keys + ["nobody"])
    compare_each_other(server, iso(edge), keys + ["nobody"])
    server.end(signal.SIGKILL if phase == 0 else signal.SIGTERM)
    server = Server()
    for view in views:
        compare(server, view, edge, phase, dice.sample(keys, len(keys) // 4))
    compare_by_clock(server, phase, dice.sample(keys, len(keys) // 4))
server.end(signal.SIGTERM)
print(f"{compared} values compared, of {sum(len(view.features) for view in [*views, by_clock])} features of {len(views) + 1} views")
print("ok")
