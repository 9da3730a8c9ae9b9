"""What a step draws: how often, from where, and that it repeats."""

from __future__ import annotations

from collections import Counter

import pytest

from prunnet_pml.draws import check_draws, draw_capacities, drawn_for, steps_for_a_draw

TRAINED = (0.8, 0.6, 0.4, 0.2)
STEPS = 2000


def drawn(count: int | None, between: float, seed: int = 0) -> list[tuple[float, ...]]:
    return [draw_capacities(TRAINED, count, between, seed, step) for step in range(STEPS)]


def place(capacity: float) -> float:
    return drawn_for(TRAINED, capacity)


@pytest.mark.parametrize(
    ("capacity", "expected"), [(1.0, 1.0), (0.8, 0.8), (0.79, 0.8), (0.41, 0.6), (0.4, 0.4)]
)
def test_what_is_between_takes_the_place_of_the_larger(capacity: float, expected: float) -> None:
    assert place(capacity) == expected


@pytest.mark.parametrize("between", [0, 0.5, 0.9])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_every_trained_capacity_is_drawn_for_as_often(count: int, between: float) -> None:
    seen: Counter[float] = Counter()
    for capacities in drawn(count, between):
        places = [place(capacity) for capacity in capacities]
        assert len(places) == count
        assert places == sorted(set(places), reverse=True)
        seen.update(places)
    expected = STEPS * count / 4
    assert all(abs(seen[c] - expected) <= 4 * expected**0.5 for c in TRAINED)


@pytest.mark.parametrize("between", [0, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("count", [1, 3])
def test_a_share_is_between_but_for_the_lowest(count: int, between: float) -> None:
    for trained in TRAINED:
        near = [
            c for capacities in drawn(count, between) for c in capacities if place(c) == trained
        ]
        share = sum(c != trained for c in near) / len(near)
        expected = 0 if trained == 0.2 else between
        assert abs(share - expected) <= 4 * (expected * (1 - expected) / len(near)) ** 0.5


def test_what_is_between_is_drawn_evenly() -> None:
    inside = sorted((place(c) - c) / 0.2 for [c] in drawn(1, 0.5) if c not in TRAINED)
    even = [(index + 0.5) / len(inside) for index in range(len(inside))]
    furthest = max(abs(one - other) for one, other in zip(inside, even, strict=True))
    assert furthest <= 1.95 / len(inside) ** 0.5  # Kolmogorov and Smirnov, one in a thousand


def test_all_of_them_are_exactly_the_trained_ones() -> None:
    assert draw_capacities(TRAINED, None, 0, 0, 0) == TRAINED


def test_one_trained_capacity_has_nothing_below() -> None:
    assert draw_capacities((0.5,), 1, 0.9, 0, 0) == (0.5,)


def test_draws_repeat_by_seed_and_step() -> None:
    assert drawn(2, 0.5) == drawn(2, 0.5)
    assert drawn(2, 0.5) != drawn(2, 0.5, seed=1)
    assert len(set(drawn(1, 0.9))) > STEPS / 2


@pytest.mark.parametrize(
    ("count", "between"), [(None, 0.5), (1, 0), (3, 0), (1, 0.5), (3, 0.5), (1, 0.9)]
)
def test_in_so_many_steps_a_capacity_is_drawn_once(count: int | None, between: float) -> None:
    seen = Counter(c for capacities in drawn(count, between) for c in capacities)
    for capacity in TRAINED:
        expected = STEPS / steps_for_a_draw(TRAINED, count, between, capacity)
        assert abs(seen[capacity] - expected) <= 4 * expected**0.5
    assert steps_for_a_draw(TRAINED, count, between, 0.37) == 1
    assert steps_for_a_draw(TRAINED, count, between, 1.0) == 1


@pytest.mark.parametrize("between", [-0.1, 1, float("nan"), "half", None, True])
def test_a_share_is_a_number_from_0_to_below_1(between: object) -> None:
    """A trained capacity that is never drawn would be read by statistics that saw no batch."""
    with pytest.raises(ValueError, match=r"`between` should be a number in \[0, 1\)\. Found "):
        check_draws(1, between, TRAINED)
