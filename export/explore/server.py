"""A server for one page, only on this machine."""

from __future__ import annotations

import base64
import hashlib
import http.server
import mimetypes
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

HOST = "127.0.0.1"
_MOST = 32  # connections at a time; a browser opens six
_SECONDS = 10.0  # seconds that a client may be silent
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".tflite": "application/octet-stream",
    ".wasm": "application/wasm",
}


class PageServer(http.server.ThreadingHTTPServer):
    """Serves named contents, and the files below some folders, on the loopback.

    Nothing else can be requested, because paths are looked up and never joined.
    Requests that name another host are refused, so that no web page can reach this
    server by a name that resolves to the loopback. No page may show this one in a
    frame, and it may not load anything from elsewhere. The number of connections is
    limited, and they end when the client is silent.

    Args:
        contents: bytes or files by their path, for example {"/": Path("index.html")}.
        folders: folders by the path below which their files appear, "/npm/core/".
        port: 0 takes a free one.

    Raises:
        OSError: if the port is taken.
    """

    daemon_threads = True

    def __init__(
        self,
        contents: dict[str, bytes | Path],
        folders: dict[str, Path] | None = None,
        port: int = 0,
    ) -> None:
        self.contents = contents
        self.folders = {k: v.resolve() for k, v in (folders or {}).items()}
        self.policy = _policy(contents.get("/", b""))
        self._free = threading.BoundedSemaphore(_MOST)
        super().__init__((HOST, port), _Handler)

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.server_port}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answers in a thread, or hangs up if too many are busy."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answers, and makes room for the next."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores clients that hang up; shows all other errors."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)

    def find(self, path: str) -> tuple[str, Callable[[], bytes]] | None:
        """Finds the content of a path.

        Args:
            path: decoded, without query.

        Returns:
            type: of the content.
            read: a function that reads it; None if there is nothing.
        """
        content = self.contents.get(path)
        if isinstance(content, bytes):
            return _type_of(path), lambda: content
        if isinstance(content, Path):
            return _type_of(content.name), content.read_bytes
        for prefix, folder in self.folders.items():
            if path.startswith(prefix) and "\0" not in path:
                try:
                    file = (folder / path.removeprefix(prefix)).resolve()
                    known = file.is_relative_to(folder) and file.is_file()
                except OSError:  # a name of 256 bytes, a loop of links
                    return None
                if known:
                    return _type_of(file.name), file.read_bytes
        return None


def _policy(page: bytes | Path) -> str:
    """What the page may load: only from here, and only its own inline scripts."""
    content = page if isinstance(page, bytes) else page.read_bytes()
    inline = re.findall(rb"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", content, re.S)
    digests = [base64.b64encode(hashlib.sha256(s).digest()).decode() for s in inline]
    hashes = "".join(f" 'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'self'; script-src 'self' 'wasm-unsafe-eval'{hashes}; "
        "img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


def _type_of(name: str) -> str:
    known = _TYPES.get(Path(name).suffix)
    return known or mimetypes.guess_type(name)[0] or "application/octet-stream"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: PageServer
    server_version = "kvae"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = _SECONDS

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing, because a terminal full of requests helps nobody."""

    def _answer(self, with_body: bool) -> None:
        port = self.server.server_port
        if self.headers.get("Host") not in (f"{HOST}:{port}", f"localhost:{port}"):
            self.send_error(403, "This page is only for this machine")
            return
        found = self.server.find(unquote(urlsplit(self.path).path))
        if found is None:
            self.send_error(404)
            return
        kind, read = found
        try:
            body = read()
        except OSError:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Content-Security-Policy", self.server.policy)
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        if with_body:
            self.wfile.write(body)
