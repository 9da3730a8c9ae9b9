"""The space id: a stamp of the training run. Embeddings compare only where it is the same.

It travels with the weights: in the metadata that torch keeps beside a state dict's keys (where it
keeps the version of every module), through ``torch.save``, ``copy.deepcopy`` and pickle, and in a
safetensors file's metadata. It adds no key, so stock timm loads what it loaded before.
"""

from __future__ import annotations

import uuid
from typing import Any

from torch import nn

from prunnet_pml.class_exchange import Exchanged
from prunnet_pml.given_network import check_network

SPACE_ID = "prunnet_space_id"
"""What the id is called in metadata, of a state dict as of a safetensors file."""


class Stamped(Exchanged):
    """Base of the mixins that may be the root of a prunable network: the root holds the id."""

    _space_id: str  # in the root alone

    def _save_to_state_dict(
        self,
        destination: Any,  # noqa: ANN401
        prefix: str,
        keep_vars: bool,
    ) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if _is_stamped(self) and hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]][SPACE_ID] = self._space_id

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        *args: Any,  # noqa: ANN401
    ) -> None:
        """Takes the id that the weights come with; weights without one are somebody else's."""
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)
        names = [prefix + name for name, _ in self.named_parameters()]
        if _is_stamped(self) and not state_dict.keys().isdisjoint(names):
            given = local_metadata.get(SPACE_ID) if state_dict.keys() >= set(names) else None
            self._space_id = given or new_space_id()


def new_space_id() -> str:
    """An id that no other training run has, from no generator that a seed sets back."""
    return uuid.uuid4().hex


def space_id(model: nn.Module) -> str:
    """The space that a prunable network embeds into, at every capacity.

    ``make_prunable`` gives it. A state dict with an id brings that along; one without an id, such
    as a plain checkpoint, or one that replaces a part of the weights, leads to a new space.

    Args:
        model: A prunable network, or a bigger module with one inside.

    Raises:
        ValueError: If there is none in ``model``, or there are several of different spaces.
    """
    found = {module._space_id for module in _checked_roots(model)}
    if len(found) > 1:
        raise ValueError(
            f"`model` should be of one space. Found {len(found)}: give make_prunable the "
            "`space_id` of the network that the other one is trained together with."
        )
    return found.pop()


def set_space_id(model: nn.Module, space_id: str | None = None) -> None:
    """Names the space of a prunable network.

    After its weights were loaded without one, say, or, with a new one, where training starts from
    weights that have indexed a gallery, and leaves their space: a library can't tell that from a
    training that is resumed.

    Args:
        model: A prunable network, or a bigger module with one inside.
        space_id: As :func:`space_id` returns it; a new one by default.

    Raises:
        ValueError: If there is no prunable network in ``model``, or the id is no text.
    """
    checked = new_space_id() if space_id is None else check_space_id(space_id)
    for root in _checked_roots(model):
        stamp(root, checked)


def stamp(root: nn.Module, space_id: str) -> None:
    """Gives the id to what ``make_prunable`` was called with."""
    root.__dict__["_space_id"] = space_id


def remove_stamps(model: nn.Module) -> None:
    """Takes the id away from a network that is about to be a plain one."""
    for module in model.modules():
        module.__dict__.pop("_space_id", None)


def check_space_id(space_id: object) -> str:
    """Returns ``space_id``; raises ValueError if it is no text, or an empty one."""
    if isinstance(space_id, str) and space_id:
        return space_id
    raise ValueError(f"`space_id` should be a text that is not empty. Found {space_id!r}.")


def roots(model: nn.Module) -> list[Stamped]:
    """What ``make_prunable`` was called with, in a network or a bigger module."""
    return [m for m in model.modules() if isinstance(m, Stamped) and _is_stamped(m)]


def _is_stamped(module: nn.Module) -> bool:
    return "_space_id" in module.__dict__


def _checked_roots(model: nn.Module) -> list[Stamped]:
    check_network(model)
    found = roots(model)
    if not found:
        raise ValueError(
            "`model` should be a prunable network, see make_prunable. "
            f"Found {type(model).__name__} without a space id."
        )
    return found
