"""The files of conf/, unchanged except for paths: each passes check-config, and the split ones run an installation."""
import glob
import os
import re
import shutil
import subprocess

import pytest

from lucid import BIN, ROLES, ROOT

pytestmark = pytest.mark.one_shape("files that make a shape")

SECRETS = {"jwt_secret": "a secret for tests alone, of more than 32 bytes", "master_key": "a master key for tests alone, of more than 32 bytes",
           "mongodb_url": "mongodb://somebody:a-password@store.internal/lucid_rdp", "redis_url": "redis://:a-password@store.internal"}
PATHS = {"/etc/lucid-rdp": "etc", "/var/lib/lucid-rdp": "data", "/var/log/lucid-rdp": "log", "/run/lucid-rdp": "run"}


def at(folder, text):
    """The text with its paths below a folder of the test."""
    for path, name in PATHS.items():
        text = text.replace(path, f"{folder}/{name}")
    return text


def place(folder, **secrets):
    """conf/ and secrets below the folder."""
    os.makedirs(f"{folder}/etc/secrets")
    for name, value in {**SECRETS, **secrets}.items():
        with open(f"{folder}/etc/secrets/{name}", "w", encoding="ascii") as f:
            f.write(value + "\n")
        os.chmod(f"{folder}/etc/secrets/{name}", 0o600)
    shutil.copytree(os.path.join(ROOT, "conf"), f"{folder}/conf")
    for path in glob.glob(f"{folder}/conf/**/*.*", recursive=True):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        with open(path, "w", encoding="utf-8") as f:
            f.write(at(folder, text))
        os.chmod(path, 0o600)


@pytest.fixture
def folder(tmp_path):
    os.chmod(tmp_path, 0o755)
    place(str(tmp_path))
    return str(tmp_path)


def check(folder, *args):
    return subprocess.run([BIN, "check-config", *args], cwd=folder, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True,
                          timeout=20, check=False)


@pytest.mark.parametrize("name", ["lucid-rdp.conf", "single-node.conf"])
def test_single_node_file_passes_check_config(folder, name):
    r = check(folder, "--config", f"{folder}/conf/{name}")
    assert r.returncode == 0 and r.stderr == "", r.stderr
    if name != "lucid-rdp.conf":
        assert re.search(r"^ENVIRONMENT=production ", r.stdout, re.M) and SECRETS["jwt_secret"] not in r.stdout


def test_split_has_a_file_for_each_role():
    assert {os.path.basename(p) for p in glob.glob(f"{ROOT}/conf/split/*")} == {"shared.env", *(f"{role}.env" for role in ROLES)}


@pytest.mark.parametrize("role", ROLES)
def test_split_files_pass_check_config(folder, role):
    r = check(folder, "--env-file", f"{folder}/conf/split/shared.env", "--env-file", f"{folder}/conf/split/{role}.env")
    assert r.returncode == 0 and r.stderr == "", r.stderr
    found = dict(line.split(" #")[0].rstrip().split("=", 1) for line in r.stdout.splitlines() if "=" in line)
    assert found["ROLE"] == role and found["DATA_DIR"] == f"{folder}/data/{role}" and found["MONGODB_URL"] == "********"
    assert not any(value in r.stdout for value in SECRETS.values())
