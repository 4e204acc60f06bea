#!/usr/bin/env python3
"""The soak itself; benches/soak.sh says what it is and starts it.

usage: soak.py GANNET FOLDER MINUTES KEYS SEED PORT

Each worker has keys of its own and knows what must be true of them. A request whose connection ended unanswered may have been done or
not: what is read next decides, for all of its keys alike.
"""
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import traceback

gannet, folder, minutes, keys_all, seed, port = sys.argv[1], sys.argv[2], float(sys.argv[3]), *map(int, sys.argv[4:7])
WORKERS = 4
# Kills belong to the first part; behind them one process goes on, whose memory is watched once it has settled.
END, KILLS_END, SETTLED = 60 * minutes, 24 * minutes, 33 * minutes
DRAIN = 10  # the longest that a server may take after SIGTERM
os.environ["GANNET_DATA"] = f"{folder}/store"
DEFINITIONS = """
workspace = "prod"
[entities.user]
join_keys = { user_id = "string" }
[stream_sources.events]
timestamp = "at"
fields = { user_id = "string", at = "timestamp", n = "int64" }
[feature_views.latest]
entity = "user"
stream = "events"
features = { n = "int64" }
[feature_views.totals]
entity = "user"
stream = "events"
features = [
  { column = "n", function = "count", window = "1d", name = "count" },
  { column = "n", function = "sum", window = "1d", name = "sum" },
]
[feature_views.profile]
entity = "user"
timestamp = "at"
source = { csv = "../users.csv" }
features = { version = "int64" }
[feature_services.all]
features = ["latest", "totals", "profile"]
"""
wrong, ends, counts, counting = [], threading.Event(), {}, threading.Lock()
started = time.monotonic()
key = None


def count(what, by=1):
    with counting:
        counts[what] = counts.get(what, 0) + by


def lie(text):
    wrong.append(text)
    ends.set()


def now_us():
    return time.time_ns() // 1000


