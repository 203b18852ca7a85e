"""A collector of OTLP spans (HTTP, JSON): keeps the epochs that a pipeline has committed, each with
its number, its rows, and the instants of its first row and of its commit.
"""

import http.server
import json
import threading


class Collector:
    """Listens on a free port of this machine until it is closed."""

    def __init__(self, pipeline):
        self.pipeline = pipeline
        self.epochs = {}
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """Takes what is posted."""

            protocol_version = "HTTP/1.1"

            def do_POST(self):  # noqa: N802, the library's name
                length = int(self.headers.get("content-length", 0))
                collector.take(json.loads(self.rfile.read(length)))
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                """Says nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, body):
        """Notes the epochs among spans."""
        for resource in body.get("resourceSpans", ()):
            for scope in resource.get("scopeSpans", ()):
                for span in scope.get("spans", ()):
                    if span["name"] == "epoch":
                        self.note(span)

    def note(self, span):
        """Notes an epoch."""
        said = {a["key"]: next(iter(a["value"].values())) for a in span["attributes"]}
        if said.get("riskstream.pipeline") != self.pipeline:
            return
        self.epochs[int(said["riskstream.epoch"])] = (
            int(said["riskstream.rows"]),
            int(span["startTimeUnixNano"]) / 1e9,
            int(span["endTimeUnixNano"]) / 1e9,
        )

    def in_order(self):
        """Of each epoch: number, rows, first row's and commit's instants in seconds."""
        return [(number, *self.epochs[number]) for number in sorted(self.epochs)]

    def close(self):
        """Listens no longer."""
        self.server.shutdown()
        self.server.server_close()
