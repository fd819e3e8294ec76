"""/openapi.json with real client generators: they generate clients without a warning, and the clients perform the whole life of a
server. A missing generator is a failure: versions are pinned in test/clients and installed in build/clients."""
import fcntl
import filecmp
import os
import re
import shutil
import subprocess

import pytest
from lucid import ROOT

SOURCE = os.path.join(ROOT, "test/clients")
TOOLS = os.path.join(ROOT, "build/clients")

pytestmark = pytest.mark.one_shape("the description of a process")


def run(*args, timeout=300, **more):
    done = subprocess.run(args, capture_output=True, text=True, timeout=timeout, check=False, **more)
    assert done.returncode == 0, f"{' '.join(args)}: {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout + done.stderr


def tools(name, pins, install):
    """The folder of a generator; installed if it is missing or its pins have changed, by one run at a time."""
    folder, seal = os.path.join(TOOLS, name), os.path.join(TOOLS, name, "installed")
    os.makedirs(TOOLS, exist_ok=True)
    with open(os.path.join(TOOLS, f".{name}"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(seal) or not filecmp.cmp(seal, pins, shallow=False):
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)
            install(folder)
            shutil.copy(pins, seal)
    return folder


@pytest.fixture
def described(daemon, tmp_path):
    path = tmp_path / "openapi.json"
    path.write_bytes(daemon.api(None).call("GET", "/openapi.json", expect=200).content)
    return str(path)


def test_python_client(daemon, described, tmp_path):
    pins = f"{SOURCE}/requirements.txt"

    def install(folder):
        run("/usr/bin/python3", "-m", "venv", folder)
        run(f"{folder}/bin/pip", "install", "-q", "-r", pins)
    folder = tools("python", pins, install)
    out = str(tmp_path / "client")
    said = run(f"{folder}/bin/openapi-python-client", "generate", "--path", described, "--output-path", out, "--config", f"{SOURCE}/python.yaml",
               "--fail-on-warning")
    assert "WARNING" not in said.upper(), said
    doc = daemon.api(None).get("/openapi.json")
    made = {f[:-3] for _, _, files in os.walk(f"{out}/lucid_rdp_client/api") for f in files}
    assert {op["operationId"] for item in doc["paths"].values() for op in item.values()} <= made  # none is missing
    assert run(f"{folder}/bin/python", f"{SOURCE}/life.py", daemon.url(), daemon.admin.token, out, timeout=120).strip() == "lived"


def test_typescript_client(daemon, described, tmp_path):
    def install(folder):
        for name in ("package.json", "package-lock.json"):
            shutil.copy(f"{SOURCE}/{name}", folder)
        run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=folder)
    folder = tools("typescript", f"{SOURCE}/package-lock.json", install)
    out, js = str(tmp_path / "client"), str(tmp_path / "js")
    run(f"{folder}/node_modules/.bin/openapi-ts", "-i", described, "-o", out, cwd=str(tmp_path))
    shutil.copy(f"{SOURCE}/life.ts", out)
    run(f"{folder}/node_modules/.bin/tsc", "--outDir", js, "--strict", "--target", "es2022", "--module", "commonjs", "--moduleResolution", "node10",
        "--lib", "es2022,dom,dom.iterable", f"{out}/life.ts")
    assert run("node", f"{js}/life.js", daemon.url(), daemon.admin.token, timeout=120).strip() == "lived"


def test_names_are_distinct_in_generators(daemon):
    """In PascalCase without dots, as generators name types, all components are distinct, and operation ids are identifiers."""
    doc = daemon.api(None).get("/openapi.json")
    plain = [re.sub(r"[^A-Za-z0-9]", "", name).lower() for name in doc["components"]["schemas"]]
    assert len(plain) == len(set(plain))
    derived = {}
    for name, schema in doc["components"]["schemas"].items():
        for member, inner in schema.get("properties", {}).items():
            if "enum" in inner or (inner.get("type") == "object" and "properties" not in inner):
                derived[re.sub(r"[^A-Za-z0-9]", "", name + member).lower()] = f"{name}.{member}"
    assert not set(derived) & set(plain), {derived[d] for d in set(derived) & set(plain)}
    ids = [op["operationId"] for item in doc["paths"].values() for op in item.values()]
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", i) for i in ids) and len({i.replace("_", "") for i in ids}) == len(ids)
    medias = {media for item in doc["paths"].values() for op in item.values() for r in op["responses"].values() for media in r.get("content", {})}
    assert not [m for m in medias if "*" in m], medias