def iso(us):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(us // 1_000_000)) + f".{us % 1_000_000:06}Z"


class State:
    """What is known of a key: the newest row, the events that count, and when it was deleted last, at the latest."""

    def __init__(self, newest=None, events=(), deleted=0):
        self.newest, self.events, self.deleted = newest, dict(events), deleted

    def with_event(self, us, n):
        newest = self.newest
        if us > self.deleted and (newest is None or us >= newest[0]):
            newest = (us, n)
        return State(newest, {**self.events, us: n}, self.deleted)

    def without(self, until_us):
        return State(None, {}, until_us)

    def vector(self):
        total = [str(len(self.events)), str(sum(self.events.values()))] if self.events else [None, None]
        return [None if self.newest is None else str(self.newest[1])] + total


class Gone(Exception):
    pass


class Worker(threading.Thread):
    def __init__(self, nth):
        super().__init__(daemon=True)
        self.nth, self.dice, self.states = nth, random.Random(seed * 1000 + nth), {}
        self.keys = [f"user-{nth}-{n}" for n in range(keys_all // WORKERS)]
        self.connection = None
        self.doubtful = set()  # of whose last request it is not known what became of it

    def ask(self, method, path, body):
        """Waits for a server, if there is none. Raises `Gone` if it goes away before it has answered."""
        while self.connection is None and not ends.is_set():
            try:
                self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                self.connection.connect()
            except OSError:
                self.connection = None
                time.sleep(0.01)
        if self.connection is None:
            raise Gone
        try:
            self.connection.request(method, path, json.dumps(body), {"Authorization": f"Tecton-key {key}"})
            answer = self.connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            self.connection.close()
            self.connection = None
            raise Gone from None

    def read(self, user):
        """The streamed part of the vector, and the version of the profile; waits for a server."""
        while not ends.is_set():
            try:
                version = profile.oldest
                params = {"workspaceName": "prod", "featureServiceName": "all", "joinKeyMap": {"user_id": user}}
                status, said = self.ask("POST", "/api/v1/feature-service/get-features", {"params": params})
            except Gone:
                continue
            if status in (429, 503):
                count(f"reads {status}")
                time.sleep(0.01)
                continue
            if status != 200:
                lie(f"{user}: {status} {said}")
                break
            count("reads")
            newest, of_profile, *totals = said["result"]["features"]
            if of_profile is None or not version <= int(of_profile) <= profile.newest:
                lie(f"{user}: profile {of_profile}, not {version} to {profile.newest}")
            return [newest] + totals
        raise Gone

    def change(self, method, body, after):
        """A write or a deletion; `after` is what its keys are like once it is done."""
        before = {user: self.states.get(user, State()) for user in after}
        try:
            status, said = self.ask(method, "/ingest", body)
        except Gone:
            if ends.is_set():
                self.doubtful.update(after)
                return
            count("unanswered")
            found = {user: self.read(user) for user in after}
            is_done = all(found[user] == state.vector() for user, state in after.items())
            is_not = all(found[user] == state.vector() for user, state in before.items())
            if not (is_done or is_not):
                lie(f"half of an unanswered request is there: {body}: {found}")
            # An event time that was in doubt stays out of what follows: see `choose_time`.
            self.states.update(after if is_done else {user: State(s.newest, s.events, max(s.deleted, after[user].deleted)) for user, s in before.items()})
            return
        if status == 200:
            self.states.update(after)
        elif status in (429, 503):
            count(f"writes {status}")
            time.sleep(0.01)
        else:
            lie(f"{status} {said} to {body}")

    def write(self):
        after, records = {}, []
        for _ in range(self.dice.choice([1, 1, 5, 50])):
            user = self.dice.choice(self.keys)
            state = after.get(user, self.states.get(user, State()))
            us = now_us() - 100_000 - (self.dice.randrange(300_000_000) if self.dice.random() < 0.3 else 0)
            if state.newest and self.dice.random() < 0.05:
                us = state.newest[0]  # the same moment once more
            if us <= state.deleted:
                continue
            n = self.dice.randrange(1_000_000)
            after[user] = state.with_event(us, n)
            records.append({"record": {"user_id": user, "at": iso(us), "n": n}})
        if records:
            count("rows", len(records))
            self.change("POST", {"workspace_name": "prod", "dry_run": False, "records": {"events": records}}, after)

    def delete(self):
        users = self.dice.sample(self.keys, self.dice.choice([1, 3]))
        body = {"workspace_name": "prod", "feature_view_names": ["latest", "totals"], "join_key_maps": [{"user_id": user} for user in users]}
        # When exactly it counted from is the server's; nothing is written from before it was answered.
        until_us = now_us() + 20_000_000
        after = {user: self.states.get(user, State()).without(until_us) for user in users}
        self.change("DELETE", body, after)
        for user in users:
            if (state := self.states.get(user)) and state.deleted == until_us:
                state.deleted = now_us()
        count("deletes")

    def run(self):
        try:
            while not ends.is_set():
                choice = self.dice.random()
                if choice < 0.45:
                    user = self.dice.choice(self.keys)
                    found, expected = self.read(user), self.states.get(user, State()).vector()
                    if found != expected:
                        lie(f"{user} is {found}, not {expected}")
                elif choice < 0.97:
                    self.write()
                else:
                    self.delete()
        except Gone:
            pass
        except Exception as e:  # or the others would go on for ever
            lie(f"worker {self.nth}: {e!r}")
            raise


class Profile:
    """Versions of the batch view that may be served: those since the last that was surely taken up."""

    oldest = newest = 0

    def write(self, version):
        with open(f"{folder}/users.csv", "w") as out:
            out.write("user_id,at,version\n")
            out.writelines(f"user-{nth}-{n},2024-01-01T00:00:{version % 60:02},{version}\n" for nth in range(WORKERS) for n in range(keys_all // WORKERS))


profile = Profile()


def run(*arguments):
    done = subprocess.run([gannet, *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        lie(f"{arguments}: {done.stdout}{done.stderr}")
    return done.stdout


class Server:
    process = None

    def start(self):
        log = open(f"{folder}/serve.log", "w")
        command = [gannet, "serve", "--listen", f"127.0.0.1:{port}", "--config", f"{folder}/gannet.toml"]
        self.process, begun = subprocess.Popen(command, cwd=folder, stderr=log), time.monotonic()
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() - begun > 30:
                return lie(f"it does not start: {open(f'{folder}/serve.log').read()}")
            time.sleep(0.01)
        count("starts")
        counts["slowest start ms"] = max(counts.get("slowest start ms", 0), int(1000 * (time.monotonic() - begun)))

    def is_ready(self):
        return self.get("/readyz")[0] == 200

    def get(self, path):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError:
            return 0, ""

    def kill(self):
        self.process.kill()
        self.process.wait()
        count("kills")

    def stop(self):
        """SIGTERM, while the workers' connections are open and ask for nothing."""
        self.process.terminate()
        begun = time.monotonic()
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        took = time.monotonic() - begun
        print(f"SIGTERM: it ended after {took:.1f} s")
        if code != 0 or took >= DRAIN:
            lie(f"it ended with {code}, {took:.1f} s after SIGTERM")

    def look(self, worker):
        """Every key of a worker once more."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        for user, state in worker.states.items():
            if user in worker.doubtful:
                continue
            params = {"workspaceName": "prod", "featureServiceName": "all", "joinKeyMap": {"user_id": user}}
            connection.request("POST", "/api/v1/feature-service/get-features", json.dumps({"params": params}), {"Authorization": f"Tecton-key {key}"})
            answer = connection.getresponse()
            said = json.loads(answer.read())
            newest, of_profile, *totals = said["result"]["features"] if answer.status == 200 else [said, 0]
            if [newest] + totals != state.vector() or int(of_profile or -1) < profile.oldest:
                lie(f"{user} is {[newest, of_profile] + totals} after a restart, not {state.vector()}")
            count("keys read after the last restart")

    def memory(self):
        """MiB that are the process's own, and of files."""
        with open(f"/proc/{self.process.pid}/status") as status:
            fields = dict(line.split(":", 1) for line in status)
        return int(fields["RssAnon"].split()[0]) / 1024, int(fields["RssFile"].split()[0]) / 1024


def size_mib(name):
    total = 0
    for where, _, names in os.walk(f"{folder}/store/{name}"):
        for file in names:
            try:
                total += os.stat(f"{where}/{file}").st_size
            except FileNotFoundError:
                pass
    return total >> 20


def reload(server, dice, turn):
    """New batch data, or new definitions; both while everything goes on."""
    if turn % 3 == 2:
        with open(f"{folder}/definitions/soak.toml", "w") as out:
            out.write(DEFINITIONS + f'[feature_services.turn_{turn}]\nfeatures = ["latest"]\n')
        run("apply", "definitions")
        count("applies")
        return
    profile.newest += 1
    profile.write(profile.newest)
    run("materialize", "profile")
    count("materializations")
    time.sleep(1.5)  # what a server promises, and some
    if server.is_ready():
        profile.oldest = profile.newest


def main(server):
    global key
    os.makedirs(f"{folder}/definitions", exist_ok=True)
    with open(f"{folder}/definitions/soak.toml", "w") as out:
        out.write(DEFINITIONS)
    with open(f"{folder}/gannet.toml", "w") as out:
        out.write(f"drain_seconds_max = {DRAIN}\n[ingest]\noverlay_mib = 8\n")
    profile.write(0)
    run("apply", "definitions", "--materialize")
    key = run("keys", "create", "--role", "admin").strip()
    dice = random.Random(seed)
    server.start()
    workers = [Worker(nth) for nth in range(WORKERS)]
    for worker in workers:
        worker.start()
    print(f"{'time':>6} {'rows':>9} {'reads':>9} {'deletes':>8} {'429/503':>8} {'unanswered':>10} {'starts':>6} {'reloads':>7} {'own MiB':>8} {'files MiB':>9} {'log MiB':>8} {'segments MiB':>12}")
    samples, all_samples, turn, next_kill, next_reload, next_line = [], [], 0, 1.0, 2.0, 0.0
    reloading = None
    while not ends.is_set() and (at := time.monotonic() - started) < END:
        if at >= next_kill and at < KILLS_END:
            server.kill()
            time.sleep(dice.random() * 0.2)
            server.start()
            next_kill = time.monotonic() - started + dice.uniform(0.5, min(12, END / 15))
        if at >= next_reload and (reloading is None or not reloading.is_alive()):
            reloading = threading.Thread(target=reload, args=(server, dice, turn), daemon=True)
            reloading.start()
            turn, next_reload = turn + 1, at + dice.uniform(2, 10)
            server.process.send_signal(signal.SIGHUP)
        if server.process.poll() is not None:
            lie(f"the server ended by itself: {open(f'{folder}/serve.log').read()}")
            break
        own, of_files = server.memory()
        all_samples.append((at, own, of_files))
        if at >= SETTLED:
            samples.append(own)
        if at >= next_line:
            refused = sum(n for what, n in counts.items() if what.endswith(("429", "503")))
            c = lambda what: counts.get(what, 0)
            print(f"{at:5.0f}s {c('rows'):9} {c('reads'):9} {c('deletes'):8} {refused:8} {c('unanswered'):10} {c('starts'):6} {c('materializations') + c('applies'):7} "
                  f"{own:8.1f} {of_files:9.1f} {size_mib('log'):8} {size_mib('segments'):12}", flush=True)
            next_line = at + END / 20
        time.sleep(0.2)
    ends.set()
    for thread in workers + ([reloading] if reloading else []):
        thread.join()
    status, metrics = server.get("/metrics")
    if server.process.poll() is None:
        server.stop()
    run("verify", "--all")
    if not wrong:
        server.start()
        for worker in workers:
            server.look(worker)
        server.kill()
    print(json.dumps(counts, sort_keys=True))
    print("".join(f"{line}\n" for line in metrics.splitlines() if line.startswith(("gannet_overlay", "gannet_flush", "gannet_compact", "gannet_log"))))
    if all_samples:
        nearest = lambda at: min(all_samples, key=lambda sample: abs(sample[0] - at))
        shown = [f"{own:.1f} + {files:.1f} {when}" for (_, own, files), when in zip(map(nearest, (0, END / 2, END)), ("at the start", "in the middle", "at the end"))]
        print(f"memory of the process that there was, its own + of files, MiB: {', '.join(shown)}")
    third = max(1, len(samples) // 3)
    first, last = samples[:third], samples[-third:]
    if samples:
        grown = max(last) - max(first)
        print(f"own memory of one process over {END - SETTLED:.0f} s: at most {max(first):.1f} MiB in the first third, {max(last):.1f} in the last")
        if grown > 8 + 0.1 * max(first):
            wrong.append(f"memory is not flat: {grown:.1f} MiB more")


server = Server()
try:
    main(server)
except BaseException as e:  # whatever it is, it is no success, and nothing is left behind
    lie(f"the soak itself failed: {e!r}")
    traceback.print_exc()
finally:
    ends.set()
    if server.process is not None and server.process.poll() is None:
        server.process.kill()
        server.process.wait()
if wrong:
    print("WRONG:", *wrong[:10], sep="\n  ", flush=True)
    os._exit(1)  # whatever a thread still waits for
print(f"every answer was right (seed {seed})")
