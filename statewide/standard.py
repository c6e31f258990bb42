"""The law, read: ``schemas/`` as frozen objects, checked key by key before any data moves.

A misspelt key, a code list that does not exist or a field named twice fails here, with the file and the path
inside it. Everything else in the hall derives from what this module returns; nothing else opens ``schemas/``.
"""

from __future__ import annotations

import csv
import datetime as dt
import functools
import re
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from statewide.errors import LawError

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Level = Literal["must", "should", "may"]
Severity = Literal["BLOCK", "ERROR", "WARN", "NOTE"]
Owner = Literal["town", "vendor", "cog", "state", "platform"]
FieldType = Literal["text", "integer", "number", "boolean", "date", "timestamp", "uuid", "json"]
SEVERITIES: tuple[Severity, ...] = ("BLOCK", "ERROR", "WARN", "NOTE")
NOT_EVALUATED = "NOT_EVALUATED"


def column_key(name: str) -> str:
    """A column's name as names are compared: letters and digits in lower case.

    `Assessed_Total`, `Assessed Total` and `assessedtotal` are one name; a synonym is therefore written once.
    """
    return "".join(character for character in name.casefold() if character.isalnum())


class _Law(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Profile(_Law):
    """What the values of a column look like, for recognising it when its name does not help."""

    pattern: str | None = None
    distinct_share_min: float | None = None
    distinct_share_max: float | None = None


class Overflow(_Law):
    """Where a value goes that does not fit a field's type but fits the pattern: another field, where that is empty."""

    field: Name
    pattern: str


class NameWords(_Law):
    """Words from which towns make up column names, and how much one of them says for the field; below 0, against it."""

    weight: float = Field(ge=-3, le=1)
    words: tuple[Annotated[str, Field(pattern=r"^[a-z0-9]+$")], ...]


class StandardField(_Law):
    """One column of the standard; the only place where it is described."""

    name: Name
    type: FieldType
    title: str
    description: str
    unit: str | None = None
    level: Level = "may"
    public: bool = True
    filled_by: Literal["town", "platform"] = "town"
    stored: bool = True
    versioned: bool = True
    screening: (
        Literal["place", "subaddress", "number", "measure", "modifier", "locality", "office", "listed"] | None
    ) = None
    """How a value is asked for persons where the dataset is screened; see schemas/README.md. A field without it loses
    only what looks like a person's telephone, e-mail or title."""
    expected_with: Name | None = None
    codes: str | None = None
    code_layers: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = None
    pattern: str | None = None
    overflow: Overflow | None = None
    unknown_values: tuple[str | int, ...] = ()
    synonyms: tuple[str, ...] = ()
    name_words: tuple[NameWords, ...] = ()
    profile: Profile | None = None
    maps_to: dict[Literal["ct_layer", "ct_cama", "nena", "nad", "fgdc", "nfhl", "census"], str] = Field(
        default_factory=dict
    )
    examples: tuple[str | int | float | bool, ...] = ()
    guidance: str | None = None
    references: str | None = None
    taken_from: str | None = None
    expression: str | None = None

    @property
    def in_base_table(self) -> bool:
        """Whether the column is stored in the table itself, not joined or computed by the view."""
        return self.stored and self.taken_from is None and self.expression is None


class Ignored(_Law):
    """Delivered columns that are set aside by name, and why."""

    names: tuple[str, ...]
    reason: str


class Drawn(_Law):
    """How a collection looks in a map, in any software: the colours are those of the codes of the field `by`."""

    by: Name | None = None
    color: str | None = None
    """Of the lines around areas, or of points that have no code; without it areas have no lines."""
    opacity: float = Field(default=0.6, gt=0, le=1)
    labels_from: int | None = None
    """First zoom at which a feature is named by the collection's `title_field`."""
    shown: bool = False
    """Whether a map shows it before anybody has chosen."""


class Tiles(_Law):
    """How a collection is drawn as vector tiles: first zoom of each column, first zoom of the layer."""

    min_zoom: int = Field(ge=0, le=22)
    max_zoom: int = Field(ge=0, le=22)
    columns: dict[int, tuple[Name, ...]]
    chosen_by: dict[Name, str] = Field(default_factory=dict)
    """Columns by which a request chooses the rows of a tile, and what it gets that chooses nothing."""
    limit: int = 20000
    drawn: Drawn = Drawn()

    def columns_at(self, zoom: int) -> tuple[str, ...]:
        """Columns carried by a tile of this zoom, in order."""
        return tuple(name for first, names in sorted(self.columns.items()) if first <= zoom for name in names)


class Catalogued(_Law):
    """What the catalogue says of a dataset that its fields do not tell."""

    category: str
    topic: str
    """Topic category of ISO 19115."""
    geographic_unit: str
    update_frequency: str
    lineage: str


class Collection(_Law):
    """How a table is shown to the street."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    title: str
    description: str
    keywords: tuple[str, ...]
    catalogue: Catalogued
    tiles: Tiles | None = None
    time_field: Name | None = None
    title_field: Name | None = None


class Geometry(_Law):
    """Kind of shape of a table; always 2-D, in the storage CRS.

    `taken_from` names a referenced table whose shape is shown.
    """

    type: Literal["MultiPolygon", "Point", "MultiLineString"]
    taken_from: Name | None = None
    indexed: tuple[Literal["geom", "geom_lonlat"], ...] = ("geom", "geom_lonlat")
    """Stored shapes with an index; boxes of requests and tiles are looked up in degrees, whatever they are given in."""


class Table(_Law):
    """One table of the standard."""

    name: Name
    schema_name: Literal["statewide", "cadastral", "addresses", "resilience"]
    title: str
    description: str
    key: Name
    geometry: Geometry | None = None
    delivered: bool = False
    history: bool = False
    town_key: Name | None = None
    withheld_by: Annotated[str, Field(pattern=r"^confidential\.[a-z][a-z_]*$")] | None = None
    """Table of the keys of rows that are not shown: not they, nor rows of other tables that refer to them."""
    extended_by: tuple[Name, ...] = ()
    """Tables of the same key that the platform fills afterwards; the view shows their row where there is one."""
    match_on: tuple[Name, ...] = ()
    renumbered_by: tuple[Name, ...] = ()
    ignored_columns: tuple[Ignored, ...] = ()
    indexes: tuple[tuple[Name, ...], ...] = ()
    collection: Collection | None = None
    not_published_because: str | None = None
    fields: tuple[StandardField, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Table:
        names = [field.name for field in self.fields]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"fields named twice: {', '.join(sorted(twice))}")
        wanted = [self.key, *self.match_on, *self.renumbered_by, *(name for index in self.indexes for name in index)]
        if self.town_key:
            wanted.append(self.town_key)
        if self.collection:
            wanted += [n for n in (self.collection.time_field, self.collection.title_field) if n]
            if self.collection.tiles:
                in_tiles = {name for group in self.collection.tiles.columns.values() for name in group}
                if self.collection.tiles.drawn.by and self.collection.tiles.drawn.by not in in_tiles:
                    raise ValueError(f"drawn by a field that tiles do not carry: {self.collection.tiles.drawn.by}")
                wanted += sorted(in_tiles)
                leaked = {field.name for field in self.fields if not field.public} & in_tiles
                if leaked:
                    raise ValueError(f"tiles carry fields that are not public: {', '.join(sorted(leaked))}")
        wanted += [field.overflow.field for field in self.town_fields if field.overflow]
        missing = [name for name in wanted if name not in names]
        if missing:
            raise ValueError(f"names a field that the table does not have: {', '.join(missing)}")
        if bool(self.collection) == bool(self.not_published_because):
            raise ValueError("a table has either a collection or not_published_because")
        self._check_spellings()
        return self

    def _check_spellings(self) -> None:
        """A delivered column's name points to one field, or is ignored; never two of these."""
        stands_for: dict[str, str] = {}
        spellings = [(name, field.name) for field in self.town_fields for name in (field.name, *field.synonyms)]
        spellings += [(name, "ignored_columns") for ignored in self.ignored_columns for name in ignored.names]
        for spelling, target in spellings:
            if (other := stands_for.setdefault(column_key(spelling), target)) != target:
                raise ValueError(f"the column name {spelling!r} stands for both {other} and {target}")

    def field(self, name: str) -> StandardField:
        """The field of that name.

        Raises:
            KeyError: the table has no such field.
        """
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)

    @property
    def public_fields(self) -> tuple[StandardField, ...]:
        """Columns of the published view, in order."""
        return tuple(field for field in self.fields if field.public and field.stored)

    @property
    def town_fields(self) -> tuple[StandardField, ...]:
        """Fields that a town's file may fill."""
        return tuple(field for field in self.fields if field.filled_by == "town")

    @property
    def base_fields(self) -> tuple[StandardField, ...]:
        """Columns of the base table, in order."""
        return tuple(field for field in self.fields if field.in_base_table)


