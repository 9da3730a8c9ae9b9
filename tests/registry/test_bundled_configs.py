"""Configs by name or by path, and what is changed in them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from prunnet_pml.registry.mmengine.bundled_configs import bundled_configs, load_config

pytestmark = pytest.mark.filterwarnings(
    # mmengine's own, on Python 3.12 and later
    "ignore:.*:DeprecationWarning:mmengine",
)


def test_every_bundled_config_says_what_it_is_and_loads() -> None:
    found = bundled_configs()
    assert "glyphs_resnet10" in found
    assert not {"runner", "__init__"} & found.keys()
    for name, line in found.items():
        assert line.endswith("."), name
        config = load_config(name)
        assert Path(config.filename).stem == name
        assert config.model.type.startswith("prunnet_pml.")


def test_a_description_is_the_docstring_that_python_reads() -> None:
    for name, line in bundled_configs().items():
        file = Path(load_config(name).filename)
        assert file.read_text(encoding="utf-8").startswith(f'"""{line}')


def test_a_config_of_ones_own_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("model = {'type': 'Mine', 'depth': 10}\n")
    assert load_config(path).model.depth == 10
    assert load_config(str(path), ["model.depth=18"]).model.depth == 18


DATA = """
data_root = "data/"
model = {"type": "Mine"}
train_dataloader = {"dataset": {"type": "ConcatDataset", "datasets": [
    {"type": "InShop", "root": data_root + "shop"}, {"type": "VeRi776", "root": data_root},
]}}
val_dataloader = {"dataset": {"type": "InShop", "root": "database"}}
"""


def test_data_root_moves_what_lies_there(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(DATA)
    config = load_config(path, ["data_root=/new"])
    roots = [data.root for data in config.train_dataloader.dataset.datasets]
    assert roots == ["/new/shop", "/new/"]
    assert config.val_dataloader.dataset.root == "database"


def test_a_data_root_where_no_data_lie_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(DATA.replace('"root": data_root', '"root": "elsewhere"'))
    with pytest.raises(ValueError, match=r"`root` of each data set.* Found none in 'data/'"):
        load_config(path, ["data_root=/new"])


def test_options_are_parsed_as_those_of_openmmlab() -> None:
    config = load_config(
        "glyphs_resnet10",
        [
            "train_cfg.max_epochs=2",
            "optim_wrapper.optimizer.lr=1e-3",
            "model.capacities=[0.5,0.25]",
            "model.loss.type=ArcFaceLoss",
            "param_scheduler.0.end=7",
            "train_dataloader.sampler.shuffle=False",
            "env_cfg.cudnn_benchmark=True",  # not in the config: an argument of the Runner
        ],
    )
    assert config.train_cfg.max_epochs == 2
    assert config.optim_wrapper.optimizer.lr == 1e-3
    assert config.model.capacities == [0.5, 0.25]
    assert config.model.loss.type == "ArcFaceLoss"
    assert config.param_scheduler[0].end == 7
    assert config.train_dataloader.sampler.shuffle is False
    assert config.env_cfg.cudnn_benchmark is True
    assert load_config("glyphs_resnet10").train_cfg.max_epochs != 2


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("max_epochs", "should be key=value. Found 'max_epochs'"),
        ("=3", "should be key=value"),
        ("train_cgf.max_epochs=2", "Did you mean 'train_cfg'"),
        ("_epochs=2", "should change a key of the config"),  # what depends on it is read already
        ("param_scheduler.7.end=2", "Index 7 exceeds the length"),
        ("model.capacities.0=0.3", "should fit the config"),
        ("model.loss.temperature.x=1", "of type <class 'float'> in base config"),
        ("model.capacities=[(1,2]", "Imbalanced brackets"),
    ],
)
def test_an_option_that_would_change_nothing_is_an_error(option: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r"^`cfg-options` should") as caught:
        load_config("glyphs_resnet10", [option])
    assert reason in str(caught.value)


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Found 'glyph_resnet'\. Did you mean 'glyphs_resnet10'"):
        load_config("glyph_resnet")
    with pytest.raises(ValueError, match=r"Found '.*missing\.py'"):
        load_config(tmp_path / "missing.py")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("broken.py", "model = {\n"),
        ("config.txt", ""),
        ("base.py", "_base_='x.py'"),
        ("script.py", "import numpy as np, torch\nprint(np.zeros(3)[0])\n"),  # asserts in mmengine
        ("fails.py", "1 / 0"),
        ("settings.py", "steps = 5"),
        ("other.py", "model = 5"),
    ],
)
def test_a_file_that_is_no_config_is_an_error(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=r"^`config` should be a config of mmengine"):
        load_config(tmp_path / name)


def test_data_only_no_config_imports_the_package() -> None:
    """They are read by every tool of OpenMMLab, also where prunnet_pml is not installed."""
    folder = Path(importlib.util.find_spec("prunnet_pml.configs").origin).parent
    for file in folder.rglob("*.py"):
        assert "import" not in file.read_text(encoding="utf-8").split(), file.name
