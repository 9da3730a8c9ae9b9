"""A Hub on loopback that the stock huggingface_hub client can't tell from the real one.

It answers what the client really asks when it creates, pushes, tags, lists and downloads models:
large files by LFS and a redirect, small ones inside the commit, ETags, ranges, and errors with the
headers by which the client chooses its exception. Faults are made by :meth:`Endpoint.fail` and
:meth:`Endpoint.cut`.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote

from hub_card_rules import faults
from hub_repository import Commit, Repository, etag, is_large, listing, sha256

OWNER, READER = "hf_owner", "hf_reader"
"""Tokens: of who may write below ``team/``, and of somebody who may only read."""


class HubError(Exception):
    """An answer that is no success: status, X-Error-Code, message."""

    def __init__(self, status: int, message: str, code: str = "", **more: object) -> None:
        super().__init__(message)
        self.status, self.code, self.more = status, code, more


class Endpoint(ThreadingHTTPServer):
    """The server: what it holds, what it was asked, and the faults that it is to make."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.cdn = f"http://localhost:{self.server_port}"  # another host: it gets no token
        self.repositories: dict[str, Repository] = {}
        self.large: dict[str, bytes] = {}
        self.asked: list[tuple[str, str, str]] = []  # method, path, range
        self.sent: dict[str, int] = {}  # bytes of each file, over all downloads
        self._failures: list[list[Any]] = []  # pattern of "METHOD path", status, times left
        self._cuts: list[list[Any]] = []  # pattern of a file, bytes, times left

    def fail(self, pattern: str, status: int, times: int = 1) -> None:
        """The next ``times`` requests whose "METHOD path" matches are answered by ``status``."""
        self._failures.append([pattern, status, times])

    def cut(self, pattern: str, after: int, times: int = 1) -> None:
        """The next ``times`` downloads of a matching file end after that many bytes."""
        self._cuts.append([pattern, after, times])

    def due(self, kind: str, text: str) -> int | None:
        """What the first fault that matches and is not used up says; None if there is none."""
        for fault in getattr(self, f"_{kind}"):
            if fault[2] > 0 and re.search(fault[0], text):
                fault[2] -= 1
                return fault[1]
        return None

    def downloads(self) -> set[str]:
        """Names of the files whose content was sent since the last :meth:`forget`."""
        return {path for path, count in self.sent.items() if count}

    def forget(self) -> None:
        """Starts counting anew."""
        self.asked, self.sent = [], {}


