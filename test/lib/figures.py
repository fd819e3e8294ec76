"""What a process holds: memory, descriptors, threads; and what the program holds on the host."""
import os
import re

import proc


def pss_kib(pid):
    """Its share of memory, pages that others share divided among them; None when it is gone."""
    for line in (proc.read(f"/proc/{pid}/smaps_rollup") or "").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return None


def descriptors(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return None


def threads(pid):
    return int(proc.status(pid).get("Threads", 0)) or None


def mounts(pid):
    return len((proc.read(f"/proc/{pid}/mountinfo") or "").splitlines())


def of_process(pid):
    return {"pss": pss_kib(pid), "fds": descriptors(pid), "threads": threads(pid)}


def of_page(text, name):
    """A figure without labels, of a page of /metrics."""
    return float(re.search(rf"^{name} (\S+)", text, re.M).group(1))
