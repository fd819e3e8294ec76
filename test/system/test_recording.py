"""Recordings of sessions: what was on the screen of a real desktop, over the API and in the files; who may see it, and what is found when it was
changed."""
import hashlib
import json
import os
import struct
import subprocess
import time

import pytest
import zstandard

import rck_reader
from lucid import SESSIONS, XRDP
from proc import until
from test_sessions_control import error
from test_sessions_life import LIST, session_of
from test_sessions_messages import sees_message

BLUE, GREEN, RED = "#3366cc", "#33aa44", "#cc3322"
SIZE = (800, 600)
MASTER = "0123456789abcdef0123456789abcdef"
NEXT = "fedcba9876543210fedcba9876543210"


class Recorded:
    """A session of an account on a server of anna."""

    def __init__(self, d, user, login):
        self.d, self.user = d, user
        user.paint(BLUE)
        self.api, self.admin = d.api("anna", SESSIONS), d.api("admin", SESSIONS)
        self.server = d.api("anna").create_server("seen", desktop={"session": "xorg", "profile": "paint"})
        self.client = login(d, self.server, user, size=SIZE)
        self.client.wait_colour(BLUE)
        self.session = session_of(d, self.server, "active")
        self.path = f"{LIST}/{self.session['session_id']}"

    def start(self, expect=201, **config):
        answer = self.api.call("POST", f"{self.path}/recording/start", config, expect=expect).json()
        self.id = answer.get("recording_id", getattr(self, "id", None))
        return answer

    def stop(self):
        self.api.call("POST", f"{self.path}/recording/stop", expect=200)
        return until("the seal", lambda: (lambda r: r if r["sealed_at"] else None)(self.get()), 30)

    def get(self):
        return self.api.get(f"{self.path}/recording")

    def paint(self, colour):
        self.user.paint(colour)
        self.client.wait_colour(colour)

    def chunks(self):
        return self.api.get(f"{self.path}/chunks")["chunks"]

    def data(self, seq, expect=200, api=None, encoding="identity", start=0):
        r = (api or self.api).call("GET", f"{self.path}/chunks/{seq}/data?from={start}", headers={"Accept-Encoding": encoding}, expect=expect, stream=True)
        return r.headers, r.raw.read(decode_content=False)

    def verify(self):
        return self.api.get(f"{self.path}/recording/verify")

    def dir(self):
        return f"{self.d.settings['DATA_DIR']}/recordings/{self.id}"


def picture(chunk, plain):
    """The last picture of a chunk, and the share of its pixels with each colour."""
    c = rck_reader.Chunk.__new__(rck_reader.Chunk)
    c.plain, c.width, c.height, c.t0 = plain, chunk["width"], chunk["height"], chunk["t0_ms"]
    list(c.records())
    return bytes(c.picture)


