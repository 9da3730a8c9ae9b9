"""What the Hub finds fault with in the metadata of a model card, as far as its rules are known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

LICENCES = {"apache-2.0", "mit", "bsd-3-clause", "cc-by-4.0", "cc-by-nc-4.0", "openrail", "other"}
"""Some of the identifiers that the Hub knows."""


def faults(content: str) -> list[str]:
    """Every fault of a README.md, in the order found; none if the Hub would take it."""
    head, *rest = content.split("---\n", 2)[1:] if content.startswith("---\n") else [""]
    if not rest:
        return ["no metadata between two lines of ---"]
    try:
        metadata = yaml.safe_load(head)
    except yaml.YAMLError as error:
        return [f"no YAML: {error}"]
    return list(_faults(metadata)) if isinstance(metadata, dict) else ["metadata is no mapping"]


def _faults(metadata: dict[str, Any]) -> Iterator[str]:
    if "license" in metadata and metadata["license"] not in LICENCES:
        yield f'"license" must be one of {sorted(LICENCES)}'
    for key in ("tags", "datasets", "metrics"):
        value = metadata.get(key, [])
        if not (isinstance(value, list) and all(isinstance(text, str) for text in value)):
            yield f'"{key}" must be an array of strings'
    for key in ("library_name", "pipeline_tag", "base_model"):
        if not isinstance(metadata.get(key, ""), str):
            yield f'"{key}" must be a string'
    models = metadata.get("model-index", [])
    if not isinstance(models, list):
        yield '"model-index" must be an array'
        return
    for i, model in enumerate(models):
        if not isinstance(model.get("name"), str):
            yield f'"model-index[{i}].name" is required'
        for j, result in enumerate(model.get("results", [])):
            place = f"model-index[{i}].results[{j}]"
            for part, needed in (("task", ["type"]), ("dataset", ["type", "name"])):
                for key in needed:
                    if not isinstance(result.get(part, {}).get(key), str):
                        yield f'"{place}.{part}.{key}" is required'
            for metric in result.get("metrics") or [{}]:
                if not isinstance(metric.get("type"), str) or "value" not in metric:
                    yield f'"{place}.metrics" must hold a type and a value'
