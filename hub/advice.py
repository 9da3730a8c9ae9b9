"""What to do next, added to the errors of the Hub's client; their classes stay what they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import constants
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

_HTTP_ERROR: type[Exception] = HfHubHTTPError.__mro__[1]  # of the HTTP client that it speaks with

HUB_ERRORS = (_HTTP_ERROR, EntryNotFoundError, OfflineModeIsEnabled)
"""What the Hub's client raises where the Hub, or the way to it, fails."""


@contextmanager
def advice(repo_id: str, revision: str | None = None) -> Iterator[None]:
    """Adds a line of advice to any error of the Hub's client that is raised in the ``with`` block.

    Args:
        repo_id: The repository that is spoken to.
        revision: The branch, tag or commit that is asked for.
    """
    try:
        yield
    except HUB_ERRORS as error:
        text = str(error.args[0]) if error.args else type(error).__name__
        error.args = (f"{text}\n{_line(error, repo_id, revision)}", *error.args[1:])
        raise


def _line(error: Exception, repo_id: str, revision: str | None) -> str:
    page = f"{constants.ENDPOINT}/{repo_id}"
    if isinstance(error, GatedRepoError):
        return f"What to do: ask for access at {page}, then log in with `hf auth login`."
    if isinstance(error, RepositoryNotFoundError):
        return (
            f"What to do: check the name {repo_id!r}. A private repository is found only by a "
            "token that may read it: log in with `hf auth login`, or give `token`."
        )
    if isinstance(error, RevisionNotFoundError):
        return f"What to do: choose a branch, tag or commit of {page}. Found no {revision!r}."
    if isinstance(error, OfflineModeIsEnabled):  # downloads end as the one below
        return "What to do: HF_HUB_OFFLINE is set, so nothing is sent: unset it, and run the same."
    if isinstance(error, LocalEntryNotFoundError):
        if constants.HF_HUB_OFFLINE:
            return (
                f"What to do: HF_HUB_OFFLINE is set and {repo_id!r} is not in the cache as far as "
                "asked for: download it once with the variable unset."
            )
        return (
            f"What to do: see that {constants.ENDPOINT} can be reached, then run the same again: "
            "files that have arrived whole are not sent twice."
        )
    if isinstance(error, EntryNotFoundError):
        return (
            f"What to do: {page} holds no such file, so it is none that prunnet_pml pushed: "
            "`push_to_hub` makes one."
        )
    if not isinstance(error, HfHubHTTPError):
        return f"What to do: see that {constants.ENDPOINT} can be reached, then run the same again."
    return f"What to do: {_of_status(error.response.status_code, page)}"


def _of_status(status: int, page: str) -> str:
    if status == 400:
        return "the Hub finds fault with what was sent: the line above says with what."
    if status == 401:
        return "the token is not valid: log in with `hf auth login`, or give another `token`."
    if status == 403:
        return f"the token may not do this to {page}: give one with the right to write there."
    if status == 429:
        return "the Hub asks for fewer requests: wait some minutes, then run the same again."
    return "the Hub is out of order: run the same again later; nothing here was lost."
