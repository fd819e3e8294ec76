"""Measurements of the format of recordings: the writer alone, and `lucid-rdp verify` on what it wrote. BENCH_MB (100) is the size of a recording."""
import os
import resource
import subprocess
import tempfile
import time

import lucid
from measure import BENCH, SERVER_CPU, row, sh

MB = os.environ.get("BENCH_MB", "100")


def timed(*command):
    """Processor seconds of a command on one core; it must succeed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["taskset", "-c", SERVER_CPU, *command], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def verify():
    """Without the key, hashes and signatures; with it, every tag and record, too. sha256sum of coreutils reads the same files."""
    for kind in ("text", "noise"):
        with tempfile.TemporaryDirectory(prefix="lrdp-bench-") as work:
            os.mkdir(f"{work}/rec")
            out = sh("taskset", "-c", SERVER_CPU, f"{BENCH}/record", f"{work}/rec", kind, MB)
            f = {k: float(v) for k, v in (line.split() for line in out.splitlines())}
            files = [f"{work}/rec/{name}" for name in os.listdir(f"{work}/rec")]
            time.sleep(1)
            plain = min(timed(lucid.BIN, "verify", f"{work}/rec") for _ in range(3))
            full = min(timed(lucid.BIN, "verify", f"{work}/rec", "--master-key-file", f"{work}/rec.key") for _ in range(3))
            sums = min(timed("sha256sum", *files) for _ in range(3))
            size, raw = f["bytes"] / 1e6, f["raw_bytes"] / 1e6
            row(f"{kind}, {size:,.0f} MB of {raw:,.0f} MB: written", f"{raw / f['cpu_s']:,.0f} MB/s before compression", f"{f['memory_kib'] / 1024:.1f} MiB of memory", "≤ 16 MiB")
            row(f"{kind}: verified without the key", f"{size / plain:,.0f} MB/s on one core", f"sha256sum: {size / sums:,.0f} MB/s", "≥ 300 MB/s")
            row(f"{kind}: verified with the key, all records decoded", f"{size / full:,.0f} MB/s on one core", f"{raw / full:,.0f} MB/s before compression", "≥ 300 MB/s of either")


VERIFY = (verify,)
