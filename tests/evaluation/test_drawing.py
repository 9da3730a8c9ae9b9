"""The pictures: what they say is what the matrix and the search found."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from prunnet_pml.evaluation import (
    METRICS,
    CompatibilityMatrix,
    plot_capacity_curve,
    plot_matches,
    plot_matrix,
    save_figure,
)

CAPACITIES = (1.0, 0.6, 0.2, 0.1)
VALUES = np.array(
    [
        [0.71, 0.7, 0.66, 0.4],
        [0.7, 0.69, 0.65, 0.4],
        [0.67, 0.66, 0.6, 0.3],
        [0.4, 0.4, 0.3, np.nan],
    ]
)


@pytest.fixture
def matrix() -> CompatibilityMatrix:
    values = {metric: VALUES / (i + 1) for i, metric in enumerate(METRICS)}
    return CompatibilityMatrix(CAPACITIES, CAPACITIES, values, 8, trained_capacities=(0.6, 0.2))


def test_heat_map_says_every_number_where_it_belongs(matrix: CompatibilityMatrix) -> None:
    [axes] = matrix.plot().axes
    said = {text.get_position(): text.get_text() for text in axes.texts}
    assert said[0, 2] == "67.0"  # x: gallery 100%, y: query 20%
    assert said[3, 0] == "40.0"
    assert said[3, 3] == "n/a"
    assert len(said) == 16
    assert axes.get_xlabel() == "gallery capacity"
    assert axes.get_ylabel() == "query capacity"
    ticks = ["100%", "60%", "20%", "10%"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ticks
    assert [label.get_text() for label in axes.get_yticklabels()] == ticks


def test_title_is_the_metric_or_ones_own(matrix: CompatibilityMatrix) -> None:
    assert plot_matrix(matrix, "recall_at_2").axes[0].get_title() == "R@2, %"
    assert plot_matrix(matrix, title="Mine").axes[0].get_title() == "Mine"


def test_numbers_contrast_with_their_cells(matrix: CompatibilityMatrix) -> None:
    figure = matrix.plot()
    figure.canvas.draw()
    [axes] = figure.axes
    [image] = axes.images
    cells = image.cmap(image.norm(image.get_array()))[..., :3].mean(axis=-1)
    for text in axes.texts:
        column, row = text.get_position()
        ink = 1.0 if text.get_color() == "white" else 0.15
        assert row == column == 3 or abs(cells[row, column] - ink) > 0.3


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, np.nan])
def test_matrix_of_one_cell_can_be_drawn(value: float, tmp_path: Path) -> None:
    single = CompatibilityMatrix((1.0,), (1.0,), {"recall_at_1": np.array([[value]])}, 8)
    for figure in (single.plot(), plot_capacity_curve(single)):
        save_figure(figure, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def lines_of(axes: Axes) -> dict[str, list[tuple[float, float]]]:
    return {
        line.get_label(): [tuple(point) for point in line.get_xydata().tolist()]
        for line in axes.lines
        if not line.get_label().startswith("_")
    }


def test_curve_shows_self_test_cross_test_and_what_else_is_given(
    matrix: CompatibilityMatrix,
) -> None:
    figure = plot_capacity_curve(
        matrix, series={"alone": {0.2: 0.01, 1.0: 0.02}}, styles={"alone": {"color": "#123456"}}
    )
    [axes] = figure.axes
    lines = lines_of(axes)
    assert lines["cross-test, dense gallery"] == [(0.1, 0.4), (0.2, 0.67), (0.6, 0.7), (1.0, 0.71)]
    assert lines["self-test, own gallery"][1:] == [(0.2, 0.6), (0.6, 0.69), (1.0, 0.71)]
    assert lines["alone"] == [(0.2, 0.01), (1.0, 0.02)]
    assert {line.get_color() for line in axes.lines if line.get_label() == "alone"} == {"#123456"}
    assert axes.get_xlabel() == "query capacity"
    assert axes.get_ylabel() == "R@1, %"


@pytest.mark.parametrize("trained", [None, (1.0, 0.6, 0.2, 0.1)])
def test_untrained_capacities_have_hollow_markers(
    matrix: CompatibilityMatrix, trained: tuple[float, ...] | None
) -> None:
    [axes] = plot_capacity_curve(matrix, trained=trained).axes
    hollow = {
        line.get_xdata()[0]
        for line in axes.lines
        if line.get_marker() == "o"
        and len(line.get_xdata())
        and line.get_markerfacecolor() == "white"
    }
    assert hollow == ({0.1} if trained is None else set())
    assert ("untrained capacity" in lines_of(axes)) == (trained is None)


IMAGES, LABELS = torch.rand(6, 1, 8, 8), torch.tensor([0, 0, 1, 1, 2, 2])
SIMILARITY = torch.tensor([[1.0, 0.5, 0.9, 0.1, 0.2, 0.0], [0.0, 0.1, 0.2, 0.3, 1.0, 0.9]])
GREEN, RED = "#2e9e5b", "#d64545"


def frames(axes: list[Axes]) -> list[str]:
    return [
        to_hex(a.spines["left"].get_edgecolor()) for a in axes if a.spines["left"].get_visible()
    ]


def test_page_frames_right_matches_green_and_wrong_ones_red() -> None:
    figure = plot_matches(IMAGES[:2], torch.tensor([0, 2]), IMAGES, LABELS, SIMILARITY, top=3)
    assert frames(figure.axes) == [GREEN, RED, GREEN, GREEN, GREEN, RED]


def test_page_leaves_the_query_itself_out() -> None:
    figure = plot_matches(
        IMAGES[[0, 4]], LABELS[[0, 4]], IMAGES, LABELS, SIMILARITY, top=2, exclude=[0, 4]
    )
    assert frames(figure.axes) == [RED, GREEN, GREEN, RED]
    assert SIMILARITY[0, 0] == 1  # the caller's tensor is as it was


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_page_shows_the_images_in_order_of_similarity(channels: int, dtype: torch.dtype) -> None:
    images = torch.randint(256, (6, channels, 4, 6)).to(torch.uint8)
    shown = images if dtype == torch.uint8 else images / 255
    figure = plot_matches(shown[:2], LABELS[:2], shown, LABELS, SIMILARITY, top=2)
    drawn = [axes.images[0].get_array() for axes in figure.axes]
    expected = images[[0, 0, 2, 1, 4, 5]].expand(-1, 3, -1, -1).permute(0, 2, 3, 1) / 255
    for pixels, image in zip(drawn, expected, strict=True):
        np.testing.assert_allclose(pixels, image.numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"query_images": IMAGES[:2, 0]}, r"`query_images` should be \[n, 1 or 3, h, w\]"),
        ({"gallery_images": IMAGES.expand(-1, 2, -1, -1)}, r"`gallery_images` should be"),
        ({"gallery_labels": LABELS[:5]}, r"`gallery_labels` should be of shape \[6\]"),
        ({"similarity": SIMILARITY.T}, r"`similarity` should be of shape \[2, 6\]"),
        ({"top": 7}, r"`top` should be in \[1, 6\]. Found 7."),
        ({"exclude": [0, 1], "top": 6}, r"`top` should be in \[1, 5\]. Found 6."),
        ({"exclude": [0]}, r"`exclude` should be of shape \[2\]"),
    ],
)
def test_page_of_things_that_do_not_fit_is_refused(changed: dict, message: str) -> None:
    arguments = {
        "query_images": IMAGES[:2],
        "query_labels": LABELS[:2],
        "gallery_images": IMAGES,
        "gallery_labels": LABELS,
        "similarity": SIMILARITY,
        "top": 2,
    }
    with pytest.raises(ValueError, match=message):
        plot_matches(**{**arguments, **changed})
