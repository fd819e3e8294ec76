"""The output of make: one line for each stage, and the messages of the compiler. The compiler is replaced by a stub, so that it takes a
second."""
import os
import subprocess

import pytest
from lucid import ROOT

pytestmark = pytest.mark.one_shape("what make prints")

COMPILER = """#!/bin/sh
for a in "$@"; do
    case $last in -o) out=$a ;; esac
    case $a in *reply.c) echo "$a:1:1: warning: an odd line" >&2 ;; esac
    case $a in *router.c) [ -z "$BREAK" ] || { echo "$a:1:1: error: a wrong line" >&2; exit 1; } ;; esac
    last=$a
done
cp "$OBJECT" "$out"
"""


@pytest.fixture
def build(tmp_path):
    """build("program", VERBOSE=1): the lines that make prints, and its exit code."""
    for name in ("Makefile", "VERSION", "include", "src", "roles", "test", "web"):
        os.symlink(f"{ROOT}/{name}", tmp_path / name)
    (tmp_path / "cc").write_text(COMPILER, encoding="ascii")
    (tmp_path / "cc").chmod(0o755)
    (tmp_path / "empty.c").write_text("int empty;\n", encoding="ascii")
    subprocess.run(["gcc", "-c", "-o", "empty.o", "empty.c"], cwd=tmp_path, check=True)

    def make(*goals, **variables):
        broken = variables.pop("BREAK", "")
        env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k not in ("MFLAGS", "CFLAGS", "LDFLAGS", "V", "VERBOSE")}
        done = subprocess.run(["make", "-j2", f"CC={tmp_path}/cc", *goals, *(f"{k}={v}" for k, v in variables.items())], cwd=tmp_path, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              env={**env, "OBJECT": f"{tmp_path}/empty.o", "BREAK": broken})
        return done.stdout.splitlines(), done.returncode
    return make


def test_make_prints_a_line_a_stage_and_what_the_compiler_says(build, tmp_path):
    lines, code = build("V=test", "program")
    assert code == 0, lines
    warnings = [line for line in lines if "warning: an odd line" in line]
    assert len(warnings) == 1 and "src/api/answer/reply.c" in warnings[0], lines
    assert sorted(line.split() for line in lines if line not in warnings) == [["compile", "build/test"], ["link", "build/test"]], lines
    # a program that is out of date: only the last stage
    os.utime(tmp_path / "build/test/lucid-rdp", (0, 0))
    lines, code = build("V=test", "program")
    assert code == 0 and [line.split()[0] for line in lines] == ["link"], lines


def test_verbose_make_shows_whole_commands(build):
    lines, code = build("V=test", "build/test/src/api/answer/etag.o", VERBOSE=1)
    assert code == 0 and len(lines) == 1, lines
    assert any("-std=gnu11" in line and line.endswith("-c -o build/test/src/api/answer/etag.o src/api/answer/etag.c") for line in lines), lines


def test_a_file_that_does_not_compile_is_named(build):
    lines, code = build("V=test", "program", BREAK="yes")
    assert code != 0
    assert any("src/api/router.c:1:1: error: a wrong line" in line for line in lines), lines
    assert any("build/test/src/api/router.o" in line and "Error 1" in line for line in lines), lines
