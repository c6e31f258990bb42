"""The published addresses as other standards want them: NENA's template, the National Address Database.

Made of nothing but columns of the published view. A value for which the other standard has no room or no word is left
out and counted, never cut. The columns stand in the law (`schemas/profiles/`); here is how values are made of others.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from addresses.national_grid import national_grid
from addresses.parsing import STREET, house_number, joined
from statewide.errors import BadArgument
from statewide.export import GEOMETRY, Layer, Streamed, appearing_whole, published_layer, write_with_gdal
from statewide.register import Town
from statewide.settings import Settings
from statewide.standard import ExportColumn, ExportProfile, Standard

_SUFFIXES = {".gdb.zip": "gdb", ".zip": "shapefile", ".gpkg": "gpkg"}
_SAID = {
    "gdb": "a zipped geodatabase (.gdb.zip)",
    "shapefile": "a zipped shapefile (.zip)",
    "gpkg": "a GeoPackage (.gpkg)",
}
_DRIVERS: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "gpkg": ("GPKG", {"VERSION": "1.3"}, {"SPATIAL_INDEX": "YES"}),
    "gdb": ("OpenFileGDB", {}, {}),
    "shapefile": ("ESRI Shapefile", {}, {"ENCODING": "UTF-8"}),
}
_TYPES = {
    "text": pa.string(),
    "integer": pa.int32(),
    "number": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("ms", tz="UTC"),
}
_DBF_TEXT, _DBF_BYTES = 254, 2**31
"""The widest text of a dBASE file, and how large it may be for most programs."""
_NAMED = 20
"""Addresses that are named for each kind of trouble."""
_DEGREES = 7
_AGENCY = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]+")
_URN = "urn:emergency:uid:gis:SSAP:"
_TWO_NUMBERS = r"\d[A-Za-z]?[-+,&]\d"
NUMBERED, TWO_NUMBERS, UNNUMBERED, LANDMARK = (
    "Numbered Thoroughfare Address",
    "Two Number Address Range",
    "Unnumbered Thoroughfare Address",
    "Landmark Address",
)

TOO_LONG = "is longer than {width}"
NO_WORD = "is none of the values that the column may have"
OUT_OF_RANGE = "is out of range"
MISSING = "is missing and has to be there"
TWICE = "stands in more than one row and must not"


@dataclass
class Trouble:
    """What does not fit in one column, and in how many rows; `addresses` are the identifiers of the first ones."""

    column: str
    what: str
    rows: int = 0
    addresses: list[str] = field(default_factory=list)

    @property
    def fails(self) -> bool:
        """Whether a file with it does not pass; what was only left out does no harm."""
        return self.what in (MISSING, TWICE)


def profile_format(path: Path, profile: ExportProfile) -> str:
    """The format by the file's name.

    Raises:
        BadArgument: it is none that the other standard takes.
    """
    name = path.name.casefold()
    kind = next((kind for suffix, kind in _SUFFIXES.items() if name.endswith(suffix)), None)
    if kind not in profile.formats:
        taken = " or ".join(_SAID[each] for each in profile.formats)
        raise BadArgument(f"{profile.title}: name the file as {taken}, not {path.name}.")
    return kind


def export_profile(
    settings: Settings,
    standard: Standard,
    profile: ExportProfile,
    path: Path,
    *,
    town: Town | None = None,
    agency: str | None = None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Write what is published, of one town or of all, as the profile wants it.

    Raises:
        BadArgument: the file's name says a format that the profile does not take, the rows do not fit into it, or the
            agency is no domain name.
        PlatformError: database or disk; there is no half file.
    """
    kind = profile_format(path, profile)
    if agency is not None and not _AGENCY.fullmatch(agency):
        raise BadArgument(f"--agency is a domain name such as gis.example.gov, not {agency!r}.")
    table = standard.table(profile.table)
    with published_layer(settings, standard, table, town, None, profile.epsg, say=say) as (published, towns):
        made = ProfileRows(standard, profile, kind, agency or profile.agency)
        batches = (made.batch(batch) for batch in published.batches)
        layer = Layer(profile.layer, published.shape, profile.epsg, made.schema, batches)
        write_profile(path, kind, layer)
    troubles = made.troubles()
    return {
        "outcome": "failing" if any(trouble.fails for trouble in troubles) else "ok",
        "file": str(path),
        "profile": profile.name,
        "standard": profile.title,
        "format": kind,
        "bytes": path.stat().st_size,
        "rows": made.rows,
        "towns": towns,
        "epsg": profile.epsg,
        "empty_columns": made.empty_columns,
        "left_out": [_shown(trouble) for trouble in troubles if not trouble.fails],
        "failing": [_shown(trouble) for trouble in troubles if trouble.fails],
    }


