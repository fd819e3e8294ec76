"""What the measurements share: the program and the load on separate cores, and the table."""
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.chdir(ROOT)
os.environ["LUCID_BIN"] = os.path.join(ROOT, "build/release/lucid-rdp")
sys.path.insert(0, os.path.join(ROOT, "test/lib"))
subprocess.run(["make", "-s", "V=release", "program"], check=True)  # lucid asks the program for its roles
import lucid  # noqa: E402
import proc  # noqa: E402

BENCH = os.path.join(ROOT, "build/release/bench")
SERVER_CPU, LOAD_CPU = "0", "1"
SECONDS = float(os.environ.get("BENCH_SECONDS", "5"))
ROWS = []
TICK = os.sysconf("SC_CLK_TCK")


def row(name, value, against="", wanted=""):
    ROWS.append((name, value, against, wanted))
    print(f"{name}: {value} {against} {wanted}", file=sys.stderr, flush=True)


def sh(*args, **more):
    done = subprocess.run(args, capture_output=True, text=True, timeout=300, check=False, **more)
    if done.returncode:
        raise AssertionError(f"{args[0]} exited with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def pin(pid):
    """Pins all threads of the process to the server's core, so that the load has the other one."""
    sh("taskset", "-acp", SERVER_CPU, str(pid))


def wrk(url, token=None, connections=64, seconds=SECONDS, paths=()):
    """Requests per second, and their number; with `paths`, those in turn."""
    head = ["-H", f"Authorization: Bearer {token}"] if token else []
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        quoted = ", ".join(f'"{p}"' for p in paths)
        script.write(f"local paths, n = {{{quoted}}}, 0\nfunction request() n = n + 1; return wrk.format(nil, paths[n % #paths + 1]) end\n")
        script.flush()
        out = sh("taskset", "-c", LOAD_CPU, "wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", *head, *(["-s", script.name] if paths else []), url)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    if bad:
        raise AssertionError(out)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)), int(re.search(r"(\d+) requests in", out).group(1))


def pace(port, token, rate, path):
    """The 99th percentile in ms of requests at a fixed rate."""
    out = sh("taskset", "-c", LOAD_CPU, f"{BENCH}/load", "pace", str(port), token, "64", "2", f"{rate:.0f}", path)
    return float(re.search(r"p99_ms ([\d.]+)", out).group(1))


def cpu_seconds(*pids):
    return sum(proc.cpu_ticks(p) for p in pids) / TICK


def daemon(**settings):
    return lucid.Daemon(LOG_TARGET="stderr", METRICS_PUBLIC="true", **settings).start()


def fill(d, n):
    for i in range(n):
        d.admin.call("POST", lucid.SERVERS, {"name": f"server {i}", "auto_start": False}, expect=201)


def pss_kib(*pids):
    return sum(int(re.search(r"^Pss:\s+(\d+)", proc.read(f"/proc/{p}/smaps_rollup"), re.M).group(1)) for p in pids)


def idle_cpu(pids, seconds=10):
    before = cpu_seconds(*pids)
    time.sleep(seconds)
    return (cpu_seconds(*pids) - before) / seconds


def connect_within(port, seconds=5):
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.0005)
    raise AssertionError(f"no process listens on {port}")
