"""The throwaway process that opens a stranger's file: ``python -m statewide.reading_child REQUEST.json``.

Shuts itself in, looks the file over, and only then loads the reader of the sniffed kind. Writes ``result.json`` and,
when rows are wanted, ``table.arrow`` into its one output folder. Started by ``files`` alone.
"""

from __future__ import annotations

import json
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from statewide.lean import without
from statewide.reading_limits import Limits, Unusable
from statewide.sandbox import runtime_paths, shut_in
from statewide.sniff import DRIVERS, MDBTOOLS, READABLE

if TYPE_CHECKING:  # what loads numpy waits until the process is shut in
    from statewide.prescan import Count, Prescan
    from statewide.reading_rows import Dataset, FoundLayer

_PARCELS = re.compile(r"parcel|cadast|tax_?map|tax_?lot|assessor|propert", re.IGNORECASE)
_ADDRESSES = re.compile(r"addr|ssap|site_?struct|situs|e_?911", re.IGNORECASE)
_ASSESSMENTS = re.compile(r"cama|assess|apprais|valuation|grand_?list|propert|real_?est|parcel|vision", re.IGNORECASE)
_HOUSEKEEPING = re.compile(
    r"layer_styles|qgis_projects|.*__attach(rel)?|gdb_.*|t_\d+_.*|summary|read_?me", re.IGNORECASE
)
_POLYGONS = re.compile(r"polygon|surface|unknown|collection|tin|triangle", re.IGNORECASE)
_POINTS = re.compile(r"point|unknown|collection", re.IGNORECASE)
_WANTED = {
    "MultiPolygon": (_POLYGONS, "polygons", _PARCELS, "parcels"),
    "Point": (_POINTS, "points", _ADDRESSES, "addresses"),
}
"""By the kind of shape in the law: OGR's words for it, ours, and how towns name such a layer."""
_LONGITUDE_FIRST = {"CRS84": "EPSG:4326", "CRS83": "EPSG:4269"}
"""OGC's names for degrees with the longitude first, which is how GDAL hands out every system."""


def main() -> None:
    serve(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))


def serve(request: dict[str, Any]) -> None:
    """Shut this process in, read what ``files`` asks for, and write the answer."""
    out = Path(request["out"])
    limits = Limits(**request["limits"])
    signal.alarm(limits.wall_seconds + 5)  # should nobody be left to hold the clock
    programs = MDBTOOLS if any(dataset["kind"] == "access" for dataset in request["datasets"]) else ()
    isolation = shut_in([*runtime_paths(), Path(request["input"])], out, limits, programs)
    try:
        with without("pandas", "geopandas"):
            result = _work(request, out, limits)
    except Unusable as unusable:
        result = {"refused": str(unusable)}
    except UnicodeDecodeError:
        result = {"refused": "has names that are not UTF-8 text; export it again in UTF-8"}
    except MemoryError:
        result = {"refused": "needs more memory to read than a delivery may use; split it"}
    for copy in out.glob("copy*"):
        copy.unlink()
    result["isolation"] = [*isolation, *result.get("isolation", [])]
    (out / "result.json").write_text(json.dumps(result), encoding="utf-8")


def _work(request: dict[str, Any], out: Path, limits: Limits) -> dict[str, Any]:
    """What the delivery holds, and under ``each`` what there is to say of every layer that was asked for."""
    from statewide.reading_rows import Dataset

    datasets = [Dataset(**dataset) for dataset in request["datasets"]]
    shapes, geometry = request["shapes"], request["geometry"]
    pick = partial(choose_layer, geometry=geometry) if shapes else choose_table
    each: list[dict[str, Any]] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        delivery = _Delivery(datasets, out, limits, shapes)
        layers = [entry.layer for entry in delivery.entries]
        for number, wanted in enumerate(request["layers"]):
            picked, why = pick(layers, wanted)
            if shapes:
                _check_shapes(layers[picked], geometry)
            each.append({"picked": picked, "why": why})
            if request["read"]:
                each[-1].update(delivery.entries[picked].read(out / str(number), shapes, request["careful"]))
        _resolve_crs(layers)
    # What GDAL warns of is in its log too, and read from there; the rest is pyogrio's own.
    said = [
        str(warning.message)
        for warning in caught
        if not issubclass(warning.category, RuntimeWarning) and not str(warning.message).startswith("Measured (M)")
    ]
    measured = "The shapes have measures (M), which are not used."
    notes = [measured] if any(str(warning.message).startswith("Measured (M)") for warning in caught) else []
    for found in each:
        entry = delivery.entries[found["picked"]]
        dataset = datasets[entry.layer.dataset]
        found |= {
            "count": asdict(entry.count),
            "encoding": dataset.encoding_said,
            "encoding_how": dataset.encoding_how,
            "delimiter": dataset.delimiter,
            "warnings": list(dict.fromkeys(said + delivery.warnings + entry.warnings + found.pop("warnings", []))),
            "notes": entry.notes + found.get("notes", []) + notes,
        }
    return {"isolation": delivery.isolation, "layers": [asdict(found) for found in layers], "each": each}


