"""Does a file keep to NENA's template or the National Address Database's schema? Judged by their own tables alone.

The tables lie beside the checkout (`../shared/data/standards`); nothing of `schemas/` is asked.
"""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fiona
import pyogrio
import pyogrio.raw
import shapely

_NGUID = re.compile(r"urn:emergency:uid:gis:SSAP:[^:]+:[a-z0-9.-]+\.[a-z]+")
_OGR = {
    "TEXT": "OFTString",
    "String": "OFTString",
    "GUID": "OFTString",
    "INTEGER": "OFTInteger",
    "Integer": "OFTInteger",
    "Small Integer (Short)": "OFTInteger",
    "REAL": "OFTReal",
    "Double": "OFTReal",
    "DATETIME": "OFTDateTime",
    "Date": "OFTDate",
}
_LONGEST_IN_DBF = 254


@dataclass(frozen=True)
class _Wanted:
    """A column as the other standard's table has it; `excused`: classes of addresses that need no value."""

    name: str
    type: str
    width: int | None
    required: bool
    excused: frozenset[str]
    domain: frozenset[str]
    limits: tuple[float, float] | None


def conformance(file: Path, profile: str, standards: Path) -> list[str]:
    """What is wrong with the file, a sentence each; nothing is."""
    columns = _nena(standards / "nena") if profile == "nena" else _nad(standards / "nad")
    place = f"/vsizip/{file}" if file.suffix == ".zip" and not file.name.endswith(".gdb.zip") else str(file)
    return list(_complaints(place, columns, dbase=place.startswith("/vsizip")))


def _complaints(place: str, columns: list[_Wanted], *, dbase: bool) -> Iterator[str]:
    info = pyogrio.read_info(place)
    if info["crs"] != "EPSG:4326":
        yield f"The coordinate system is {info['crs']}."
    if info["geometry_type"] != "Point":
        yield f"The shapes are {info['geometry_type']}."
    if list(info["fields"]) != [column.name for column in columns]:
        yield f"The columns are {', '.join(info['fields'])}."
        return
    with fiona.open(place) as source:
        widths = dict(source.schema["properties"])
    geodatabase = info["driver"] == "OpenFileGDB"
    for column, kind in zip(columns, info["ogr_types"], strict=True):
        wanted = "OFTDateTime" if geodatabase and column.type == "OFTDate" else column.type
        if kind != wanted:
            yield f"{column.name} is {kind}, not {wanted}."
        width = min(column.width, _LONGEST_IN_DBF) if column.width and dbase else column.width
        if width and widths[column.name] != f"str:{width}":
            yield f"{column.name} is {widths[column.name]}, not {width} wide."
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, table = pyogrio.raw.read_arrow(place)
    rows: list[dict[str, Any]] = table.to_pylist()
    if not all(shapely.from_wkb(row[info["geometry_name"] or "wkb_geometry"]) for row in rows):
        yield "A row has no point."
    for row in rows:
        for column in columns:
            yield from _about(column, row[column.name], row)


def _about(column: _Wanted, value: Any, row: dict[str, Any]) -> Iterator[str]:
    if value in (None, ""):
        if column.required and row.get("AddrClass") not in column.excused:
            yield f"{column.name} is missing."
        return
    if column.width and len(str(value)) > column.width:
        yield f"{column.name} is too long: {value}."
    if column.domain and value not in column.domain:
        yield f"{column.name} may not be {value}."
    if column.limits and not column.limits[0] <= value <= column.limits[1]:
        yield f"{column.name} may not be {value}."
    if column.name == "NGUID" and not _NGUID.fullmatch(value):
        yield f"{value} is no NGUID."


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))


def _nena(folder: Path) -> list[_Wanted]:
    domains: dict[str, set[str]] = {}
    limits: dict[str, dict[str, float]] = {}
    for row in _rows(folder / "nena_sta_006_3_domains.csv"):
        if row["kind"] == "CODED":
            domains.setdefault(row["domain"], set()).add(row["code"])
        else:
            limits.setdefault(row["domain"], {})[row["code"]] = float(row["label"])
    fields = [row for row in _rows(folder / "nena_sta_006_3_fields.csv") if row["layer"] == "SiteStructureAddressPoint"]
    return [
        _Wanted(
            name=row["field"],
            type=_OGR[row["type"]],
            width=int(row["length"]) if row["length"] else None,
            required=row["required"] == "True",
            excused=frozenset(),
            domain=frozenset(domains.get(row["domain"], ())),
            limits=(edge["min"], edge["max"]) if (edge := limits.get(row["domain"])) else None,
        )
        for row in fields
    ]


def _nad(folder: Path) -> list[_Wanted]:
    excuses = {"Landmark": "Landmark Address", "Unnumbered Thoroughfare": "Unnumbered Thoroughfare Address"}
    ranges = {"AddressNumber": (0.0, 999999.0), "Longitude": (-180.0, 180.0), "Latitude": (-90.0, 90.0)}
    columns = []
    for row in _rows(folder / "nad_schema_2023_04.csv"):
        words = folder / f"Domain_{row['field']}.csv"
        said, _, excepted = row["expected_use"].partition(" except ")
        columns.append(
            _Wanted(
                name=row["field"],
                type=_OGR[row["type"]],
                width=int(row["length"]) if row["length"] else None,
                required=said == "Always Used",
                excused=frozenset(name for word, name in excuses.items() if word in excepted),
                # The tool looks a value up among the sources; some have a blank behind them by mistake.
                domain=frozenset(each["Source"].strip() for each in _rows(words)) if words.is_file() else frozenset(),
                limits=ranges.get(row["domain"]),
            )
        )
    return columns
