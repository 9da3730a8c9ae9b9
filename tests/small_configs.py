"""The bundled configs at a size for tests: made images in the exact layout, tiny networks."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from made_folders import make_google_landmarks, make_in_shop, make_revisited, make_veri776
from mmengine.config import Config

FOLDER = Path(str(files("prunnet_pml.configs")))
TINY = {
    "resnet": {"name": "test_resnet"},
    "resnext": {"name": "test_resnet"},
    "mobilenet": {"name": "test_efficientnet"},
    "vit": {"name": "test_vit", "img_size": 32},
    "swin": {"name": "test_vit", "img_size": 32},
    "convnext": {"name": "test_convnext"},
}
MAKERS = {"gldv2": make_google_landmarks, "in_shop": make_in_shop, "veri776": make_veri776}


def read(name: str) -> Config:
    return Config.fromfile(FOLDER / f"{name}.py")


def make_data(name: str, root: Path) -> dict[str, Any]:
    """Makes the data set of a config; the changes of the config that it takes."""
    [data] = [data for data in MAKERS if name.startswith(data)]
    MAKERS[data](root / data)
    changes: dict[str, Any] = {
        "train_dataloader.dataset.root": str(root / data),
        "val_dataloader.dataset.dataset.root": str(root / data),
    }
    if data == "gldv2":
        make_revisited(root / "rparis6k", "rparis6k")
        changes["train_dataloader.dataset.class_fraction"] = 1.0  # there are three landmarks
        changes["test_dataloader.dataset.dataset.root"] = str(root / "rparis6k")
    return changes


def small(name: str, folder: Path, size: int = 32, **changes: Any) -> Config:  # noqa: ANN401
    """A config for two epochs of one or two batches of two images, validated at the end."""
    found = read(name)
    [tiny] = [tiny for kind, tiny in TINY.items() if f"_{kind}" in name]
    data = make_data(name, folder / "data")
    found.work_dir = str(folder / "work")
    settings = {
        "model.backbone": {**tiny, "pretrained": False},
        "model.loss.loss.num_classes": 3,
        "train_dataloader.batch_size": 2,
        "train_dataloader.dataset.transform.size": size,
        "train_cfg": {"max_epochs": 2, "val_interval": 2},
        "default_hooks.checkpoint.interval": 2,
        "custom_hooks": [{"type": "prunnet_pml.PlainCheckpointHook"}],
        "log_level": "ERROR",
    }
    for loader in {"train", "val", "test"} & {key.removesuffix("_dataloader") for key in found}:
        settings[f"{loader}_dataloader.num_workers"] = 0
        if loader != "train":
            settings[f"{loader}_dataloader.dataset.dataset.transform.size"] = size
    found.merge_from_dict({**settings, **data, **changes})
    return found