class Code(_Law):
    """One entry of a code list: its label, what it means, and the spellings that stand for it."""

    code: str
    label: str
    description: str | None = None
    variants: tuple[str, ...] = ()
    maps_to: dict[Literal["nad", "usps"], str] = Field(default_factory=dict)
    layers: tuple[str, ...] = ()
    rank: int | None = None
    value: float | None = None
    color: str | None = None
    clear: bool = False
    """Whether a map leaves its areas without a fill."""
    hatched_over: str | None = None
    """The code whose colour lies under hatching in this one's."""


class CodeList(_Law):
    """A closed vocabulary."""

    name: Name
    title: str
    description: str
    source: str
    version: str = "1"
    codes: tuple[Code, ...]

    @model_validator(mode="after")
    def _unambiguous(self) -> CodeList:
        seen: dict[str, str] = {}
        for code in self.codes:
            for spelling in {code.code.casefold(), *(variant.casefold() for variant in code.variants)}:
                if seen.setdefault(spelling, code.code) != code.code:
                    raise ValueError(f"the spelling {spelling!r} stands for both {seen[spelling]} and {code.code}")
        return self

    def of_layers(self, layers: tuple[str, ...]) -> tuple[Code, ...]:
        """The codes that one of the layers may have; all of them if none is named."""
        return tuple(code for code in self.codes if not (layers and code.layers) or set(layers) & set(code.layers))

    def lookup(self) -> dict[str, str]:
        """Case-folded spelling → code."""
        found: dict[str, str] = {}
        for code in self.codes:
            found[code.code.casefold()] = code.code
            found.update({variant.casefold(): code.code for variant in code.variants})
        return found

    def ranks(self) -> dict[str, int]:
        """Code → rank, of the codes that have one."""
        return {code.code: code.rank for code in self.codes if code.rank is not None}