def share(pixels, colour):
    r, g, b = (int(colour[i:i + 2], 16) for i in (1, 3, 5))
    want = struct.pack("<I", r << 16 | g << 8 | b)[:3]
    return sum(pixels[i:i + 3] == want for i in range(0, len(pixels), 4)) / (len(pixels) // 4)


@pytest.fixture
def recorded(make_daemon, users, login):
    def make(**settings):
        d = make_daemon(MASTER_KEY=MASTER, STORAGE_HIGH_WATER_MB="2", STORAGE_LOW_WATER_MB="1", **settings)
        user, = users(1, d)
        return Recorded(d, user, login)
    return make


def test_recording_shows_what_was_on_the_screen(recorded):
    r = recorded()
    assert error(r.api.call("GET", f"{r.path}/recording", expect=404))["code"] == "LUCID_ERR_3001"
    begun = r.start(chunk_seconds=5, compression="zstd")
    assert (begun["state"], begun["width"], begun["height"], begun["started_by"]) == ("recording", *SIZE, "anna")
    assert "wrapped_key" not in begun
    assert error(r.api.call("POST", f"{r.path}/recording/start", {}, expect=409))["code"] == "LUCID_ERR_3005"
    r.paint(GREEN)

    # live: what is on the screen is there within two seconds
    def live():
        found = r.chunks()
        if not found:
            return None
        last = found[-1]
        head, plain = r.data(last["seq"])
        return (head, plain, last) if share(picture(last, plain), GREEN) > 0.5 else None
    head, plain, last = until("green in the running chunk", live, 20, 0.2)
    assert head["X-Chunk-Closed"] in ("true", "false") and "no-store" in head["Cache-Control"] and "Accept-Encoding" in head["Vary"]
    time.sleep(6)
    r.paint(RED)
    time.sleep(2)
    done = r.stop()
    assert (done["state"], done["chunks"] >= 2, done["stopped_by"]) == ("complete", True, "anna")
    chunks = r.chunks()
    assert [c["seq"] for c in chunks] == list(range(done["chunks"])) and all(c["closed"] for c in chunks)
    pictures = [picture(c, r.data(c["seq"])[1]) for c in chunks]
    assert share(pictures[0], GREEN) > 0.9 and share(pictures[-1], RED) > 0.9

    # as stored, for clients that take zstd, and the rest of what a client has
    head, packed = r.data(0, encoding="gzip, zstd")
    assert head["Content-Encoding"] == "zstd"
    whole = r.data(0)[1]
    assert zstandard.ZstdDecompressor(max_window_size=1 << 23).decompressobj().decompress(packed) == whole
    head, rest = r.data(0, encoding="zstd", start=1000)
    assert "Content-Encoding" not in head and rest == whole[1000:]

    # a stranger reads the same from the files
    read = [(c.seq, bytes(c.picture)) for c in rck_reader.recording(r.dir(), MASTER.encode()) for _ in [list(c.records())]]
    assert read == list(enumerate(pictures))
    seal = json.load(open(f"{r.dir()}/seal.json", encoding="utf-8"))
    assert seal["merkle_root"] == done["merkle_root"] and seal["head"] == done["head"]
    result = r.verify()
    assert result["ok"] and result["sealed"] and result["decrypted"] and result["chunks"] == done["chunks"], result

    # the stages, the activity, the audit log
    pipeline = r.api.get(f"{r.path}/pipeline")
    assert [s["stage_name"] for s in pipeline["stages"]] == ["recording", "compression", "encryption", "storage"]
    assert pipeline["pipeline_status"] == "stopped" and all(s["metrics"]["items_processed"] > 0 for s in pipeline["stages"]), pipeline
    activity = r.api.get(f"{r.path}/recordings/{r.id}/activity?step=1")["activity"]
    assert max(activity) >= 10 and 0 in activity
    hashes = {f"{r.id}/{c['seq']} sha256:{c['hash']}" for c in chunks}
    assert [c["hash"] for c in chunks] == [hashlib.sha256(open(f"{r.dir()}/{n:08}.rck", "rb").read()).hexdigest() for n in range(len(chunks))]
    until("the hashes in the audit log", lambda: {e["object"] for e in r.admin.get("/api/v1/audit?action=recording.chunk&limit=100")["entries"]} == hashes)
    views = r.admin.get("/api/v1/audit?action=recording.viewed")["entries"]
    assert [(e["actor"], e["object"]) for e in views] == [("anna", r.id)]  # one viewing, however many chunks
    until("the check in the audit log", lambda: r.admin.get("/api/v1/audit?action=recording.verified")["entries"])


def test_others_neither_see_nor_delete_it(recorded):
    r = recorded()
    r.start()
    carl = r.d.api("carl", SESSIONS)
    for path in ("recording", "recordings", "pipeline", "chunks", "chunks/0", "chunks/0/data", "recording/verify", f"recordings/{r.id}/activity"):
        assert error(carl.call("GET", f"{r.path}/{path}", expect=404))["code"] == "LUCID_ERR_2201", path
    for path in ("recording/start", "recording/stop"):
        carl.call("POST", f"{r.path}/{path}", {} if path.endswith("start") else None, expect=404)
    r.api.call("DELETE", f"{r.path}/recordings/{r.id}", expect=403)
    assert error(r.admin.call("DELETE", f"{r.path}/recordings/{r.id}", expect=409))["code"] == "LUCID_ERR_3005"  # it runs
    r.stop()
    r.admin.call("PATCH", r.path, {"storage_config": {"hold": True}}, expect=200)
    until("the hold", lambda: r.get()["storage_config"]["hold"])
    assert "hold" in error(r.admin.call("DELETE", f"{r.path}/recordings/{r.id}", expect=409))["message"]
    r.admin.call("PATCH", r.path, {"storage_config": {"hold": False}}, expect=200)
    until("the end of the hold", lambda: not r.get()["storage_config"]["hold"])

    # it outlives its session
    r.api.call("DELETE", r.path, expect=204)
    assert [x["recording_id"] for x in r.api.get(f"{r.path}/recordings")["recordings"]] == [r.id]
    assert r.verify()["ok"]
    r.admin.call("DELETE", f"{r.path}/recordings/{r.id}", expect=204)
    assert not os.path.exists(r.dir())
    assert error(r.api.call("GET", f"{r.path}/recordings", expect=404))["code"] == "LUCID_ERR_2201"


def change(r, how):
    path = f"{r.dir()}/00000000.rck"
    data = bytearray(open(path, "rb").read())
    if how == "bit":
        data[len(data) // 2] ^= 1
    elif how == "cut":
        del data[-40:]
    elif how == "gone":
        os.rename(path, path + ".away")
        return
    with open(path, "r+b") as f:
        f.write(data)
        f.truncate(len(data))


def test_change_of_the_files_is_found_and_named(recorded):
    r = recorded()
    r.start(chunk_seconds=5)
    r.paint(GREEN)
    r.stop()
    path = f"{r.dir()}/00000000.rck"
    data = open(path, "rb").read()
    for how in ("bit", "cut", "gone"):
        change(r, how)
        result = r.verify()
        assert not result["ok"] and result["faults"][0]["seq"] == 0, (how, result)
        assert not until("the result", lambda: r.get()["verified"])["ok"]
        with open(path, "wb") as f:
            f.write(data)
    assert r.verify()["ok"]
    # the end is cut off together with its index entry and the seal: the store has the hash
    os.unlink(path)
    os.unlink(f"{r.dir()}/seal.json")
    index = open(f"{r.dir()}/index", "rb").read()
    with open(f"{r.dir()}/index", "wb") as f:
        f.write(index[:-128])
    result = r.verify()
    assert not result["ok"] and "removed" in str(result["faults"]), result


def test_recording_survives_the_death_of_the_server(recorded):
    r = recorded()
    r.start(chunk_seconds=5)
    r.d.kill(r.d.server_pid())
    r.paint(GREEN)
    time.sleep(6)
    until("the API", lambda: r.api.call("GET", f"{r.path}/recording").status_code == 200, 30)
    assert r.get()["state"] == "recording"
    r.paint(RED)
    time.sleep(1)
    done = r.stop()
    assert done["state"] == "complete" and r.verify()["ok"]
    chunks = r.chunks()
    assert share(picture(chunks[-1], r.data(chunks[-1]["seq"])[1]), RED) > 0.9


def test_recording_goes_on_after_the_death_of_the_supervisor(recorded):
    r = recorded()
    r.start(chunk_seconds=5)
    r.paint(GREEN)
    r.d.kill(r.d.supervisor)
    r.d.start()
    until("the recorder again", lambda: [x for x in r.d.admin.get(f"{XRDP}/recordings")["recordings"] if x["state"] == "recording"], 60, 0.5)
    assert r.get()["state"] == "recording"
    r.paint(RED)
    time.sleep(1)
    done = r.stop()
    chunks = r.chunks()
    assert done["state"] == "complete" and r.verify()["ok"], r.verify()
    assert share(picture(chunks[-1], r.data(chunks[-1]["seq"])[1]), RED) > 0.9


def test_session_that_wants_it_is_recorded_until_it_ends(recorded):
    r = recorded()
    r.api.call("PATCH", r.path, {"recording_config": {"enabled": True, "frame_rate": 10}}, expect=200)
    begun = until("the recording", lambda: r.api.call("GET", f"{r.path}/recording").status_code == 200 and r.get(), 20)
    assert (begun["config"]["frame_rate"], begun["started_by"]) == (10, None)
    r.id = begun["recording_id"]
    r.paint(GREEN)
    r.api.call("POST", f"{r.path}/terminate", {}, expect=200)
    done = until("the seal", lambda: (lambda x: x if x["sealed_at"] else None)(r.get()), 40)
    assert done["state"] == "complete" and r.verify()["ok"]


def test_keys_are_wrapped_again_under_a_new_master_key(recorded):
    r = recorded()
    r.start(chunk_seconds=5)
    r.paint(GREEN)
    before = r.stop()
    r.d.settings["MASTER_KEY"], r.d.settings["MASTER_KEYS_OLD"] = NEXT, MASTER
    r.d.stop()
    r.d.start()
    after = until("the new key", lambda: (lambda x: x if x["key_id"] != before["key_id"] else None)(r.get()), 60)
    assert after["merkle_root"] == before["merkle_root"]
    r.d.settings["MASTER_KEYS_OLD"] = None
    r.d.stop()
    r.d.start()
    until("the API", lambda: r.api.call("GET", f"{r.path}/recording").status_code == 200, 30)
    assert len(r.data(0)[1]) > SIZE[0] * SIZE[1]
    list(rck_reader.recording(r.dir(), NEXT.encode()))


def test_server_that_records_covers_found_sessions_from_their_first_picture(make_daemon, users, login):
    d = make_daemon(MASTER_KEY=MASTER, STORAGE_HIGH_WATER_MB="2", STORAGE_LOW_WATER_MB="1")
    user, = users(1, d)
    user.paint(BLUE)
    server = d.api("anna").create_server("seen", desktop={"session": "xorg", "profile": "paint"},
                                         recording={"mode": "on", "notice": "This session is recorded.", "on_failure": "refuse"})
    client = login(d, server, user, size=SIZE)
    client.wait_colour(BLUE, share=0.5)
    session = session_of(d, server, "active")
    path, api = f"{LIST}/{session['session_id']}", d.api("anna", SESSIONS)
    begun = until("the recording", lambda: api.call("GET", f"{path}/recording").status_code == 200 and api.get(f"{path}/recording"), 20)
    assert (begun["state"], begun["started_by"]) == ("recording", None)
    sees_message(client)
    # the person may see it, and not stop it
    own = d.api(user.name, SESSIONS)
    assert error(own.call("POST", f"{path}/recording/stop", expect=403))["code"] == "LUCID_ERR_0003"
    # nor can the person shorten what is kept, or have it recorded in another way
    for change in ({"storage_config": {"retention_days": 1}}, {"storage_config": {"max_bytes": 1}}, {"recording_config": {"quality": "low"}}):
        assert error(own.call("PATCH", path, change, expect=403))["code"] == "LUCID_ERR_0003"
        own.call("POST", LIST, {"server_id": server["server_id"], **change}, expect=(403, 404))
    own.call("PATCH", path, {"name": "mine"}, expect=200)
    api.call("PATCH", path, {"storage_config": {"hold": True}}, expect=422)
    kept = d.api("admin", SESSIONS).call("PATCH", path, {"storage_config": {"hold": True, "max_bytes": 1 << 40}}, expect=200).json()
    assert kept["storage_config"] == {"hold": True, "max_bytes": 1 << 40}
    own.call("PATCH", path, {"storage_config": {"hold": False}}, expect=(403, 422))
    api.call("PATCH", path, {"recording_config": {"source": "rdp"}}, expect=422)
    api.call("POST", f"{path}/recording/stop", expect=200)
    first = api.get(f"{path}/chunks")["chunks"][0]
    r = api.call("GET", f"{path}/chunks/0/data", headers={"Accept-Encoding": "identity"}, expect=200, stream=True)
    records = rck_reader.Chunk.__new__(rck_reader.Chunk)
    records.plain, records.width, records.height, records.t0 = r.raw.read(), first["width"], first["height"], first["t0_ms"]
    t, kind, facts = next(records.records())
    assert kind == "frame" and facts["key"] and share(bytes(records.picture), BLUE) < 0.5  # before a program ran on it


def probe(path):
    said = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=width,height,nb_read_frames:format=duration", "-of", "json", path],
                          capture_output=True, text=True, check=True).stdout
    found = json.loads(said)
    return found["streams"][0], float(found["format"]["duration"])


def colour_at(path, seconds):
    """The colour in the middle of the video at this time."""
    raw = subprocess.run(["ffmpeg", "-v", "error", "-ss", str(seconds), "-i", path, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
                         capture_output=True, check=True).stdout
    middle = (SIZE[1] // 2 * SIZE[0] + SIZE[0] // 2) * 3
    return raw[middle:middle + 3]


def about(found, colour):
    return all(abs(c - int(colour[i:i + 2], 16)) <= 12 for c, i in zip(found, (1, 3, 5)))


def test_export_is_a_video_of_the_recording(recorded, tmp_path):
    r = recorded()
    r.start(chunk_seconds=5)
    time.sleep(2)
    r.paint(GREEN)
    time.sleep(6)
    r.paint(RED)
    time.sleep(2)
    assert error(r.api.call("GET", f"{r.path}/recording/export", expect=409))["code"] == "LUCID_ERR_3005"  # it runs
    done = r.stop()
    carl = r.d.api("carl", SESSIONS)
    carl.call("GET", f"{r.path}/recording/export", expect=404)
    for kind in ("mp4", "webm", "mkv"):
        job = r.api.call("GET", f"{r.path}/recording/export?format={kind}&fps=5", expect=202).json()
        carl.call("GET", f"{r.path}/recording/export/{job['id']}", expect=404)

        def finished():
            seen = r.api.get(f"{r.path}/recording/export/{job['id']}")
            return seen if seen["state"] != "running" else None
        made = until("the export", finished, 60, 0.2)
        assert (made["state"], made["percent"]) == ("done", 100), made
        carl.call("GET", made["file"], expect=404)
        answer = r.api.call("GET", made["file"], expect=200)
        assert len(answer.content) == made["bytes"] and f".{kind}" in answer.headers["Content-Disposition"]
        path = str(tmp_path / f"video.{kind}")
        with open(path, "wb") as f:
            f.write(answer.content)
        video, seconds = probe(path)
        assert (video["width"], video["height"]) == SIZE
        assert abs(seconds - 1 - done["duration_ms"] / 1000) < 0.5 and abs(int(video["nb_read_frames"]) - seconds * 5) <= 2
        if kind == "mp4":
            assert about(colour_at(path, 0.2), BLUE) and about(colour_at(path, seconds - 0.5), RED)
    # asked again, it is there; deleted, it is gone
    assert r.api.call("GET", f"{r.path}/recording/export?format=mkv&fps=5", expect=202).json()["id"] == job["id"]
    r.api.call("DELETE", f"{r.path}/recording/export/{job['id']}", expect=204)
    r.api.call("GET", f"{r.path}/recording/export/{job['id']}", expect=404)
    # cancelled while it runs
    job = r.api.call("GET", f"{r.path}/recording/export?format=mp4&fps=60", expect=202).json()
    r.api.call("DELETE", f"{r.path}/recording/export/{job['id']}", expect=204)
    state = until("the end", lambda: (lambda s: s if s != "running" else None)(r.api.get(f"{r.path}/recording/export/{job['id']}")["state"]), 20)
    assert state == "cancelled"
