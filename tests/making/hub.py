"""A server on this machine that answers as the Hugging Face hub does, for one repository.

What `huggingface_hub` 2.4 asks for a snapshot of a commit: the tree, then each file by HEAD and
GET. Large files have the SHA-256 as ETag, small ones git's SHA-1 of a blob, as on the hub.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from pathlib import Path

LARGE = (".safetensors", ".bin")


def etag(name: str, content: bytes) -> str:
    if name.endswith(LARGE):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Hub:
    """Serve the files of `folder` as `owner/name` at `commit`.

    Attributes
    ----------
    requests : list of (method, path)
        What was asked, in order.
    cut : int or None
        Die after so many bytes of a large file.
    alter : bytes or None
        Send these bytes in place of a large file's last ones.
    """

    def __init__(self, folder: Path, repository: str, commit: str):
        self.folder, self.repository, self.commit = folder, repository, commit
        self.requests: list[tuple[str, str]] = []
        self.cut: int | None = None
        self.alter: bytes | None = None
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self):
                self.answer()

            def do_GET(self):
                self.answer()

            def answer(self):
                hub.requests.append((self.command, self.path))
                path = self.path.partition("?")[0]
                tree = f"/api/models/{hub.repository}/tree/"
                files = f"/{hub.repository}/resolve/{hub.commit}/"
                if path.startswith(tree):
                    if path != tree + hub.commit:
                        self.fail("RevisionNotFound", "Invalid rev id")
                    else:
                        self.send(json.dumps(hub.tree()).encode(), "application/json")
                elif path.startswith(files) and (hub.folder / path[len(files) :]).is_file():
                    name = path[len(files) :]
                    self.send((hub.folder / name).read_bytes(), "binary/octet-stream", name)
                elif path.startswith(files):
                    self.fail("EntryNotFound", "Entry not found")
                else:
                    self.fail("RepoNotFound", "Repository not found")

            def fail(self, code, message):
                self.send_response(404)
                self.send_header("X-Error-Code", code)
                self.send_header("X-Error-Message", message)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def send(self, content, kind, name=None):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                if name is not None:
                    self.send_header("ETag", f'"{etag(name, content)}"')
                    self.send_header("X-Repo-Commit", hub.commit)
                self.end_headers()
                if self.command == "HEAD":
                    return
                large = name is not None and name.endswith(LARGE)
                if large and hub.alter is not None:
                    content = content[: -len(hub.alter)] + hub.alter
                if large and hub.cut is not None:
                    self.wfile.write(content[: hub.cut])
                    self.close_connection = True
                    hub._server.socket.close()
                else:
                    self.wfile.write(content)

            def log_message(self, *arguments):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def tree(self):
        entries = []
        for path in sorted(self.folder.iterdir()):
            content = path.read_bytes()
            entry = {"type": "file", "path": path.name, "size": len(content)}
            entry["oid"] = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            if path.name.endswith(LARGE):
                digest = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 130}
            entries.append(entry)
        return entries

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