class Check(_Law):
    """One kind of finding: how grave it is, who mends it, and the sentences the town reads."""

    code: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]+$")]
    level: Literal["file", "row", "table", "history"]
    datasets: tuple[Name, ...]
    title: str
    severity: dict[int, Severity]
    owner: Owner
    sentence: str
    others: str | None = None
    """What is said of the rows beyond `limits.rows_shown`, in one finding."""
    fix: str
    acceptable: bool = True
    limits: dict[str, float] = Field(default_factory=dict)

    def severity_in(self, year: int) -> Severity:
        """Severity under the profile of a collection year: the newest profile not later than it."""
        past = [profile for profile in self.severity if profile <= year]
        return self.severity[max(past) if past else min(self.severity)]


class AcceptedCrs(_Law):
    """A coordinate system that towns deliver in.

    `same_digits_as` names the system by whose numbers this one is read, without any step between their data;
    `datum_within_ft` is how far that may leave a point from where it would lie in the storage CRS.
    """

    epsg: int
    title: str
    unit: Literal["US survey foot", "metre", "degree"]
    same_digits_as: int | None = None
    datum_within_ft: float = 0.0


class QuarantinedCrs(_Law):
    """A coordinate system that we recognise and refuse, and why.

    `datum_shift_ft` (east, north) is to be added to its coordinates, read as if on NAD83: good for recognising only.
    """

    epsg: int
    title: str
    reason: str
    datum_shift_ft: tuple[float, float]