@contextmanager
def serving() -> Iterator[Endpoint]:
    """A running endpoint; stopped at the end of the ``with`` block."""
    endpoint = Endpoint()
    thread = threading.Thread(target=endpoint.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.shutdown()
        endpoint.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    """One request. Routes are methods, found by the table at the end."""

    protocol_version = "HTTP/1.1"
    server: Endpoint

    def log_message(self, *args: object) -> None:
        pass

    def handle_any(self) -> None:
        self.path, _, query = self.path.partition("?")
        self.query = parse_qs(query)
        self.body = self.read_body()
        asked = f"{self.command} {self.path}"
        self.server.asked.append((self.command, self.path, self.headers.get("Range") or ""))
        try:
            self.user  # noqa: B018  a token that is none is refused wherever it is shown
            if (status := self.server.due("failures", asked)) is not None:
                raise HubError(status, "made by the test")
            for pattern, route in ROUTES:
                if match := re.fullmatch(pattern, asked):
                    route(self, **{k: unquote(v) for k, v in match.groupdict().items() if v})
                    return
            raise HubError(404, f"no such route: {asked}")
        except HubError as error:
            headers = {"X-Error-Message": str(error), "X-Error-Code": error.code}
            body = {"error": str(error), **error.more}
            self.answer(body, error.status, {k: v for k, v in headers.items() if v})

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def answer(
        self, body: object, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for key, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    # Who asks, and for what

    @property
    def user(self) -> str | None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token and token not in (OWNER, READER):
            raise HubError(401, "Invalid credentials in Authorization header")
        return {OWNER: "owner", READER: "reader"}.get(token)

    def check_writer(self, name: str) -> None:
        if self.user is None:
            raise HubError(401, "Invalid username or password.")
        if self.user != "owner" or not name.startswith("team/"):
            raise HubError(403, "You don't have the rights to write to this namespace")

    def repository(self, name: str, write: bool = False) -> Repository:
        repository = self.server.repositories.get(name)
        if repository is None or (repository.private and self.user != "owner"):
            if self.user is None:  # the real one doesn't say either whether there is one
                raise HubError(401, "Invalid username or password.")
            raise HubError(404, "Repository not found", "RepoNotFound")
        if write:
            self.check_writer(name)
        return repository

    def commit_of(self, repository: Repository, revision: str) -> Commit:
        if (commit := repository.at(revision)) is None:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit

    # Routes

    def whoami(self) -> None:
        if self.user is None:
            raise HubError(401, "Invalid username or password.")
        self.answer({"type": "user", "name": self.user, "orgs": [{"name": "team"}]})

    def validate_yaml(self) -> None:
        errors = [{"message": fault} for fault in faults(json.loads(self.body)["content"])]
        self.answer({"errors": errors, "warnings": []}, 400 if errors else 200)

    def create(self) -> None:
        asked = json.loads(self.body)
        name = f"{asked.get('organization') or self.user}/{asked['name']}"
        self.check_writer(name)
        url = f"{self.server.url}/{name}"
        if name in self.server.repositories:
            raise HubError(409, "You already created this model repo", url=url)
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        self.server.repositories[name] = Repository(name, private)
        self.answer({"url": url, "name": name, "id": name})

    def info(self, name: str, revision: str = "main") -> None:
        repository = self.repository(name)
        commit = self.commit_of(repository, revision)
        self.answer(
            {
                "id": name,
                "modelId": name,
                "sha": commit.oid,
                "private": repository.private,
                "gated": "manual" if repository.gated else False,
                "siblings": [{"rfilename": path} for path in commit.files],
            }
        )

    def refs(self, name: str) -> None:
        repository = self.repository(name)
        self.answer(
            {
                "converts": [],
                **{
                    kind: [
                        {"name": ref, "ref": f"{place}/{ref}", "targetCommit": commit.oid}
                        for ref, commit in getattr(repository, kind).items()
                    ]
                    for kind, place in (("branches", "refs/heads"), ("tags", "refs/tags"))
                },
            }
        )

    def tag(self, name: str, revision: str) -> None:
        repository, new = self.repository(name, write=True), json.loads(self.body)["tag"]
        if new in repository.tags:
            raise HubError(409, "Tag reference exists already")
        repository.tags[new] = self.commit_of(repository, revision)
        self.answer({})

    def branch(self, name: str, revision: str) -> None:
        repository = self.repository(name, write=True)
        if revision in repository.branches:
            raise HubError(409, "Reference already exists")
        start = json.loads(self.body).get("startingPoint") or "main"
        repository.branches[revision] = self.commit_of(repository, start)
        self.answer({})

    def commits(self, name: str, revision: str) -> None:
        repository = self.repository(name)
        self.commit_of(repository, revision)
        more = {"message": "", "authors": [{"user": "owner"}], "date": "2026-01-01T00:00:00.000Z"}
        history = repository.history(revision)
        self.answer([{"id": commit.oid, "title": commit.title, **more} for commit in history])

    def preupload(self, name: str, revision: str) -> None:
        files = self.commit_of(self.repository(name, write=True), revision).files
        answers = []
        for path in (file["path"] for file in json.loads(self.body)["files"]):
            mode = "lfs" if is_large(path) else "regular"
            oid = etag(path, files[path]) if path in files else None
            answers.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self.answer({"files": answers})

    def lfs_batch(self, name: str) -> None:
        self.repository(name, write=True)
        objects = json.loads(self.body)["objects"]
        for entry in objects:
            if entry["oid"] not in self.server.large:
                href = f"{self.server.url}/{name}.git/lfs/{entry['oid']}"
                entry["actions"] = {"upload": {"href": href}}
        self.answer({"transfer": "basic", "objects": objects})

    def lfs_put(self, name: str, oid: str) -> None:
        if sha256(self.body) != oid:
            raise HubError(400, "the content is not that of its hash")
        self.server.large[oid] = self.body
        self.answer(b"")

    def commit(self, name: str, revision: str) -> None:
        repository = self.repository(name, write=True)
        if revision not in repository.branches:
            raise HubError(404, f"no branch {revision}", "RevisionNotFound")
        files = dict(repository.branches[revision].files)
        header, *operations = map(json.loads, self.body.splitlines())
        for operation in operations:
            value = operation["value"]
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                if value["oid"] not in self.server.large:
                    raise HubError(400, f"{value['path']} was never uploaded")
                files[value["path"]] = self.server.large[value["oid"]]
            elif operation["key"] == "deletedFile" and files.pop(value["path"], None) is None:
                raise HubError(404, "A file with this name doesn't exist", "EntryNotFound")
        made = repository.add(revision, header["value"]["summary"], files)
        url = f"{self.server.url}/{name}/commit/{made.oid}"
        self.answer({"success": True, "commitOid": made.oid, "commitUrl": url})

    def tree(self, name: str, revision: str) -> None:
        self.answer(listing(self.commit_of(self.repository(name), revision)))

    def paths_info(self, name: str, revision: str) -> None:
        paths = parse_qs(self.body.decode())["paths"]
        found = listing(self.commit_of(self.repository(name), revision))
        self.answer([entry for entry in found if entry["path"] in paths])

    def resolve(self, name: str, revision: str, path: str) -> None:
        repository = self.repository(name)
        if repository.gated and self.user != "owner":
            raise HubError(403, f"Access to model {name} is restricted", "GatedRepo")
        commit = self.commit_of(repository, revision)
        if (data := commit.files.get(path)) is None:
            raise HubError(404, "Entry not found", "EntryNotFound")
        headers = {"X-Repo-Commit": commit.oid, "ETag": f'"{etag(path, data)}"'}
        if not is_large(path):
            self.send_file(path, data, headers)
            return
        headers["X-Linked-Etag"] = headers["ETag"]
        headers["X-Linked-Size"] = str(len(data))
        headers["Location"] = f"{self.server.cdn}/cdn/{sha256(data)}/{path}"
        self.answer(b"", 302, headers)

    def cdn(self, oid: str, path: str) -> None:
        if "Authorization" in self.headers:
            raise HubError(400, "a token has no business here")
        self.send_file(path, self.server.large[oid], {"ETag": f'"{oid}"'})

    def send_file(self, path: str, data: bytes, headers: dict[str, str]) -> None:
        start = 0
        if asked := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or ""):
            start = int(asked[1])
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.send_response(206 if asked else 200)
        for key, value in {**headers, "Content-Length": str(len(data) - start)}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        until = self.server.due("cuts", path)
        end = len(data) if until is None else start + until
        # Counted first: who has read it all may look before this thread goes on.
        self.server.sent[path] = self.server.sent.get(path, 0) + len(data[start:end])
        self.wfile.write(data[start:end])
        if until is not None:
            self.close_connection = True


NAME, REVISION = r"(?P<name>[^/ ]+/[^/ ]+?)", r"(?P<revision>[^/ ]+)"
ROUTES: list[tuple[str, Callable[..., None]]] = [
    (r"GET /api/whoami-v2", Handler.whoami),
    (r"POST /api/validate-yaml", Handler.validate_yaml),
    (r"POST /api/repos/create", Handler.create),
    (rf"GET /api/models/{NAME}(/revision/{REVISION})?", Handler.info),
    (rf"GET /api/models/{NAME}/refs", Handler.refs),
    (rf"POST /api/models/{NAME}/tag/{REVISION}", Handler.tag),
    (rf"POST /api/models/{NAME}/branch/{REVISION}", Handler.branch),
    (rf"GET /api/models/{NAME}/commits/{REVISION}", Handler.commits),
    (rf"POST /api/models/{NAME}/preupload/{REVISION}", Handler.preupload),
    (rf"POST /api/models/{NAME}/commit/{REVISION}", Handler.commit),
    (rf"GET /api/models/{NAME}/tree/{REVISION}", Handler.tree),
    (rf"POST /api/models/{NAME}/paths-info/{REVISION}", Handler.paths_info),
    (rf"POST /{NAME}\.git/info/lfs/objects/batch", Handler.lfs_batch),
    (rf"PUT /{NAME}\.git/lfs/(?P<oid>[0-9a-f]+)", Handler.lfs_put),
    (rf"(GET|HEAD) /{NAME}/resolve/{REVISION}/(?P<path>.+)", Handler.resolve),
    (r"(GET|HEAD) /cdn/(?P<oid>[0-9a-f]+)/(?P<path>.+)", Handler.cdn),
]
