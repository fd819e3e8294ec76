"""A receiver of webhooks: a real HTTP server that verifies signatures as docs/operators-guide.md says."""
import hashlib
import hmac
import http.server
import json
import ssl
import threading
import time

TOLERANCE_S = 300


def verify(secret, headers, body, now=None):
    """True if the request was signed with the secret within the last minutes."""
    parts = dict(p.split("=", 1) for p in headers["X-Lucid-Signature"].split(","))
    expected = hmac.new(secret.encode(), parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    fresh = abs((now or time.time()) - int(parts["t"])) <= TOLERANCE_S
    return fresh and parts["t"] == headers["X-Lucid-Timestamp"] and hmac.compare_digest(expected, parts["v1"])


class Receiver:
    """Answers each request with the next of `answers`, and with the last one from then on: a status, or a function of the handler that returns one."""

    def __init__(self, *answers, tls=None, port=0):
        self.answers, self.requests, self.lock = list(answers) or [200], [], threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver.lock:
                    receiver.requests.append((self.path, dict(self.headers), body))
                    answer = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
                status = answer(self) if callable(answer) else answer
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", f"http://127.0.0.1:{receiver.port}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # a client that refuses the certificate
        self.port = self.server.server_address[1]
        self.scheme = "https" if tls else "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}/hook?key=not-to-be-logged"

    @property
    def events(self):
        with self.lock:
            return [json.loads(body) for _, _, body in self.requests]

    def types(self):
        return [e["type"] for e in self.events]

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