class Withheld(_Law):
    """A person's column: stripped at the door, never published."""

    name: Name
    title: str
    synonyms: tuple[str, ...]
    patterns: tuple[str, ...] = ()
    kept: bool = False
    """Whether it is kept in ``confidential`` where the deployment keeps persons at all."""
    value_pattern: str | None = None
    """What a value of another column looks like that gives away what this column says."""

    def fits(self, key: str) -> bool:
        """Whether one of the patterns is found in a folded column name."""
        return any(re.search(pattern, key) for pattern in self.patterns)


class Extent(_Law):
    """A box in degrees, west south east north."""

    west: float
    south: float
    east: float
    north: float

    @property
    def bbox(self) -> tuple[float, float, float, float]:
        """As (west, south, east, north)."""
        return (self.west, self.south, self.east, self.north)


class Basis(_Law):
    """A law or standard that a part of ours rests on."""

    name: str
    says: str


class LineageLaw(_Law):
    """From which shares of common land a parcel is the same, was split, or was merged; how far a point may move."""

    same_land_share_min: float = Field(gt=0.5, le=1)
    lies_in_share_min: float = Field(gt=0.5, le=1)
    covered_share_min: float = Field(gt=0.5, le=1)
    covered_share_max: float = Field(ge=1)
    near_ft: float = Field(gt=0)
    reach_ft: float = Field(gt=0)


class AddressLinkLaw(_Law):
    """How far evidence that an address belongs to a parcel is trusted when it stands alone, and where it ends."""

    parcel_number: float = Field(gt=0, lt=1)
    inside: float = Field(gt=0, lt=1)
    inside_loosely: float = Field(gt=0, lt=1)
    loose_placements: tuple[str, ...]
    no_lots: tuple[str, ...]
    near: float = Field(gt=0, lt=1)
    address_text: float = Field(gt=0, lt=1)
    near_ft: float = Field(gt=0)
    parcels_max: int = Field(gt=0)


class Contact(_Law):
    """Who answers for the data."""

    name: str
    email: str
    url: str


class Header(_Law):
    """``standard.yml``."""

    name: str
    title: str
    version: str
    released: dt.date
    state: str
    publisher: str
    license: str
    contact: Contact
    legal_basis: tuple[Basis, ...]
    storage_crs: int
    accepted_crs: tuple[AcceptedCrs, ...]
    quarantined_crs: tuple[QuarantinedCrs, ...]
    extent: Extent
    coordinate_tolerance_ft: float
    area_tolerance_sqft: float
    lineage: LineageLaw
    address_link: AddressLinkLaw
    null_spellings: tuple[str, ...]
    withheld: tuple[Withheld, ...]


class Measure(_Law):
    """One line of the score: what is counted, what it may earn, and between which shares it earns it."""

    name: Name
    dataset: Name
    title: str
    points: float = Field(gt=0)
    none_at: float = Field(default=0.0, ge=0, lt=1)
    full_at: float = Field(default=1.0, gt=0, le=1)
    field: Name | None = None
    recommended: bool = False
    free_of: tuple[str, ...] = ()
    counts: Literal["matched", "not_held", "of_the_year", "in_time"] | None = None
    fix: str

    @model_validator(mode="after")
    def _counts_one_thing(self) -> Measure:
        if sum(map(bool, (self.field, self.recommended, self.free_of, self.counts))) != 1:
            raise ValueError(f"{self.name}: a measure has one of field, recommended, free_of and counts")
        if self.none_at >= self.full_at:
            raise ValueError(f"{self.name}: none_at must be below full_at")
        return self


class ScorePart(_Law):
    """Measures that belong together."""

    title: str
    measures: tuple[Measure, ...]


class Due(_Law):
    """The day of the year by which a town delivers."""

    month: int = Field(ge=1, le=12)
    day: int = Field(ge=1, le=31)

    def on(self, year: int) -> dt.date:
        """The day in a collection year."""
        return dt.date(year, self.month, self.day)

    @property
    def said(self) -> str:
        """The day for a reader, such as May 1."""
        return f"{self.on(2000):%B} {self.day}"


