"""Answers of an Esri feature service, saved page by page: looked over by Python's own JSON and joined into one file.

Runs inside the throwaway process, before GDAL is loaded. Only what describes the features and the features themselves
go on to GDAL; whatever else a page says stays behind.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from statewide.prescan import Count, Prescan
from statewide.reading_limits import Unusable
from statewide.reading_rows import Dataset
from statewide.sniff import READABLE

_ABOUT = ("geometryType", "spatialReference", "fields", "fieldAliases")


def join_pages(dataset: Dataset, copy: Path) -> Prescan:
    """Write the pages of ``dataset`` to ``copy`` and let it stand for them. Raises Unusable."""
    about: dict[str, Any] = {}
    rows = shapes = unfinished = 0
    pages = sorted(Path(dataset.path).iterdir())
    with copy.open("w", encoding="utf-8") as out:
        for page in pages:
            content = _content(page)
            if not about:
                about = {name: content[name] for name in _ABOUT if name in content}
                out.write(json.dumps(about)[:-1] + ', "features": [')
            elif _layer_of(content) != _layer_of(about):
                raise Unusable("holds pages of more than one layer; send the pages of one layer alone")
            for feature in content["features"]:
                if not isinstance(feature, dict) or not isinstance(feature.get("attributes"), dict):
                    raise Unusable("is Esri's own JSON with something among its features that is none; save it again")
                out.write(
                    ",\n" * bool(rows) + json.dumps({part: feature.get(part) for part in ("attributes", "geometry")})
                )
                rows += 1
                shapes += _has_shape(feature.get("geometry"))
            unfinished += content.get("exceededTransferLimit") is True
        out.write("]}")
    if not rows:
        raise Unusable(f"is Esri's own JSON without a feature; send {READABLE}")
    dataset.path = str(copy)
    found = Prescan(counts={None: Count(rows, shapes, "features in the pages")})
    if unfinished == len(pages):  # the last page of a layer does not say so
        found.warnings.append("The service says that it holds more rows than these pages (exceededTransferLimit).")
    if len(pages) > 1:
        found.notes.append(f"The rows of {len(pages):,} pages of one feature service were put together.")
    return found


def _content(page: Path) -> dict[str, Any]:
    try:
        content = json.loads(page.read_bytes())
    except (ValueError, RecursionError) as error:
        raise Unusable("is Esri's own JSON and damaged, or cut off in the middle; save it again") from error
    if not isinstance(content, dict) or not isinstance(content.get("features"), list):
        raise Unusable(f"is Esri's own JSON that describes a layer without its features; send {READABLE}")
    if not any(content.get(name) for name in ("fields", "fieldAliases")):
        raise Unusable("is Esri's own JSON without the list of its fields; save it again")
    return content


def _layer_of(page: dict[str, Any]) -> tuple[Any, ...]:
    """What all the pages of a layer say alike."""
    fields = [field.get("name") for field in page.get("fields") or [] if isinstance(field, dict)]
    return page.get("geometryType"), page.get("spatialReference"), fields or sorted(page.get("fieldAliases") or {})


def _has_shape(geometry: Any) -> bool:
    if not isinstance(geometry, dict):
        return False
    return any(geometry.get(part) for part in ("rings", "paths", "points")) or isinstance(
        geometry.get("x"), int | float
    )
