"""The figures of servers and sessions as a Python program reads them with psutil, in two ways: `each` asks for the processes below each server and
session, as psutil offers it (Process.children); `once` passes over all processes of the host once, and sums over the trees.
Standard input: a JSON array with the pid of the first process of each server and session. Arguments: each or once, and rounds. Prints the
processor time of a round in microseconds."""
import json
import sys
import time

import psutil

FIGURES = ["pid", "ppid", "cpu_times", "memory_info", "io_counters", "num_threads"]


def tree(root, children):
    """The pids of a process and all below it."""
    found = [root]
    for pid in found:
        found += children.get(pid, ())
    return found


def sums(infos):
    return {
        "cpu_seconds": sum(i["cpu_times"].user + i["cpu_times"].system for i in infos),
        "memory_bytes": sum(i["memory_info"].rss - i["memory_info"].shared for i in infos),
        "io_read_bytes": sum(i["io_counters"].read_bytes for i in infos if i["io_counters"]),
        "io_write_bytes": sum(i["io_counters"].write_bytes for i in infos if i["io_counters"]),
        "tasks": sum(i["num_threads"] for i in infos)}


def once(roots):
    processes, children = {}, {}
    for p in psutil.process_iter(FIGURES):
        processes[p.info["pid"]] = p.info
        children.setdefault(p.info["ppid"], []).append(p.info["pid"])
    return [sums([processes[pid] for pid in tree(root, children) if pid in processes]) for root in roots]


def each(roots):
    figures = []
    for root in roots:
        first = psutil.Process(root)
        figures.append(sums([p.as_dict(FIGURES) for p in (first, *first.children(recursive=True))]))
    return figures


def sample(way, roots):
    host = {"cpu_percent": psutil.cpu_percent(), "memory": psutil.virtual_memory()._asdict(), "network": psutil.net_io_counters()._asdict(),
            "disk": psutil.disk_usage("/")._asdict(), "load": psutil.getloadavg()}
    return json.dumps({"host": host, "figures": way(roots)})


def main():
    roots, way, rounds = json.load(sys.stdin), {"each": each, "once": once}[sys.argv[1]], int(sys.argv[2])
    sample(way, roots)
    start = time.process_time()
    for _ in range(rounds):
        sample(way, roots)
    print(round((time.process_time() - start) / rounds * 1e6))


main()
