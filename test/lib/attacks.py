"""Attacks by real accounts: starts attacker.py where the attacker would start it, and collects the outcome."""
import json
import os
import secrets
import subprocess

import proc
from proc import until

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "attacker.py"), encoding="utf-8") as source:
    SCRIPT = source.read()
PYTHON = "/usr/bin/python3"  # an interpreter that every account can execute


class Attack:
    """One attack: its steps, and the lines that the attacker has written so far."""

    def __init__(self, steps, out_path):
        self.steps, self.out_path, self.process = steps, out_path, None

    def lines(self):
        text = proc.read(self.out_path) or ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.startswith("{") and line.endswith("\n")]

    def wait(self, timeout=30):
        """Waits until each step was tried once."""
        def done():
            if self.process and self.process.poll() not in (None, 0):
                raise AssertionError(f"the attacker exited with {self.process.returncode}: {proc.read(self.out_path)}")
            return any("done" in line for line in self.lines())
        until(f"the attacker to have tried everything: {self.out_path}", done, timeout)
        return self

    def results(self):
        """(step, outcome) of every step that does not hold a socket."""
        return [(self.steps[line["step"]], line) for line in self.lines() if "step" in line]

    def succeeded(self, harmless=lambda step, outcome: False):
        """The steps that were not refused, as text."""
        return [f"{step['do']} {step.get('path') or step.get('pid') or ''}" for step, outcome in self.results()
                if outcome["ok"] and not harmless(step, outcome)]

    def took(self):
        return [line["took"] for line in self.lines() if "took" in line]

    def heard(self):
        """Everything that reached a socket that the attacker holds."""
        return [line for line in self.lines() if "heard" in line]

    def end(self):
        for line in self.lines():
            if "pid" in line and (self.process or proc.alive(line["pid"])):
                proc.kill_one(line["pid"])
        if self.process:
            self.process.wait(10)


class Attacks:
    """Starts attacks, and ends them at the end of the test."""

    def __init__(self, folder):
        self.folder, self.started = folder, []

    def as_account(self, account, steps, wrap=()):
        """Runs the steps in a process of the account outside all desktops, or where the command `wrap` leads."""
        return self.as_ids(account.uid, account.gid, steps, wrap)

    def as_ids(self, uid, gid, steps, wrap=()):
        attack = Attack(steps, os.path.join(self.folder, secrets.token_hex(4)))
        with open(attack.out_path, "wb") as out:
            # pylint: disable-next=consider-using-with
            attack.process = subprocess.Popen(
                [*wrap, "setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", PYTHON, "-c", SCRIPT],
                stdin=subprocess.PIPE, stdout=out, stderr=out, cwd="/", env={"PATH": "/usr/bin:/bin"},
                start_new_session=True)
        attack.process.stdin.write(json.dumps(steps).encode())
        attack.process.stdin.close()
        self.started.append(attack)
        return attack.wait()

    def in_desktop(self, account, steps, timeout=30):
        """Runs the steps in the account's desktop, which must be running."""
        name = f".job.attack-{secrets.token_hex(4)}"
        attack = Attack(steps, os.path.join(account.home, name + ".out"))
        account.write(name + ".py", SCRIPT)
        account.write(name + ".steps", json.dumps(steps))
        account.job(f'exec {PYTHON} "$HOME/{name}.py" <"$HOME/{name}.steps" >"$HOME/{name}.out" 2>&1')
        self.started.append(attack)
        return attack.wait(timeout)

    def end(self):
        for attack in self.started:
            attack.end()
