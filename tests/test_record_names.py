"""Names of losses and cells: readable, and safe in the SQL that PML's hooks write."""

from __future__ import annotations

import sqlite3

import pytest

from prunnet_pml.record_names import cell_name, loss_name, percent


def test_names_say_capacities_in_percent() -> None:
    assert loss_name("metric_loss", 1.0) == "metric_loss"
    assert loss_name("metric_loss", 0.2) == "metric_loss_at_20"
    assert loss_name("metric_loss", 1 - 0.9) == "metric_loss_at_10"
    assert loss_name("metric_loss", 0.125) == "metric_loss_at_12_5"
    assert loss_name("metric_loss", 1e-7) == "metric_loss_at_0_00001"
    assert cell_name("recall_at_1", 0.2, 1) == "recall_at_1_query_20_gallery_100"


def test_names_are_sql_identifiers_as_they_are() -> None:
    names = [loss_name("loss", 0.125), cell_name("recall_at_1", 1 / 3, 1e-7)]
    database = sqlite3.connect(":memory:")
    database.execute(f"CREATE TABLE t ({', '.join(names)})")
    database.execute(f"SELECT {', '.join(names)} FROM t")
    database.close()


def test_a_capacity_out_of_range() -> None:
    with pytest.raises(ValueError, match="`capacity` should be in"):
        loss_name("loss", 2)
    with pytest.raises(ValueError, match="`gallery` should be in"):
        cell_name("recall_at_1", 0.5, 0)


@pytest.mark.parametrize(
    ("capacity", "text"),
    [(1.0, "100%"), (0.2, "20%"), (0.125, "12.5%"), (0.124, "12.4%"), (0.005, "0.5%")],
)
def test_people_read_a_capacity_in_percent(capacity: float, text: str) -> None:
    assert percent(capacity) == text
