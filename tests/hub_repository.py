"""What a Hub keeps of one model repository: commits, branches, tags. In memory, for the tests."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

LARGE = (".safetensors", ".png")
"""What the Hub's own .gitattributes sends to large file storage."""


@dataclass(frozen=True)
class Commit:
    """One state of all files; the Hub shows the title in its history."""

    oid: str
    title: str
    files: dict[str, bytes]
    parent: Commit | None = None


@dataclass
class Repository:
    """A model repository. A new one holds one commit, as a new one of the Hub does."""

    name: str
    private: bool = False
    gated: bool = False
    branches: dict[str, Commit] = field(default_factory=dict)
    tags: dict[str, Commit] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.branches["main"] = self._commit("initial commit", {".gitattributes": b""}, None)

    def at(self, revision: str) -> Commit | None:
        """The commit that a branch, a tag or (a prefix of) an id names; None if there is none."""
        if found := self.branches.get(revision) or self.tags.get(revision):
            return found
        ids = {commit.oid: commit for commit in self.history()}
        return next((c for oid, c in ids.items() if oid.startswith(revision)), None)

    def history(self, revision: str | None = None) -> list[Commit]:
        """Every commit that can be reached, from ``revision`` or from anywhere; newest first."""
        tips = [self.at(revision)] if revision else [*self.branches.values(), *self.tags.values()]
        found = {}
        for tip in tips:
            while tip is not None:
                found[tip.oid] = tip
                tip = tip.parent
        return list(found.values())

    def add(self, branch: str, title: str, files: dict[str, bytes]) -> Commit:
        """Commits a new state of all files to a branch."""
        self.branches[branch] = self._commit(title, files, self.branches[branch])
        return self.branches[branch]

    def _commit(self, title: str, files: dict[str, bytes], parent: Commit | None) -> Commit:
        content = sorted((path, sha256(data)) for path, data in files.items())
        oid = hashlib.sha1(repr((self.name, title, content, parent and parent.oid)).encode())
        return Commit(oid.hexdigest(), title, dict(files), parent)


def is_large(path: str) -> bool:
    return path.endswith(LARGE)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def etag(path: str, data: bytes) -> str:
    """By what the Hub knows a content: SHA-256 in large file storage, git's own id elsewhere."""
    return sha256(data) if is_large(path) else git_id(data)


def listing(commit: Commit) -> list[dict[str, Any]]:
    """The files of a commit as the Hub's ``tree`` and ``paths-info`` describe them."""
    folders = {path.rpartition("/")[0] for path in commit.files} - {""}
    entries: list[dict[str, Any]] = [
        {"type": "directory", "path": f, "size": 0, "oid": git_id(f.encode())} for f in folders
    ]
    for path, data in commit.files.items():
        entry = {"type": "file", "path": path, "size": len(data), "oid": git_id(data)}
        if is_large(path):
            entry["lfs"] = {"oid": sha256(data), "size": len(data), "pointerSize": 130}
        entries.append(entry)
    return entries