@dataclass
class _Entry:
    """A layer, what it must give, and how to read it: (output folder, with shapes?, record by record?)."""

    layer: FoundLayer
    count: Count
    warnings: list[str]
    notes: list[str]
    read: Callable[[Path, bool, bool], dict[str, Any]]


class _Delivery:
    """Every layer of every dataset. A table beside a map may be anything: one that cannot be read is left out."""

    def __init__(self, datasets: list[Dataset], out: Path, limits: Limits, shapes: bool) -> None:
        from statewide.reading_tables import TABLE_KINDS

        self.entries: list[_Entry] = []
        self.warnings: list[str] = []
        self.isolation: list[str] = []
        self._out = out
        self._limits = limits
        self._shapes = shapes
        others = [number for number, dataset in enumerate(datasets) if dataset.kind not in TABLE_KINDS]
        self._open_maps(datasets, others)
        refused: list[Unusable] = []
        for number, dataset in enumerate(datasets):
            if number not in others:
                try:
                    self.entries += self._open_tables(number, dataset)
                except Unusable as unusable:
                    refused.append(unusable)
                    self.warnings.append(f"{dataset.name} was left out: it {unusable}.")
        if refused and not self.entries:
            raise refused[0]

    def _open_maps(self, datasets: list[Dataset], numbers: list[int]) -> None:
        from statewide.esri_pages import join_pages
        from statewide.prescan import prescan

        scans = {
            number: join_pages(datasets[number], self._out / f"copy{number}.json")
            if datasets[number].kind == "esrijson"
            else prescan(datasets[number].kind, Path(datasets[number].path))
            for number in numbers
        }
        drivers = sorted({DRIVERS[datasets[number].kind] for number in numbers if datasets[number].kind in DRIVERS})
        if drivers:
            from statewide.reading_gdal import load_gdal

            load_gdal(drivers)
            self.isolation.append(f"drivers: only {', '.join(drivers)}")
        for number, scan in scans.items():
            if scan.charset:
                datasets[number].encoding_said, datasets[number].encoding_how = scan.charset, "as the file says"
            if datasets[number].kind == "parquet":
                self.entries.append(_parquet_layer(number, datasets[number], self._limits))
            else:
                self.entries += _gdal_layers(number, datasets[number], scan)

    def _open_tables(self, number: int, dataset: Dataset) -> list[_Entry]:
        from statewide.reading_tables import Table, list_tables, read_table

        def reader(table: Table) -> Callable[[Path, bool, bool], dict[str, Any]]:
            return lambda out, shapes, careful: read_table(table, out)

        copy = self._out / f"copy{number}"
        tables = list_tables(number, dataset, copy, self._limits.records, shapes=self._shapes)
        return [_Entry(table.layer, table.count, table.complaints, table.notes, reader(table)) for table in tables]


def _gdal_layers(number: int, dataset: Dataset, scan: Prescan) -> Iterator[_Entry]:
    from statewide.reading_gdal import list_layers, read_in_bulk, read_record_by_record

    def reader(layer: FoundLayer, count: Count) -> Callable[[Path, bool, bool], dict[str, Any]]:
        def read(out: Path, shapes: bool, careful: bool) -> dict[str, Any]:
            if careful:
                return read_record_by_record(dataset, layer, count, out, shapes=shapes)
            return read_in_bulk(dataset, layer, out, shapes=shapes)

        return read

    for layer in list_layers(number, dataset):
        count = _count_of(scan, layer)
        if dataset.kind == "dxf":  # GDAL counts everything that is drawn
            layer.rows = count.rows
        yield _Entry(layer, count, scan.warnings, scan.notes, reader(layer, count))


def _parquet_layer(number: int, dataset: Dataset, limits: Limits) -> _Entry:
    from statewide.reading_parquet import list_parquet, read_parquet

    layer, count = list_parquet(number, dataset, limits)
    return _Entry(layer, count, [], [], lambda out, shapes, careful: read_parquet(dataset, out, shapes=shapes))


def _count_of(scan: Prescan, layer: FoundLayer) -> Count:
    from statewide.prescan import Count

    missing = Count(None, None, "not counted: the layer is not in the list of contents")
    return scan.counts.get(layer.inner) or scan.counts.get(None) or missing


# Layers


