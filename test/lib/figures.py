"""Resources of a process (memory, descriptors, threads), and of the program on the host."""
import os
import re

import proc


def memory_kib(pid):
    """Memory that the process has allocated itself (anonymous). Not its PSS: that grows when another process of the same program ends, as
    fewer share its code then. None if the process has exited."""
    for line in (proc.read(f"/proc/{pid}/smaps_rollup") or "").splitlines():
        if line.startswith("Anonymous:"):
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
    return {"memory": memory_kib(pid), "fds": descriptors(pid), "threads": threads(pid)}


def of_page(text, name):
    """The value of a metric without labels on a page of /metrics."""
    return float(re.search(rf"^{name} (\S+)", text, re.M).group(1))