class ScoreLaw(_Law):
    """A file of ``score/``: how what a town sends together is scored, out of 100.

    `files` is dataset → the file's name for a reader. Where no law asks for them by a day, `due` is None.
    """

    files: dict[Name, str]
    due: Due | None = None
    parts: tuple[ScorePart, ...]

    @property
    def measures(self) -> tuple[Measure, ...]:
        """All measures, in order."""
        return tuple(measure for part in self.parts for measure in part.measures)

    @model_validator(mode="after")
    def _hundred(self) -> ScoreLaw:
        names = [measure.name for measure in self.measures]
        if len(set(names)) != len(names):
            raise ValueError("a measure is named twice")
        if unknown := {measure.dataset for measure in self.measures} - set(self.files):
            raise ValueError(f"files does not name {', '.join(sorted(unknown))}")
        if self.due is None and any(measure.counts == "in_time" for measure in self.measures):
            raise ValueError("counts in_time, but says no day")
        if round(sum(measure.points for measure in self.measures), 6) != 100:
            raise ValueError("the points of all measures must add up to 100")
        return self


class Municipality(_Law):
    """A row of the register of towns (``schemas/authority/towns.csv``)."""

    cousub_fips: Annotated[str, Field(pattern=r"^\d{5}$")]
    town_no: int
    town_name: str
    geoid_2020_county: str
    geoid_2022_planning_region: str
    county_name_legacy: str
    county_fips_legacy: str
    planning_region_fips: str


class PlanningRegion(_Law):
    """A row of ``schemas/authority/planning_regions.csv``."""

    planning_region_fips: str
    planning_region_name: str
    town_count: int


class ZipTown(_Law):
    """A row of ``schemas/authority/zip_towns.csv``: a ZIP code area of the Census has people in the town."""

    zip_code: Annotated[str, Field(pattern=r"^\d{5}$")]
    cousub_fips: Annotated[str, Field(pattern=r"^\d{5}$")]


class ExportColumn(_Law):
    """A column of a file in somebody else's standard; its name and width are those of our field unless they differ."""

    field: Name | None = None
    otherwise: Name | None = None
    """The field that is taken in rows where the first one is empty."""
    name: str | None = None
    type: FieldType | None = None
    width: int | None = Field(default=None, gt=0)
    required: bool = False
    unless: tuple[str, ...] = ()
    """Forms of an address in which a required value may be missing."""
    unique: bool = False
    constant: str | None = None
    derived: Name | None = None
    """How the value is made of others, by a name that the export knows; it comes before the field's own."""
    codes: str | None = None
    crosswalk: bool = False
    """Whether the codes are written as the other standard calls them."""
    domain: tuple[str, ...] = ()
    empty: str | None = None
    """Why nothing is written."""


class ExportProfile(_Law):
    """``profiles/``: how the rows of a table look in a standard of others. Its name is a key of ``maps_to``."""

    name: Literal["nena", "nad"]
    title: str
    source: str
    table: Name
    layer: str
    epsg: int
    formats: tuple[Literal["gpkg", "gdb", "shapefile"], ...]
    agency: Annotated[str, Field(pattern=r"^[a-z0-9.-]+\.[a-z]+$")]
    """Domain name of the office that answers for the file; it is part of identifiers made for others."""
    columns: tuple[ExportColumn, ...]


DataClass = Literal["public", "restricted", "confidential"]


class Frequency(_Law):
    """How often something is brought up to date, as DCAT-US and ISO 19115 say it."""

    period: str
    code: str


class DataClassLaw(_Law):
    """Who may have data of a class, and how DCAT-US and ISO 19115 say it."""

    access_level: Literal["public", "restricted public", "non-public"]
    code: str
    says: str


class Element(_Law):
    """An element of a record: its name in the State's inventory, and which of the record's facts fills it."""

    name: str
    says: Name
    of: Literal["all", "public", "not_public", "served"] = "all"


