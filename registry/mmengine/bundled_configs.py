"""The configs that come with the package, by name; a config of one's own, by its path."""

from __future__ import annotations

import argparse
import ast
import inspect
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.runner import Runner

from prunnet_pml.registry.nearest_names import did_you_mean

_FOLDER = Path(str(files("prunnet_pml.configs")))
_READ_BY_THE_RUNNER = {
    "activation_checkpointing",
    "compile",
    "efficient_conv_bn_eval",
    "find_unused_parameters",
    "model_wrapper_cfg",
    "sync_bn",
}
"""Keys of a config that the Runner reads beside its arguments."""


def bundled_configs() -> dict[str, str]:
    """The configs that come with prunnet_pml: the first line of each one's docstring, by name."""
    paths = sorted(path for path in _FOLDER.glob("*.py") if path.stem != "__init__")
    docstrings = {path.stem: ast.get_docstring(ast.parse(path.read_bytes())) for path in paths}
    return {name: (text or "").partition("\n")[0] for name, text in docstrings.items()}


def load_config(name_or_path: str | Path, options: Iterable[str] = ()) -> Config:
    """Reads a config. It is Python and is run: read a stranger's before you do.

    Args:
        name_or_path: A name among :func:`bundled_configs`, or the path of a config of your own.
        options: What to change, as of OpenMMLab's ``--cfg-options``: ``"train_cfg.max_epochs=2"``.
            ``data_root`` moves every data set that lies there, or in a folder of it.

    Returns:
        mmengine's config.

    Raises:
        ValueError: If there is neither a config of that name nor a file (the nearest names are
            named), the file is no config of a model, an option is not ``key=value`` of a known
            key, or ``data_root`` is changed where no data set lies.

    Example:
        >>> config = load_config("glyphs_resnet10", ["optim_wrapper.optimizer.lr=0.005"])
        >>> config.optim_wrapper.optimizer.lr
        0.005
    """
    path = Path(name_or_path)
    names = bundled_configs()
    if str(name_or_path) in names:
        path = _FOLDER / f"{name_or_path}.py"
    elif not path.is_file():
        raise ValueError(
            "`config` should be the path of a config or one of the bundled names, which "
            f"`prunnet configs` lists. Found {str(name_or_path)!r}.{did_you_mean(path.stem, names)}"
        )
    try:
        config = Config.fromfile(path)
    except ImportError:  # says what to install
        raise
    except Exception as error:  # there is nothing that Python which is run can't raise
        raise ValueError(
            f"`config` should be a config of mmengine. Found {path}, which raises "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(config.get("model"), dict):
        raise ValueError(f"`config` should be a config of mmengine. Found no `model` in {path}.")
    data_root = config.get("data_root")
    try:
        config.merge_from_dict(_parsed(options, config))
    except (AssertionError, AttributeError, KeyError, TypeError) as error:  # mmengine's
        raise ValueError(f"`cfg-options` should fit the config. Found: {error}") from error
    new = config.get("data_root")
    if new != data_root and not _move_data(config, str(data_root).rstrip("/"), str(new)):
        raise ValueError(
            "`cfg-options` should change the `root` of each data set, as `data_root` moves those "
            f"that lie there. Found none in {str(data_root)!r}."
        )
    return config


def _move_data(config: Any, old: str, new: str) -> int:  # noqa: ANN401 (mmengine is untyped)
    """Moves the data sets: they read ``data_root`` when the file was, before it was changed.

    Returns:
        How many.
    """
    if isinstance(config, list | tuple):
        return sum(_move_data(value, old, new) for value in config)
    if not hasattr(config, "items"):
        return 0
    moved = sum(_move_data(value, old, new) for value in config.values())
    root = config.get("root")
    if isinstance(root, str) and (root == old or root.startswith(f"{old}/")):
        config["root"] = new + root.removeprefix(old)
        moved += 1
    return moved


def _parsed(options: Iterable[str], config: Config) -> dict[str, Any]:
    """Keys and values of ``key=value``, by mmengine's own rules."""
    given = list(options)
    arguments = inspect.signature(Runner.__init__).parameters
    known = {*config, *arguments, *_READ_BY_THE_RUNNER}
    known -= {key for key in known if key.startswith("_")}  # variables of the file, read before
    for option in given:
        key, equals, _ = option.partition("=")
        if not (equals and key):
            raise ValueError(f"`cfg-options` should be key=value. Found {option!r}.")
        top = key.partition(".")[0]
        if top not in known:
            raise ValueError(
                "`cfg-options` should change a key of the config, or an argument of mmengine's "
                f"Runner. Found {key!r}.{did_you_mean(top, known)}"
            )
    parser = argparse.ArgumentParser()
    parser.add_argument("--cfg-options", nargs="*", action=DictAction, default={})
    found: dict[str, Any] = parser.parse_args(["--cfg-options", *given]).cfg_options
    return found