def choose_layer(layers: list[FoundLayer], wanted: str | None, geometry: str = "MultiPolygon") -> tuple[int, str]:
    """(position, why). Raises Unusable when there is none, or when choosing would be guessing."""
    of_kind, kinds, speaking, what = _WANTED[geometry]
    names = ", ".join(sorted({layer.name for layer in layers})[:20])
    if not layers:
        raise Unusable("has no layers; export it again")
    if wanted is not None:
        hits = [at for at, layer in enumerate(layers) if layer.name == wanted]
        hits = hits or [at for at, layer in enumerate(layers) if layer.name.casefold() == wanted.casefold()]
        if len(hits) != 1:
            raise Unusable(f"has {len(hits) or 'no'} layer{'s' * (len(hits) > 1)} called {wanted}; it has: {names}")
        return hits[0], "asked for"
    if len(layers) == 1:
        return 0, "the only layer"
    spatial = [at for at, layer in enumerate(layers) if layer.geometry_type is not None]
    fitting = [at for at in spatial if of_kind.search(layers[at].geometry_type or "")]
    pool = fitting or spatial or list(range(len(layers)))
    kind = f"with {kinds}" if fitting else "with shapes" if spatial else "in the file"
    if len(pool) == 1:
        return pool[0], f"the only layer {kind}"
    named = [at for at in pool if speaking.search(layers[at].name)]
    if len(named) == 1:
        return named[0], f"the only layer {kind} whose name speaks of {what}"
    pool = sorted(named or pool, key=lambda at: layers[at].rows or 0, reverse=True)
    first, second = (layers[at].rows or 0 for at in pool[:2])
    if first > 2 * second:
        return pool[0], f"of {len(pool)} layers {kind}, by far the most rows"
    raise Unusable(f"has several layers that could be the one; name it with --layer: {names}")


def _check_shapes(layer: FoundLayer, geometry: str) -> None:
    """Raises Unusable for a layer that cannot be the map. What single rows of it hold is judged later."""
    points = geometry == "Point"
    if layer.geometry_type is None:
        if points:
            raise Unusable(
                "holds a table without shapes and without coordinates; add columns for longitude and latitude, or for"
                " x and y, or send a map of points"
            )
        raise Unusable(f"holds a table without shapes; send the map itself: {READABLE}")
    if points and not _POINTS.search(layer.geometry_type):
        raise Unusable(
            f"holds no points: the shapes of {layer.name} are of the kind {layer.geometry_type}; send the points"
            " themselves, not the lots or lines that they lie on"
        )


def choose_table(layers: list[FoundLayer], wanted: str | None) -> tuple[int, str]:
    """(position, why) of the rows that are wanted without shapes: a table before a map. Raises Unusable."""
    if wanted is not None or len(layers) < 2:
        return choose_layer(layers, wanted)
    names = ", ".join(sorted({layer.name for layer in layers})[:20])
    pool = [at for at, layer in enumerate(layers) if not _HOUSEKEEPING.fullmatch(layer.name)] or [*range(len(layers))]
    tables = [at for at in pool if layers[at].geometry_type is None]
    for some, what in ((tables, "without shapes"), (pool, "in the file")):
        named = [at for at in some if _ASSESSMENTS.search(layers[at].name)]
        if len(named) == 1:
            return named[0], f"the only table {what} whose name speaks of assessment"
        if len(some) == 1:
            return some[0], f"the only table {what}"
        ranked = sorted(named or some, key=lambda at: layers[at].rows or 0, reverse=True)
        if len(ranked) > 1 and (layers[ranked[0]].rows or 0) > 2 * (layers[ranked[1]].rows or 0):
            return ranked[0], f"of {len(ranked)} tables {what}, by far the most rows"
    raise Unusable(f"has several tables that could be the one; name it with --layer: {names}")


def _resolve_crs(layers: list[FoundLayer]) -> None:
    """Turn ``crs`` into "EPSG:n" where PROJ knows the definition, heights left aside; else into plain WKT."""
    for layer in layers:
        if layer.crs is None or re.fullmatch(r"EPSG:\d+", layer.crs):
            layer.crs = "EPSG:4326" if layer.crs == "EPSG:4979" else layer.crs
            continue
        layer.crs = _plain_crs(layer.crs)
        if layer.crs is None or re.search("grids|PARAMETERFILE", layer.crs):  # files to open while projecting
            layer.crs = None
            warnings.warn(f"The coordinate system of layer {layer.name} cannot be used.", UserWarning, stacklevel=1)


def _plain_crs(definition: str) -> str | None:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        crs: Any = CRS.from_user_input(definition)
        while crs.is_compound or crs.is_bound:  # heights, and a way to another datum: neither is asked for here
            crs = crs.sub_crs_list[0] if crs.is_compound else crs.source_crs
        crs = crs.to_2d()
        if known := _LONGITUDE_FIRST.get(crs.name.partition(" (")[2].rstrip(")")):
            return known
        for match in crs.list_authority("EPSG", min_confidence=20):
            if _same_place(crs, CRS.from_epsg(match.code)):
                return f"EPSG:{match.code}"
        return str(crs.to_wkt())
    except CRSError:
        return None


def _same_place(crs: Any, known: Any) -> bool:
    """At this confidence PROJ goes by names and may offer metres for feet: both must put a point in one place."""
    from pyproj import Proj

    if crs.axis_info[0].unit_conversion_factor != known.axis_info[0].unit_conversion_factor:
        return False
    if not (crs.is_projected and known.is_projected):
        return bool(crs.is_geographic and known.is_geographic and crs.ellipsoid == known.ellipsoid)
    area = known.area_of_use
    point = ((area.west + area.east) / 2, (area.south + area.north) / 2)
    return all(abs(a - b) < 0.01 for a, b in zip(Proj(crs)(*point), Proj(known)(*point), strict=True))


if __name__ == "__main__":
    main()