class CatalogueLaw(_Law):
    """``catalogue/elements.yml``: what a record says, and in which words."""

    source: str
    categories: tuple[str, ...]
    geographic_units: tuple[str, ...]
    frequencies: dict[str, Frequency]
    data_classes: dict[DataClass, DataClassLaw]
    elements: tuple[Element, ...]

    def check(self, entry: Catalogued) -> None:
        """Raise ValueError for a word that the vocabularies do not have."""
        for name, known in (
            ("category", self.categories),
            ("geographic_unit", self.geographic_units),
            ("update_frequency", tuple(self.frequencies)),
        ):
            if getattr(entry, name) not in known:
                raise ValueError(f"{name}: {getattr(entry, name)!r} is not in catalogue/elements.yml")


class AssetLink(_Law):
    """Where an asset is found; `service` names the protocol where it is one for programs."""

    title: str
    href: Annotated[str, Field(pattern=r"^https://")]
    service: str | None = None


class Asset(_Law):
    """A dataset that the catalogue knows and the platform does not serve."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    title: str
    description: str
    keywords: tuple[str, ...]
    publisher: str
    data_class: DataClass = "public"
    license: str | None = None
    rights: str | None = None
    layers: tuple[str, ...] = ()
    """Hazard layers that it informs."""
    collection: str | None = None
    """The collection of ours that is made of it."""
    links: tuple[AssetLink, ...] = ()
    catalogue: Catalogued


class Assets(_Law):
    """A file of ``catalogue/`` beside its elements."""

    level: Literal["federal", "state", "local", "own"]
    described_on: dt.date
    assets: tuple[Asset, ...]


class Standard(_Law):
    """The whole law."""

    header: Header
    tables: dict[str, Table]
    code_lists: dict[str, CodeList]
    checks: dict[str, Check]
    scores: dict[str, ScoreLaw]
    profiles: dict[str, ExportProfile]
    catalogue: CatalogueLaw
    assets: tuple[Assets, ...]
    municipalities: tuple[Municipality, ...]
    planning_regions: tuple[PlanningRegion, ...]
    zip_towns: tuple[ZipTown, ...]

    # What is made of a law once, such as its words ready to be looked up, is kept for this very object.
    __hash__ = object.__hash__

    @model_validator(mode="after")
    def _hangs_together(self) -> Standard:
        for table in self.tables.values():
            for field in table.fields:
                where = f"tables/{table.name}.yml: {field.name}"
                if field.codes and field.codes not in self.code_lists:
                    raise ValueError(f"{where}: no code list is named {field.codes!r}")
                if field.references and field.references not in self.tables:
                    raise ValueError(f"{where}: references a table {field.references!r} that does not exist")
                if field.taken_from:
                    other, _, column = field.taken_from.partition(".")
                    if other not in self.tables or column not in {f.name for f in self.tables[other].fields}:
                        raise ValueError(f"{where}: taken_from {field.taken_from!r} does not exist")
            for name in table.extended_by:
                if name not in self.tables or self.tables[name].key != table.key:
                    raise ValueError(f"tables/{table.name}.yml: extended_by {name!r}: no table of that name and key")
        for check in self.checks.values():
            for dataset in check.datasets:
                if dataset not in self.tables:
                    raise ValueError(f"checks.yml: {check.code}: no table is named {dataset!r}")
            if "rows_shown" in check.limits and (check.others is None or "ERROR" in check.severity.values()):
                raise ValueError(f"checks.yml: {check.code}: rows_shown needs `others`, and a check that holds no row")
        for name, law in self.scores.items():
            for measure in law.measures:
                where = f"score/{name}.yml: {measure.name}"
                scored = self.tables.get(measure.dataset)
                if scored is None or (measure.field and measure.field not in {field.name for field in scored.fields}):
                    raise ValueError(f"{where}: {measure.dataset}.{measure.field or ''} does not exist")
                if unknown := set(measure.free_of) - set(self.checks):
                    raise ValueError(f"{where}: no check is named {', '.join(sorted(unknown))}")
        for profile in self.profiles.values():
            self._check_profile(profile)
        self._check_catalogue()
        self._check_persons()
        return self

    def _check_catalogue(self) -> None:
        """Every entry uses the words of the catalogue, and names collections and layers that there are."""
        collections = {table.collection.id: table.collection for table in self.published_tables if table.collection}
        for collection in collections.values():
            self.catalogue.check(collection.catalogue)
        taken = set(collections)
        layers = {code.code for code in self.code_lists["hazard_layer"].codes}
        for asset in (asset for assets in self.assets for asset in assets.assets):
            self.catalogue.check(asset.catalogue)
            if asset.id in taken:
                raise ValueError(f"catalogue: {asset.id}: the identifier is taken")
            if unknown := (set(asset.layers) - layers) | ({asset.collection} - {None, *collections}):
                raise ValueError(f"catalogue: {asset.id}: there is no {', '.join(sorted(map(str, unknown)))}")
            taken.add(asset.id)

    def _check_profile(self, profile: ExportProfile) -> None:
        """Every column has a name, a width if it is text, and one place that its values come from."""
        table = self.tables[profile.table]
        fields = {field.name: field for field in table.fields}
        names = []
        for place, column in enumerate(profile.columns):
            where = f"profiles/{profile.name}.yml: columns.{place}"
            if unknown := {column.field, column.otherwise} - set(fields) - {None}:
                raise ValueError(f"{where}: {table.name} has no field {', '.join(sorted(filter(None, unknown)))}")
            field = fields.get(column.field or "")
            name = column.name or (field and field.maps_to.get(profile.name))
            if not name:
                raise ValueError(f"{where}: the column has no name, here or in maps_to of its field")
            names.append(name)
            if (column.type or (field.type if field else "text")) == "text" and not (
                column.width or (field and field.max_length)
            ):
                raise ValueError(f"{where}: {name} has no width")
            if column.codes and column.codes not in self.code_lists:
                raise ValueError(f"{where}: no code list is named {column.codes!r}")
            if not (column.constant or column.derived or column.empty) and not (field and field in table.public_fields):
                raise ValueError(f"{where}: nothing public fills {name}")
        if len(set(names)) < len(names):
            raise ValueError(f"profiles/{profile.name}.yml: a column is named twice")

    @property
    def score(self) -> ScoreLaw:
        """How a town's roll is scored: the files that the State asks for each year."""
        return self.scores["roll"]

    def score_of(self, dataset: str) -> ScoreLaw:
        """How what belongs to a dataset is scored."""
        return next(law for law in self.scores.values() if dataset in law.files)

    def _check_persons(self) -> None:
        """A person's column is withheld by name, so no field may be reached by the same name."""
        persons = {
            column_key(name): column.name for column in self.header.withheld for name in (column.name, *column.synonyms)
        }
        for table in self.tables.values():
            for field in table.town_fields:
                for spelling in (field.name, *field.synonyms):
                    fitting = (person.name for person in self.header.withheld if person.fits(column_key(spelling)))
                    if column := persons.get(column_key(spelling)) or next(fitting, None):
                        where = f"tables/{table.name}.yml: {field.name}"
                        raise ValueError(f"{where}: the synonym {spelling!r} names a person ({column}) in standard.yml")

    def table(self, name: str) -> Table:
        """The table of that name (KeyError if there is none)."""
        return self.tables[name]

    @property
    def published_tables(self) -> tuple[Table, ...]:
        """Tables with a collection, in the order of their names."""
        return tuple(table for _, table in sorted(self.tables.items()) if table.collection)

    def collection_table(self, collection_id: str) -> Table:
        """The table shown as that collection (KeyError if there is none)."""
        for table in self.published_tables:
            if table.collection and table.collection.id == collection_id:
                return table
        raise KeyError(collection_id)