def _shown(trouble: Trouble) -> dict[str, Any]:
    return {"column": trouble.column, "why": trouble.what, "rows": trouble.rows, "addresses": trouble.addresses}


def write_profile(path: Path, kind: str, layer: Layer) -> None:
    """Write the layer, in a zip where it has several files."""
    name = path.name[: -len(next(suffix for suffix, each in _SUFFIXES.items() if each == kind))]
    inner = {"gpkg": f"{name}.gpkg", "gdb": f"{name}.gdb", "shapefile": f"{layer.name}.shp"}[kind]
    with appearing_whole(path) as folder:
        write_with_gdal(folder / inner, layer, Streamed(layer), *_DRIVERS[kind])
        if kind == "gpkg":
            (folder / inner).replace(path)
            return
        files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
        partial = folder / "export.zip"
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(file, file.relative_to(folder))
        partial.replace(path)


@dataclass(frozen=True)
class _Column:
    """A column of the profile with what our own field says of it; `most` is its width in the file's own measure."""

    law: ExportColumn
    name: str
    type: pa.DataType
    most: int | None
    allowed: pa.Array | None
    lowest: float | None
    highest: float | None


class ProfileRows:
    """Batches of the published view made into batches of a profile, and what did not fit."""

    def __init__(self, standard: Standard, profile: ExportProfile, kind: str, agency: str) -> None:
        self.rows = 0
        self._kind = kind
        self._profile = profile
        self._makers = _Makers(standard, agency)
        self._columns = [self._column(standard, law) for law in profile.columns]
        self._troubles: dict[tuple[str, str], Trouble] = {}
        self._once: dict[str, list[pa.Array]] = {column.name: [] for column in self._columns if column.law.unique}
        fields = [
            pa.field(column.name, column.type, metadata={"GDAL:OGR:width": str(column.most)} if column.most else None)
            for column in self._columns
        ]
        self.schema = pa.schema([*fields, pa.field(GEOMETRY, pa.binary())])

    @property
    def empty_columns(self) -> dict[str, str]:
        """Columns in which nothing is written, and why."""
        return {column.name: column.law.empty for column in self._columns if column.law.empty}

    def batch(self, published: pa.RecordBatch) -> pa.RecordBatch:
        """The same rows in the columns of the profile.

        Raises:
            BadArgument: more rows than the format has room for.
        """
        self.rows += len(published)
        self._check_room()
        rows = Published(published)
        classes = self._makers.address_class(rows)
        columns = []
        for column in self._columns:
            values = self._fitting(column, self._values(column, rows), rows)
            if column.law.required:
                missing = pc.is_null(values)
                if column.law.unless:
                    excused = pc.is_in(classes, pa.array(column.law.unless))
                    missing = pc.and_(missing, pc.invert(excused))
                self._note(column, MISSING, missing, rows)
            if column.name in self._once:
                self._once[column.name].append(values)
            columns.append(values)
        return pa.RecordBatch.from_arrays([*columns, published.column(GEOMETRY)], schema=self.schema)

    def troubles(self) -> list[Trouble]:
        """What did not fit in all the batches, column by column."""
        for name, parts in self._once.items():
            if not parts:
                continue
            counts = pc.value_counts(pa.chunked_array(parts).drop_null())
            again = counts.filter(pc.greater(counts.field("counts"), 1))
            if len(again):
                self._troubles[(name, TWICE)] = Trouble(name, TWICE, int(pc.sum(again.field("counts")).as_py()))
        order = [column.name for column in self._columns]
        return sorted(self._troubles.values(), key=lambda trouble: order.index(trouble.column))

    def _column(self, standard: Standard, law: ExportColumn) -> _Column:
        ours = standard.table(self._profile.table).field(law.field) if law.field else None
        name = law.name or (ours.maps_to[self._profile.name] if ours else "")
        kind = law.type or (ours.type if ours else "text")
        width = (law.width or (ours.max_length if ours else None)) if kind == "text" else None
        codes = law.codes or (ours.codes if ours else None)
        allowed = list(law.domain)
        if codes:
            allowed = [
                code.maps_to.get("nad", "") if law.crosswalk else code.code for code in standard.code_lists[codes].codes
            ]
        type_ = _TYPES[kind]
        if self._kind == "gdb" and kind == "date":  # a geodatabase has moments alone
            type_ = pa.timestamp("ms")
        return _Column(
            law=law,
            name=name,
            type=type_,
            most=min(width, _DBF_TEXT) if width and self._kind == "shapefile" else width,
            allowed=pa.array(sorted(set(allowed))) if allowed else None,
            lowest=ours.minimum if ours else None,
            highest=ours.maximum if ours else None,
        )

    def _values(self, column: _Column, rows: Published) -> pa.Array:
        law = column.law
        if law.empty:
            return pa.nulls(len(rows), column.type)
        if law.constant:
            return pa.repeat(pa.scalar(law.constant, column.type), len(rows))
        if law.derived:
            return getattr(self._makers, law.derived)(rows).cast(column.type)
        assert law.field is not None
        values = rows[law.field]
        if law.crosswalk:
            values = self._makers.crossed(law.field, values)
        values = _cast(values, column.type)
        return pc.coalesce(values, _cast(rows[law.otherwise], column.type)) if law.otherwise else values

    def _fitting(self, column: _Column, values: pa.Array, rows: Published) -> pa.Array:
        """The values with those that the column cannot have left out."""
        faults: list[tuple[str, pa.Array]] = []
        if column.most:
            length = pc.binary_length(values) if self._kind == "shapefile" else pc.utf8_length(values)
            faults.append((TOO_LONG.format(width=column.most), pc.greater(length, column.most)))
        if column.allowed is not None:
            known = pc.is_in(values, column.allowed)
            faults.append((NO_WORD, pc.and_(pc.is_valid(values), pc.invert(known))))
        for limit, beyond in ((column.lowest, pc.less), (column.highest, pc.greater)):
            if limit is not None:
                faults.append((OUT_OF_RANGE, beyond(values, limit)))
        for what, wrong in faults:
            wrong = pc.fill_null(wrong, False)
            if self._note(column, what, wrong, rows):
                values = pc.if_else(wrong, pa.scalar(None, column.type), values)
        return values

    def _note(self, column: _Column, what: str, wrong: pa.Array, rows: Published) -> bool:
        count = pc.sum(wrong).as_py() or 0
        if count:
            trouble = self._troubles.setdefault((column.name, what), Trouble(column.name, what))
            trouble.rows += count
            room = _NAMED - len(trouble.addresses)
            if room > 0:
                trouble.addresses += rows["address_uid"].filter(wrong).slice(0, room).to_pylist()
        return bool(count)

    def _check_room(self) -> None:
        if self._kind != "shapefile":
            return
        width = sum(column.most or 20 for column in self._columns)
        if self.rows * width > _DBF_BYTES:
            most = _DBF_BYTES // width
            raise BadArgument(
                f"A shapefile has room for {most:,} rows of {self._profile.name.upper()}: write a town alone, or a"
                " geodatabase (.gdb.zip)."
            )


