"""A record keeper for PML's hooks: what the package record-keeper does, in memory."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from typing import Any


class RecordKeeper:
    """Writes columns in quotes, and leaves it to PML to ask for them without, as that package does.

    Attributes:
        hash_map: Names too long for a table; none here.
        rows: What was recorded, by group and iteration.
    """

    def __init__(self) -> None:
        self.hash_map: dict[str, str] = {}
        self.rows: dict[str, dict[int, dict[str, float]]] = defaultdict(dict)
        self._database = sqlite3.connect(":memory:")
        self._database.row_factory = sqlite3.Row

    def update_records(
        self,
        records: dict[str, Any],
        iteration: int,
        parent_name: str | None = None,
        **_: Any,  # noqa: ANN401
    ) -> None:
        if parent_name is not None:
            values = {name: float(value) for name, value in records.items()}
            self.rows[parent_name].setdefault(iteration, {}).update(values)

    def save_records(self) -> None:
        for group, rows in self.rows.items():
            columns = ", ".join(f"[{name}] real" for name in next(iter(rows.values())))
            self._database.execute(f"DROP TABLE IF EXISTS {group}")
            self._database.execute(f"CREATE TABLE {group} (id integer primary key, {columns})")
            for row in rows.values():
                places = ", ".join("?" * len(row))
                names = ", ".join(f"[{name}]" for name in row)
                self._database.execute(
                    f"INSERT INTO {group} ({names}) VALUES ({places})", [*row.values()]
                )

    def table_exists(self, name: str) -> bool:
        return bool(self.query("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)))

    def query(self, statement: str, values: tuple[Any, ...] = (), return_dict: bool = False) -> Any:  # noqa: ANN401
        rows = self._database.execute(statement, values).fetchall()
        if not return_dict:
            return rows
        return {name: [row[name] for row in rows] for name in (rows[0].keys() if rows else ())}

    def close(self) -> None:
        self._database.close()