def schemas_folder() -> Traversable:
    """``schemas/``, in a checkout, an editable install or a wheel."""
    return resources.files("schemas")


@functools.cache
def load_standard() -> Standard:
    """The law of this installation.

    Raises:
        LawError: a file breaks its own rules; says which file and where in it.
    """
    return read_standard(schemas_folder())


def read_standard(folder: Traversable) -> Standard:
    """The law in any folder of the same shape.

    Raises:
        LawError: as `load_standard`.
    """
    header = _read(folder / "standard.yml", Header)
    tables = {path.name[:-4]: _read(path, Table) for path in _yaml_files(folder / "tables")}
    code_lists = {path.name[:-4]: _read(path, CodeList) for path in _yaml_files(folder / "codes")}
    profiles = {path.name[:-4]: _read(path, ExportProfile) for path in _yaml_files(folder / "profiles")}
    for kind, named in (("tables", tables), ("codes", code_lists), ("profiles", profiles)):
        for stem, item in named.items():
            if item.name != stem:
                raise LawError(f"schemas/{kind}/{stem}.yml: name: says {item.name!r}, the file says {stem!r}.")
    checks = _read_checks(folder / "checks.yml")
    parts: dict[str, Any] = {
        "header": header,
        "tables": tables,
        "code_lists": code_lists,
        "checks": checks,
        "scores": {path.name[:-4]: _read(path, ScoreLaw) for path in _yaml_files(folder / "score")},
        "profiles": profiles,
        "catalogue": _read(folder / "catalogue" / "elements.yml", CatalogueLaw),
        "assets": [_read(path, Assets) for path in _yaml_files(folder / "catalogue") if path.name != "elements.yml"],
        "municipalities": _read_rows(folder / "authority" / "towns.csv", Municipality),
        "planning_regions": _read_rows(folder / "authority" / "planning_regions.csv", PlanningRegion),
        "zip_towns": _read_rows(folder / "authority" / "zip_towns.csv", ZipTown),
    }
    try:
        return Standard(**parts)
    except ValidationError as error:
        raise LawError(f"schemas/{_first(error)}") from error