class Published:
    """A batch of the published view by column name."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch
        self._degrees: Any = None

    def __len__(self) -> int:
        return len(self._batch)

    def __getitem__(self, name: str) -> pa.Array:
        return self._batch.column(name)

    def degrees(self) -> Any:
        """Longitude and latitude of each point, rounded to a centimetre; NaN without a point."""
        if self._degrees is None:
            points = shapely.from_wkb(self._batch.column(GEOMETRY).to_numpy(zero_copy_only=False))
            self._degrees = np.round(np.column_stack([shapely.get_x(points), shapely.get_y(points)]), _DEGREES)
        return self._degrees


class _Makers:
    """How values are made of others: a method for each `derived` of the law, rows in, one Arrow column out."""

    def __init__(self, standard: Standard, agency: str) -> None:
        self._agency = agency
        self._standard = standard
        self._table = standard.table("address_point")
        self._postal = {
            name: {code.code: code.maps_to["usps"] for code in self._codes(name) if "usps" in code.maps_to}
            for name in ("st_predir", "st_postyp")
        }
        regions = {region.planning_region_fips: region.planning_region_name for region in standard.planning_regions}
        self._regions = {town.cousub_fips: regions[town.planning_region_fips] for town in standard.municipalities}
        self._counties = {town.cousub_fips: town.county_name_legacy for town in standard.municipalities}

    def _codes(self, field_name: str) -> Any:
        return self._standard.code_lists[self._table.field(field_name).codes or ""].codes

    def crossed(self, field_name: str, values: pa.Array) -> pa.Array:
        """Codes as the National Address Database calls them."""
        return _mapped(values, {code.code: code.maps_to["nad"] for code in self._codes(field_name)})

    # Who answers for the row, and how it is called

    def agency(self, rows: Published) -> pa.Array:
        return pa.repeat(self._agency, len(rows))

    def publisher(self, rows: Published) -> pa.Array:
        return pa.repeat(self._standard.header.publisher, len(rows))

    def nguid(self, rows: Published) -> pa.Array:
        """The town's own where it has the form of this edition, else one of our identifier."""
        ours = pc.binary_join_element_wise(_URN, rows["address_uid"], f":{self._agency}", "")
        delivered = rows["nguid"]
        return pc.if_else(pc.fill_null(pc.starts_with(delivered, _URN), False), delivered, ours)

    def guid(self, rows: Published) -> pa.Array:
        return pc.binary_join_element_wise("{", pc.utf8_upper(rows["address_uid"]), "}", "")

    # Where it is

    def planning_region(self, rows: Published) -> pa.Array:
        return _mapped(rows["cousub_fips"], self._regions)

    def former_county(self, rows: Published) -> pa.Array:
        return _mapped(rows["cousub_fips"], self._counties)

    def longitude(self, rows: Published) -> pa.Array:
        return pa.array(rows.degrees()[:, 0], from_pandas=True)

    def latitude(self, rows: Published) -> pa.Array:
        return pa.array(rows.degrees()[:, 1], from_pandas=True)

    def position(self, rows: Published) -> pa.Array:
        """Longitude and latitude in one text."""
        texts = [np.char.mod(f"%.{_DEGREES}f", side) for side in rows.degrees().T]
        together = np.char.add(np.char.add(texts[0], " "), texts[1])
        return pa.array(together.tolist(), pa.string(), mask=np.isnan(rows.degrees()).any(axis=1))

    def national_grid(self, rows: Published) -> pa.Array:
        there = ~np.isnan(rows.degrees()).any(axis=1)
        found = np.full(len(rows), None, dtype=object)
        found[there] = national_grid(*rows.degrees()[there].T)
        return pa.array(found, pa.string())

    # The address in larger pieces

    def complete_number(self, rows: Published) -> pa.Array:
        parts = ("addnum_pre", "add_number", "addnum_suf", "addnum_cmp")
        return _filled(house_number({name: rows[name] for name in parts}))

    def complete_street(self, rows: Published) -> pa.Array:
        street = _filled(joined(*(rows[name] for name in STREET)))
        return pc.if_else(pc.is_valid(rows["st_name"]), street, pa.scalar(None, pa.string()))

    def subaddress(self, rows: Published) -> pa.Array:
        return _filled(joined(*(rows[name] for name in ("structure", "wing", "floor", "unit", "room", "seat"))))

    def address_class(self, rows: Published) -> pa.Array:
        """The delivered one, else what the parts say by the federal address standard (FGDC-STD-016)."""
        number = self.complete_number(rows)
        several = pc.fill_null(pc.match_substring_regex(number, _TWO_NUMBERS), False)
        said = pc.if_else(several, TWO_NUMBERS, pc.if_else(pc.is_valid(number), NUMBERED, UNNUMBERED))
        landmark = pc.if_else(pc.is_valid(rows["landmark"]), LANDMARK, pa.scalar(None, pa.string()))
        return pc.coalesce(rows["addrclass"], pc.if_else(pc.is_valid(rows["st_name"]), said, landmark))

    # NENA's legacy parts: what stands at the ends of the street's name in postal abbreviations, the rest in the name

    def legacy_direction_before(self, rows: Published) -> pa.Array:
        return self._outermost(rows, "st_predir", self._postal["st_predir"], "st_premod")

    def legacy_direction_after(self, rows: Published) -> pa.Array:
        return self._outermost(rows, "st_posdir", self._postal["st_predir"], "st_posmod")

    def legacy_type(self, rows: Published) -> pa.Array:
        return self._outermost(rows, "st_postyp", self._postal["st_postyp"], "st_posmod")

    def legacy_name(self, rows: Published) -> pa.Array:
        parts = {name: rows[name] for name in STREET}
        nothing = pa.scalar(None, pa.string())
        for name, apart in (
            ("st_predir", self.legacy_direction_before(rows)),
            ("st_postyp", self.legacy_type(rows)),
            ("st_posdir", self.legacy_direction_after(rows)),
        ):
            parts[name] = pc.if_else(pc.is_valid(apart), nothing, parts[name])
        return pc.if_else(pc.is_valid(rows["st_name"]), _filled(joined(*parts.values())), nothing)

    def _outermost(self, rows: Published, name: str, postal: dict[str, str], beyond: str) -> pa.Array:
        """The abbreviation of a part, unless a word stands further out, which would change places with it."""
        return pc.if_else(pc.is_null(rows[beyond]), _mapped(rows[name], postal), pa.scalar(None, pa.string()))


def _mapped(values: pa.Array, words: dict[str, str]) -> pa.Array:
    """What each value stands for, once per distinct value; empty where that is nothing."""
    encoded = values.dictionary_encode()
    return pa.array([words.get(word) for word in encoded.dictionary.to_pylist()], pa.string()).take(encoded.indices)


def _cast(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Moments lose what is finer than the other standard has."""
    return values.cast(kind, safe=not pa.types.is_temporal(kind))


def _filled(texts: pa.Array) -> pa.Array:
    """Null where a text is empty."""
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
