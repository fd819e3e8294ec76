"""The event stream, read one event at a time."""
import json


class Events:
    """Events of the given topics from now on: with Events(daemon, "xrdp.login.*") as events: … events.next()."""

    def __init__(self, daemon, topics):
        self.reply = daemon.admin.call("GET", f"/events?topics={topics}", expect=200, stream=True, timeout=60)
        self.lines = self.reply.iter_lines(chunk_size=1, decode_unicode=True)

    def next(self):
        return json.loads(next(line for line in self.lines if line.startswith("data:"))[5:])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.reply.close()