def _yaml_files(folder: Traversable) -> Iterator[Traversable]:
    return iter(sorted((path for path in folder.iterdir() if path.name.endswith(".yml")), key=lambda path: path.name))


# Safe, and in C where PyYAML was built with it: every command reads the whole law first.
_YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _load_yaml(path: Traversable) -> Any:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_YAML_LOADER)
    except yaml.YAMLError as error:
        raise LawError(f"{_shown(path)}: is not YAML: {error}") from error
    except OSError as error:
        raise LawError(f"{_shown(path)}: cannot be read: {error.strerror}.") from error


def _read[ModelT: BaseModel](path: Traversable, model: type[ModelT]) -> ModelT:
    try:
        return model.model_validate(_load_yaml(path))
    except ValidationError as error:
        raise LawError(f"{_shown(path)}: {_first(error)}") from error


def _read_checks(path: Traversable) -> dict[str, Check]:
    checks: dict[str, Check] = {}
    for index, entry in enumerate(_load_yaml(path)):
        try:
            check = Check.model_validate(entry)
        except ValidationError as error:
            raise LawError(f"{_shown(path)}: [{index}] {_first(error)}") from error
        if check.code in checks:
            raise LawError(f"{_shown(path)}: {check.code} stands there twice.")
        checks[check.code] = check
    return checks


def _read_rows[ModelT: BaseModel](path: Traversable, model: type[ModelT]) -> tuple[ModelT, ...]:
    rows = []
    for number, row in enumerate(csv.DictReader(path.read_text(encoding="utf-8").splitlines()), start=2):
        try:
            rows.append(model.model_validate(row))
        except ValidationError as error:
            raise LawError(f"{_shown(path)}: line {number}: {_first(error)}") from error
    return tuple(rows)


def _shown(path: Traversable) -> str:
    parts = str(path).replace("\\", "/").split("/")
    return "/".join(parts[parts.index("schemas") :]) if "schemas" in parts else "/".join(parts[-2:])


def _first(error: ValidationError) -> str:
    """The first trouble as ``path: what``; a list index in the path becomes the field's name where there is one."""
    detail = error.errors()[0]
    path = ".".join(str(part) for part in detail["loc"])
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        message = f"the key {detail['loc'][-1]!r} is not known here"
    return f"{path}: {message}." if path else f"{message}."
