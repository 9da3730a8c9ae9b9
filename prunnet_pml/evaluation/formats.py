"""A compatibility matrix as a rich table, as Markdown and as JSON."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from prunnet_pml.evaluation.matrix import METRICS, CompatibilityMatrix
from prunnet_pml.record_names import percent

if TYPE_CHECKING:
    from rich.table import Table


def rich_table(matrix: CompatibilityMatrix, metric: str) -> "Table":
    """One metric in percent: a row per query capacity, a column per gallery capacity."""
    from rich.table import Table

    table = Table(title=f"{METRICS.get(metric, metric)}, %", caption="row: query, column: gallery")
    table.add_column("capacity", justify="right", style="bold")
    for capacity in matrix.gallery_capacities:
        table.add_column(percent(capacity), justify="right")
    for row in _rows(matrix, metric):
        table.add_row(*row)
    return table


def markdown_table(matrix: CompatibilityMatrix, metric: str) -> str:
    """One metric in percent: a row per query capacity, a column per gallery capacity."""
    head = [f"{METRICS.get(metric, metric)}, query \\ gallery"]
    head += [percent(capacity) for capacity in matrix.gallery_capacities]
    lines = [head, ["---:"] * len(head), *_rows(matrix, metric)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def json_text(matrix: CompatibilityMatrix) -> str:
    """All of a matrix; a NaN, which JSON does not have, becomes null."""
    values = {
        metric: [[None if np.isnan(value) else value for value in row] for row in array.tolist()]
        for metric, array in matrix.values.items()
    }
    content = {
        "query_capacities": matrix.query_capacities,
        "gallery_capacities": matrix.gallery_capacities,
        "trained_capacities": matrix.trained_capacities,
        "k": matrix.k,
        "values": values,
    }
    return json.dumps(content, indent=2) + "\n"


def matrix_of_json(text: str) -> CompatibilityMatrix:
    """What :func:`json_text` wrote; raises ValueError at anything else."""
    try:
        return _matrix_of(json.loads(text))
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"`source` should be a matrix's JSON. Found: {error}.") from error


def _matrix_of(content: Any) -> CompatibilityMatrix:  # noqa: ANN401
    missing = {"query_capacities", "gallery_capacities", "values", "k"} - set(content)
    if missing:
        raise ValueError(f"no {sorted(missing)} in it")
    trained = content.get("trained_capacities")
    return CompatibilityMatrix(
        query_capacities=tuple(content["query_capacities"]),
        gallery_capacities=tuple(content["gallery_capacities"]),
        values={  # float64 turns None into NaN
            metric: np.array(rows, np.float64) for metric, rows in content["values"].items()
        },
        k=content["k"],
        trained_capacities=None if trained is None else tuple(trained),
    )


def _rows(matrix: CompatibilityMatrix, metric: str) -> list[list[str]]:
    """Cells in percent, "n/a" for NaN, each row behind its capacity."""
    return [
        [percent(capacity), *("n/a" if np.isnan(v) else f"{100 * v:.1f}" for v in row)]
        for capacity, row in zip(matrix.query_capacities, matrix[metric], strict=True)
    ]
