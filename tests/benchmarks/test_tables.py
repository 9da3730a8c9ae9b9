"""Pages and pictures of the study, from made-up results."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

TEN = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
FIVE = (1.0, 0.8, 0.6, 0.4, 0.2)
NAMES = (
    "findings", "methods", "glyphs", "untrained", "speed", "ablations", "met", "targets",
    "targets-map", "default-ablations", "again",
)  # fmt: skip
PAGE = "".join(
    f"## {name}\n<!-- {name}: by benchmarks/tables.py -->\nold\n<!-- end of {name} -->\n"
    for name in NAMES
)


def made_up(
    method: str, seed: int, value: float, capacities: tuple[float, ...] = TEN
) -> dict[str, Any]:
    """A result in which every cell is ``value`` times the smaller capacity's square root.

    That is Recall@1; mAP@R is half of it.
    """
    rows = [[value * min(q, g) ** 0.5 for g in capacities] for q in capacities]
    halves = [[cell / 2 for cell in row] for row in rows]
    sizes = {
        f"{c:g}": {
            "parameters": 100, "nonzero": 100 * c, "macs": 200 * c, "milliseconds": 8 * c,
            "latency": c,
        }
        for c in capacities
    }  # fmt: skip
    training = {"steps": 10, "seconds": 6.0, "dense_step_s": 0.1, "start_mib": 50, "peak_mib": 75}
    return {
        "data": "glyphs", "seed": seed, "method": method,
        "recipe": {
            "backbone": "resnet10", "steps": 10, "batch_size": 4, "image_size": 8, "seed": seed,
            "settings": {"of": method, "norms": "own", "capacities": FIVE[1:], "drawn": 0},
        },
        "trainings": [training],
        "members": sizes,
        "matrix": {
            "query_capacities": capacities, "gallery_capacities": capacities, "k": 8,
            "values": {"recall_at_1": rows, "mean_average_precision_at_r": halves},
        },
    }  # fmt: skip


@pytest.fixture
def study(benchmarks: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """A folder of made-up results: the default twice, four other methods, three variants."""
    import results
    import study_results
    from drawings import picture
    from pages import method

    made = [
        made_up("prunnet-default", 0, 0.70),
        made_up("prunnet-default", 1, 0.72),
        made_up("prunnet-all-capacities", 0, 0.65),
        made_up("prunnet-all-capacities", 1, 0.67),
        made_up("prunnet-channel", 0, 0.68),
        made_up("magnitude-pruning", 0, 0.3),
        made_up("sfsc", 0, 0.6, FIVE),
        made_up("independent", 0, 0.73, FIVE),
        made_up("alpha=0", 0, 0.69, FIVE),
        made_up("norm-statistics=dense", 0, 0.01),
        made_up("norm-statistics=own", 0, 0.69),
    ]

    def write(document: dict[str, Any]) -> None:
        file = tmp_path / "study" / "glyphs" / f"{document['method']}-{document['seed']}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document))

    for document in made:
        write(document)
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    return SimpleNamespace(
        read=study_results.read_study, method=method, write=write, picture=picture, folder=tmp_path
    )


def block(page: str, name: str) -> str:
    return page.partition(f"<!-- {name}: ")[2].partition("<!-- end of ")[0]


def test_a_row_is_the_mean_and_the_spread_over_the_seeds(study: SimpleNamespace) -> None:
    page = study.method.with_study(PAGE, study.read())
    rows = block(page, "glyphs")
    assert "| `prunnet-default` | 2 | 71.0 ± 1.0 | 63.5 ± 0.9 |" in rows
    assert "| `sfsc` | 1 | 60.0 |" in rows
    assert "| 6.0 | 25 |" in rows  # 6 s for what takes 10 x 0.1 s; 75 - 50 MiB
    assert rows.index("`magnitude-pruning`") < rows.index("`sfsc`") < rows.index("`independent`")
    assert "old" not in page


def test_runs_that_were_made_again_stand_beside_the_first(study: SimpleNamespace) -> None:
    for seed in (2, 10):  # whose files stand in another order
        study.write(made_up("sfsc", seed, seed / 20, FIVE))
    once = again_of(*(made_up("sfsc", seed, 0.5, FIVE) for seed in (0, 10, 2)))
    twice = again_of(made_up("sfsc", 0, 0.4, FIVE))
    rows = block(study.method.with_study(PAGE, study.read(), once, twice), "again")
    small = ", ".join(f"{found * 0.2**0.5:.1f}" for found in (60, 50, 40))
    first = f"| `sfsc` | 0 | 60.0, 50.0, 40.0 | {small} | -, -, - | 30.0, 25.0, 20.0 | "
    others = ("| 2 | 10.0, 50.0, - |", "| 10 | 50.0, 50.0, - |")
    assert first in rows
    assert "| 6.0, 6.0, 6.0 |" in rows
    assert rows.index(first) < rows.index(others[0]) < rows.index(others[1])


@pytest.mark.parametrize(("method", "seed"), [("sfsc", 1), ("joint", 0)])
def test_only_runs_of_the_study_can_be_made_again(
    study: SimpleNamespace, method: str, seed: int
) -> None:
    with pytest.raises(ValueError, match=f"`{method}` should be a run of the study, made again"):
        study.method.with_study(PAGE, study.read(), again_of(made_up(method, seed, 0.5)))


def test_a_run_is_made_again_by_its_own_recipe(study: SimpleNamespace) -> None:
    other = made_up("sfsc", 0, 0.5, FIVE)
    other["recipe"]["steps"] = 11
    with pytest.raises(ValueError, match="`sfsc` should be made again by its recipe"):
        study.method.with_study(PAGE, study.read(), again_of(other))


def again_of(*documents: dict[str, Any]) -> Any:  # noqa: ANN401
    from study_results import Runs

    return {"glyphs": {documents[0]["method"]: Runs(json.loads(json.dumps(documents)))}}


def test_factors_show_a_recipe_beside_what_was_changed(study: SimpleNamespace) -> None:
    rows = block(study.method.with_study(PAGE, study.read()), "ablations").splitlines()
    [recipe] = [row for row in rows if row.startswith("| none")]
    assert recipe.startswith("| none |  |  | 2 | 66.0 ± 1.0 | ")
    [alpha] = [row for row in rows if row.startswith("| alpha")]
    assert alpha.startswith("| alpha | 0.5 | 0 | 1 | 69.0 (+4.0) | ")  # on the seed that both have
    assert not any(row.startswith("| projection") for row in rows)  # nothing else was measured


def test_untrained_capacities_are_told_from_the_middle_of_their_neighbours(
    study: SimpleNamespace,
) -> None:
    rows = block(study.method.with_study(PAGE, study.read()), "untrained")
    found, between = 71 * 0.9**0.5, 71 * (1 + 0.8**0.5) / 2  # each row on its own seeds
    assert f"| `prunnet-default` | 2 | {found:.1f} ± 0.9 ({found - between:+.1f})" in rows
    found, between = 69 * 0.9**0.5, 69 * (1 + 0.8**0.5) / 2
    assert f"| the same, interpolated | 1 | {found:.1f} ({found - between:+.1f})" in rows


def test_sizes_are_shares_of_the_dense_network(study: SimpleNamespace) -> None:
    rows = block(study.method.with_study(PAGE, study.read()), "speed")
    expected = "| `prunnet-channel` | 20% | 1 | 1.00 | 0.20 | 0.20 | 0.20 | 30.4 | 30.4 | 0.447 |"
    assert expected in rows
    assert "| `independent` | 20% | 1 | 1.00 | 0.20 | 0.20 | 0.20 | - | 32.6 | - |" in rows


def test_what_ran_on_a_gpu_says_so_and_shows_no_latency(study: SimpleNamespace) -> None:
    for name in ("joint", "magnitude-pruning", "alpha=0"):
        found = made_up(name, 0, 0.7) | {"device": "Some GPU"}
        file = study.folder / "study" / "glyphs-resnet18" / f"{name}-0.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(found | {"data": "glyphs-resnet18"}))
    marks = "<!-- glyphs-resnet18: by benchmarks/tables.py -->\n<!-- end of glyphs-resnet18 -->\n"
    page = study.method.with_study(PAGE + marks, study.read())
    rows = block(page, "glyphs-resnet18")
    assert "4 images of 8 px on Some GPU.\n" in rows
    assert "4 images of 8 px.\n" in block(page, "glyphs")
    assert "`alpha=0`" in rows  # where the default is missing
    assert "`alpha=0`" not in block(page, "glyphs")
    assert "full width" not in block(page, "speed")
    assert "full width" not in block(page, "ablations")  # nothing to compare it with
    assert "method-glyphs-resnet18-speed.png" not in study.method.method_pictures(study.read())


def test_missed_targets_are_said_to_be(study: SimpleNamespace) -> None:
    rows = block(study.method.with_study(PAGE, study.read()), "targets").splitlines()
    by_name = {row.split(" | ")[0].removeprefix("| "): row for row in rows}
    assert by_name["default, dense self: a network trained alone"].endswith(
        "71.0 | 74.0 | **no** | -3.0 | - |"  # three points ahead on the seed that both have
    )
    name = "default, 20% self: `independent` less half a point"
    best, ours = 73 * 0.2**0.5, (70 * 0.2**0.5, 71 * 0.2**0.5)  # on the common seed, and on both
    lead = best - ours[0] - 0.5
    assert by_name[name].endswith(
        f"{ours[1]:.1f} | {ours[1] + lead:.1f} | **no** | {-lead:+.1f} | - |"
    )
    name = "channel, 40% to dense, 0.40 of the MACs: sfsc, 0.40 of the MACs"
    assert by_name[name].endswith("| 43.0 | 37.9 | yes | +5.1 | - |")
    name = "default, 20% to dense: 0.95 x dense self"
    margins = [dense * (0.2**0.5 - 0.95) for dense in (70, 72)]  # a seed each
    assert by_name[name].endswith(f"| **no** | {margins[0]:+.1f}, {margins[1]:+.1f} | - |")


def test_a_changed_factor_is_told_beside_what_it_changes_on_the_seeds_of_both(
    study: SimpleNamespace,
) -> None:
    for method, value in (
        ("positives-of-the-contrast=class", 0.66),
        ("projection=none", 0.64),
        ("torchjd-upgrad", 0.75),
        ("default-projection=none", 0.69),
    ):
        study.write(made_up(method, 1, value))
    page = study.method.with_study(PAGE, study.read())
    rows = block(page, "ablations")
    assert "| positives of the contrast | image and class | class | 1 | 66.0 (-1.0) |" in rows
    rows = block(page, "default-ablations")
    assert "| projection | sequential | none | 1 | 69.0 (-3.0) |" in rows
    text = block(page, "findings")
    assert (
        "find 67.0 and 30.0; where all images of its class count alike, as in SupCon, 66.0" in text
    )
    assert "67.0 and 30.0; with the plain sum of all gradients 64.0 and 28.6 (1 seed)." in text
    assert "at 20% it finds 32.2, `torchjd-upgrad` 33.5 (1 seed)." in text


def test_rivals_are_chosen_on_some_seeds_and_compared_on_another(benchmarks: Path) -> None:
    """`lucky` is the best on average by its second seed alone, on which `steady` is compared."""
    from pages.rivals import above_rivals_of_other_seeds, furthest_ahead
    from study_results import Runs

    dense = {
        "prunnet-default": (70, 70),
        "lucky": (71, 80),
        "steady": (74, 73),
        "partly": (60,),
        "ahead": (99,),
    }
    runs = {
        name: Runs([made_up(name, s, value / 100) for s, value in enumerate(values)])
        for name, values in dense.items()
    }
    ours, cell = runs.pop("prunnet-default"), (1.0, 1.0)
    ahead = runs.pop("ahead")  # of a seed alone
    assert furthest_ahead(ours, runs, cell) == "lucky"
    found = above_rivals_of_other_seeds(ours, runs, cell)
    assert found == pytest.approx([70 - 71, 70 - 73])  # lucky of seed 1, steady of seed 0
    runs["ahead"] = ahead
    assert above_rivals_of_other_seeds(ours, runs, cell) == []
    of_one = above_rivals_of_other_seeds(ours.of({0}), runs, cell)
    assert of_one == []


def test_targets_are_shown_in_the_other_metric_too(study: SimpleNamespace) -> None:
    rows = block(study.method.with_study(PAGE, study.read()), "targets-map")
    assert (
        "default, dense self: a network trained alone | 35.5 | 37.0 | **no** | -1.5 | - |" in rows
    )


def test_every_method_is_named_and_described(study: SimpleNamespace) -> None:
    from methods import METHODS

    lines = block(study.method.with_study(PAGE, study.read()), "methods").splitlines()[1:]
    assert {line.split("`")[1] for line in lines if line} == set(METHODS)


def test_how_many_targets_are_met_is_counted_in_both_metrics(study: SimpleNamespace) -> None:
    page = study.method.with_study(PAGE, study.read())
    counts = {"default, half a point": "", "default, itself": "", "channel": ""}
    for name in ("targets", "targets-map"):
        rows = [row.strip("| ").split(" | ") for row in block(page, name).splitlines()]
        met: dict[str, list[bool]] = {group: [] for group in counts}
        for row in (row for row in rows if row[3:4] in (["yes"], ["**no**"])):
            group = row[0].partition(", ")[0]
            if group == "default":
                group += ", half a point" if row[0].endswith("half a point") else ", itself"
            met[group].append({"yes": True, "**no**": False}[row[3]])
        for group, found in met.items():
            counts[group] += f" {sum(found)} of {len(found)} |"
    assert f"| Glyphs | 2 |{''.join(counts.values())}\n" in block(page, "met")
    assert "of 9" in counts["default, half a point"]
    assert "of 7" in counts["channel"]  # there is no `slimmable`


def test_a_batch_for_each_capacity_is_told_with_that_of_joint_training(
    study: SimpleNamespace,
) -> None:
    study.write(made_up("prunnet-own-batches", 0, 0.9))
    findings = block(study.method.with_study(PAGE, study.read()), "findings")
    assert "capacity of a step, so five times the images, 90.0 and 40.2 at a cost" in findings
    study.write(made_up("joint", 0, 0.6))
    study.write(made_up("joint-own-batches", 0, 0.95))
    findings = block(study.method.with_study(PAGE, study.read()), "findings")
    found = (
        "gains by them, too: from 60.0 and 26.8 to 95.0 and 42.5, beside 90.0 and 40.2 (1 seed)."
    )
    assert found in findings
    study.write(made_up("default-batches-of-a-step=one-for-each", 1, 0.9))
    findings = block(study.method.with_study(PAGE, study.read()), "findings")
    assert "the steps: from 72.0 and 32.2 at a cost of 6.0\n  to 90.0 and 40.2 at" in findings
    study.write(made_up("default-batches-of-a-step=the-one-before", 0, 0.8))
    findings = block(study.method.with_study(PAGE, study.read()), "findings")
    assert "images and passes: from 70.0 and 31.3 to 80.0 and 35.8 (1 seed)." in findings


def test_findings_speak_only_of_what_there_is(study: SimpleNamespace) -> None:
    text = block(study.method.with_study(PAGE, study.read()), "findings")
    assert "finds 30.9 in the dense gallery" in text
    assert "find 0.4 (1 seed)." in text
    exact = "find 65.0 and 29.1; with the running averages of training 69.0 and 30.9."
    assert exact in text  # of seed 0, which the other one has too
    assert "it finds 35.6, beside 29.1 and 41.1\n" in text
    assert "The recipe" not in text  # two of its three methods are missing
    study.write(made_up("contrast=0", 0, 0.6, FIVE))
    text = block(study.method.with_study(PAGE, study.read()), "findings")
    assert "network and 20% of it find 65.0 and 29.1; drawn to" in text
    assert "alone, 60.0 and 26.8 (1 seed)" in text
    assert "best other method of 3:" in text  # not the floor, nor what is compatible with nothing
    assert "One seed says little" not in text  # of one seed
    study.write(made_up("alpha=1", 0, 0.71))
    study.write(made_up("alpha=1", 1, 0.70))
    text = block(study.method.with_study(PAGE, study.read()), "findings")
    assert "20% gains or loses, seed by seed: +2.7, +1.3 (2 seeds)." in text
    study.write(made_up("depthwise-convolutions=scored", 1, 0.5))
    study.write(made_up("rows=whole-tensors", 0, 0.71))
    study.write(made_up("rows=whole-tensors", 1, 0.72))
    text = block(study.method.with_study(PAGE, study.read()), "findings")
    assert "finds 32.2 with 20%, 45.5 with 40%;\n" in text  # of seed 1, which both have
    assert "pruned as all else is, 22.4 with 20%, 31.6 with 40% (1 seed)." in text
    assert "What there is to learn" not in text  # nor is there a row of no training
    study.write({**made_up("no-training", 0, 0.4), "trainings": []})
    rows = study.method.with_study(PAGE, study.read())
    assert "finds 40.0 before its first step and 73.0 after the last,\n" in block(rows, "findings")
    assert block(rows, "glyphs").count("| 0.0 | 0 |") == 1  # what it costs
    assert "passes, and a contrast of 3\n  71.0 and 31.8 at a cost of 6.0 (2 seeds).\n-" in text
    study.write(made_up("joint-drawn-longer", 1, 0.8))
    text = block(study.method.with_study(PAGE, study.read()), "findings")
    assert "for each, finds 80.0 and 35.8, beside 72.0 and 32.2 (1 seed)." in text
    assert "best other method of 4:" in text  # that one among them
    assert "Behind by more than half a point: at 40%" in text
    assert "; at 100% it finds 72.0, `joint-drawn-longer` 80.0 (1 seed)." in text
    study.write(made_up("joint-drawn-longer", 1, 0.7254))  # by 0.5 as it is printed
    assert "at 100% it" not in block(study.method.with_study(PAGE, study.read()), "findings")
    assert "A smaller size" not in text
    study.write(made_up("default-trained-capacities=10-20-40-60-80", 1, 0.9))
    text = block(study.method.with_study(PAGE, study.read()), "findings")
    assert (
        "network find 22.8 and 32.2, where 10%\n  takes no part in training; 28.5 and 40.2 " in text
    )
    study.write(made_up("default-drawn-between-trained-capacities=none", 1, 0.9))
    text = study.method.with_study(PAGE, study.read())
    findings = block(text, "findings")
    assert "find\n  72.0, 45.5, 39.4, 32.2, where half of the draws" in findings
    assert "lower; 90.0, 56.9, 49.3, 40.2 where none is (1 seed)." in findings
    assert "| `prunnet-default`, none drawn between | 1 | " in block(text, "untrained")
    assert study.method.with_study(PAGE, {}).count("Not measured yet.") == 10


@pytest.mark.parametrize(
    ("settings", "interpolated"),
    [
        ({"norms": "own", "capacities": [0.8, 0.2], "drawn": 0}, {0.9, 0.5, 0.3}),
        ({"norms": "calibrated", "capacities": [0.8, 0.2], "drawn": 0}, set()),
        (
            {"norms": "interpolated", "capacities": [0.8, 0.2], "drawn": 0},
            {0.9, 0.8, 0.5, 0.3},
        ),
        ({}, set()),
    ],
)  # fmt: skip
def test_pictures_tell_interpolated_capacities(
    study: SimpleNamespace, settings: dict[str, Any], interpolated: set[float]
) -> None:
    document = made_up("prunnet-default", 0, 0.7) | {"recipe": {"settings": settings}}
    runs = type(study.read()["glyphs"]["prunnet-default"])([document])
    capacities = (1.0, 0.9, 0.8, 0.5, 0.3, 0.2, 0.1)
    assert {c for c in capacities if runs.is_interpolated(c)} == interpolated


def test_where_no_method_saves_multiplications_no_picture_of_them_is_drawn(
    study: SimpleNamespace,
) -> None:
    document = made_up("prunnet-default", 0, 0.7)
    of_weights = {c: {**member, "macs": 200} for c, member in document["members"].items()}
    runs = type(study.read()["glyphs"]["prunnet-default"])([document | {"members": of_weights}])
    drawn = study.method.method_pictures({"glyphs": {"prunnet-default": runs}})
    assert set(drawn) == {"method-glyphs-capacity.png", "method-glyphs-matrices.png"}
    assert "method-glyphs-speed.png" in study.method.method_pictures(study.read())


def test_pictures_know_when_their_numbers_have_changed(study: SimpleNamespace) -> None:
    pictures = study.method.method_pictures(study.read())
    assert set(pictures) == {
        f"method-glyphs-{kind}.png" for kind in ("capacity", "matrices", "speed")
    }
    for name, picture in pictures.items():
        assert not study.picture.is_current(study.folder / name, picture)
        study.picture.write_picture(study.folder / name, picture)
        assert study.picture.is_current(study.folder / name, picture)
    study.write(made_up("prunnet-default", 0, 0.71))
    for name, picture in study.method.method_pictures(study.read()).items():
        assert not study.picture.is_current(study.folder / name, picture)


def test_results_of_different_budgets_do_not_mix(study: SimpleNamespace) -> None:
    longer = made_up("joint", 0, 0.7)
    longer["recipe"]["steps"] = 20
    study.write(longer)
    with pytest.raises(ValueError, match="of one budget"):
        study.read()


def test_results_of_a_gpu_do_not_mix_with_those_of_a_cpu(study: SimpleNamespace) -> None:
    study.write(made_up("joint", 0, 0.7) | {"device": "Some GPU"})
    with pytest.raises(ValueError, match="of one budget"):
        study.read()


def test_tasks_and_marks_that_do_not_meet_are_named(study: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match=r"title for every task\. Found none of {'glyphz'}"):
        study.method.with_study(PAGE, {"glyphz": {}})
    with pytest.raises(ValueError, match=r"Marks should be among .* Found {'glyphz'}"):
        study.method.with_study(PAGE.replace("glyphs", "glyphz"), study.read())
