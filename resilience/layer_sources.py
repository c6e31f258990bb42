"""What a hazard layer is, as its file in ``resilience/sources`` says: names, columns, classes, datum, maker, licence.

A layer of polygons is added by such a file, a table in ``schemas/tables`` and codes in ``schemas/codes``, without code.
Lists of critical facilities have a file of their own kind. Here the files are read and checked; ``layers`` and
``facilities`` load by them.
"""

from __future__ import annotations

import functools
import re
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from statewide.errors import BadArgument, LawError
from statewide.standard import Code, CodeList, Standard, Table, load_standard

FACILITIES = "critical-facilities"
"""The one layer of points; parcels are not laid over it."""


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LayerName(_Part):
    """A name by which the layer is delivered, as a regular expression on the whole name; capitals do not matter.

    A group called like a field of the table gives its value, in a number with `_` for the point. `values` says what
    else holds for every row of a layer of that name.
    """

    pattern: Pattern
    values: dict[str, str] = Field(default_factory=dict)

    def read(self, name: str) -> dict[str, str] | None:
        """Field → value as the name of a layer says, None if the name is another."""
        found = re.fullmatch(self.pattern, name, re.IGNORECASE)
        return found and {**self.values, **{field: text for field, text in found.groupdict().items() if text}}


class ClassRule(_Part):
    """How the fields of a row give its class; the first rule decides whose `when` (field → value) holds.

    `variants`: the fields, joined by " | ", meet a line of the code list. `value`: the field is the number that a code
    stands for. `words`: the field is one of the `words` (as delivered → code).
    """

    by: Literal["variants", "value", "words"]
    fields: tuple[str, ...] = Field(min_length=1)
    when: dict[str, str | int | float] = Field(default_factory=dict)
    codes: str = "*"
    """The codes that may come out, as a pattern with *."""
    words: dict[str, str] = Field(default_factory=dict)


class Datum(_Part):
    """What heights of the layer are measured from."""

    maker: str | None = None
    """What the maker says that all of it is measured from; the classes mean it so."""
    expected: str | None = None
    """What rows with a height should state, where each row says it for itself."""
    field: str | None = None
    heights: tuple[str, ...] = ()
    """Fields that mean nothing without a datum."""


class Lengths(_Part):
    """Fields that are delivered in the unit that a field beside them names, and kept in feet."""

    unit_field: str
    fields: tuple[str, ...]


class LayerSource(_Part):
    """A layer of polygons."""

    layer: str
    title: str
    table: str
    source_name: str | None = None
    """Who made it, where it is always the same."""
    license: str | None = None
    nested: bool
    """Whether a place that one class reaches is reached by every lower one too, however the polygons are drawn."""
    names: tuple[LayerName, ...] = Field(min_length=1)
    coverage_names: tuple[str, ...] = ()
    """Layers of the same file whose polygons say what is mapped."""
    required: tuple[str, ...] = Field(min_length=1)
    """Fields without which a file is not this layer."""
    classes: tuple[ClassRule, ...] = Field(min_length=1)
    otherwise: str | None = None
    """The class of a row that no rule gives one; without it such rows are held and the layer is refused."""
    label_fields: tuple[str, ...] = ()
    """Fields that name the zone to a reader, beside its class."""
    value_fields: tuple[str, ...] = ()
    """Fields that the answers about a parcel or an address carry on, under the same names."""
    study_field: str | None = None
    """The field that names the study; two files of one version must not both bring the same one."""
    datum: Datum = Datum()
    lengths: Lengths | None = None
    nothing_at_or_below: float | None = None
    """Numbers that stand for "not populated"."""
    nothing: tuple[str, ...] = ()
    """Texts and dates that stand for it."""
    file_date: Pattern | None = None
    """Where the file's name has its date: year, month and day are the one group."""
    rules: Literal["nfhl"] | None = None
    """What only code can say of it: ``flood`` knows FEMA's."""

    @property
    def has_sfha(self) -> bool:
        """Whether the layer says where flood insurance is asked for."""
        return "is_sfha" in self.value_fields

    def check(self, standard: Standard) -> None:
        """Raise ValueError for a table, field or code that the law does not have."""
        if self.table not in standard.tables:
            raise ValueError(f"table: the law has no table {self.table!r}")
        if self.layer not in {code.code for code in standard.code_lists["hazard_layer"].codes}:
            raise ValueError(f"layer: codes/hazard_layer.yml has no code {self.layer!r}")
        table = standard.table(self.table)
        _known_fields(table, "required", self.required)
        _known_fields(table, "label_fields and value_fields", (*self.label_fields, *self.value_fields))
        _known_fields(table, "study_field and datum", (self.study_field, self.datum.field, *self.datum.heights))
        if self.lengths:
            _known_fields(table, "lengths", (self.lengths.unit_field, *self.lengths.fields))
        for name in self.names:
            _known_fields(table, f"names: {name.pattern}", (*name.values, *re.compile(name.pattern).groupindex))
        codes = {code.code for code in class_codes(standard.code_lists["hazard_class"], self.layer)}
        for rule in self.classes:
            _known_fields(table, "classes", (*rule.fields, *rule.when))
            if unknown := set(rule.words.values()) - codes:
                raise ValueError(f"classes: {self.layer} has no class {', '.join(sorted(unknown))}")
            if rule.by != "variants" and len(rule.fields) != 1:
                raise ValueError(f"classes: a rule by {rule.by} has one field")
        if self.otherwise and self.otherwise not in codes:
            raise ValueError(f"otherwise: {self.layer} has no class {self.otherwise}")
        if self.file_date and re.compile(self.file_date).groups != 1:
            raise ValueError("file_date: the pattern must have one group, the date")


class Lifeline(_Part):
    """To what a facility belongs: the lifeline, and its component."""

    lifeline: str
    component: str | None = None


class FacilityList(_Part):
    """One list of facilities, replaced on its own. `columns` is field → delivered column.

    `types` is the kind of a facility as delivered → where it belongs, for lists that hold several kinds. What no type
    says belongs to the list's own lifeline; where the list has none, its kind is not known.
    """

    title: str
    source_name: str | None = None
    license: str | None = None
    lifeline: str | None = None
    component: str | None = None
    facility_type: str | None = None
    """The kind of all its facilities, where no column says it."""
    columns: dict[str, str] = Field(default_factory=dict)
    types: dict[str, Lifeline] = Field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    """Kinds that are a person's home."""


class FacilitySource(_Part):
    """The lists of critical facilities that are known beforehand; others are named when they are loaded."""

    layer: Literal["critical-facilities"]
    table: str
    lists: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")], FacilityList]

    def check(self, standard: Standard) -> None:
        """Raise ValueError for a table, field or lifeline that the law does not have."""
        lifelines = {code.code for code in standard.code_lists["lifeline"].codes}
        for name, each in self.lists.items():
            _known_fields(standard.table(self.table), f"lists.{name}.columns", tuple(each.columns))
            named = {each.lifeline, *(other.lifeline for other in each.types.values())} - {None}
            if not named:
                raise ValueError(f"lists.{name}: neither lifeline nor types")
            if unknown := {str(code) for code in named} - lifelines:
                raise ValueError(f"lists.{name}: codes/lifeline.yml has no code {', '.join(sorted(unknown))}")


@functools.cache
def load_sources() -> dict[str, LayerSource]:
    """The layers of polygons of this installation, by name.

    Raises:
        LawError: a file is wrong; says which and where.
    """
    sources = [_read(path, LayerSource) for path in _files() if path.name != f"{FACILITIES}.yml"]
    return {source.layer: source for source in sources}


@functools.cache
def load_facility_lists() -> FacilitySource:
    """The lists of critical facilities of this installation.

    Raises:
        LawError: the file is wrong; says where.
    """
    return _read(resources.files("resilience") / "sources" / f"{FACILITIES}.yml", FacilitySource)


def layer_source(layer: str) -> LayerSource:
    """The layer of that name.

    Raises:
        BadArgument: there is none.
    """
    sources = load_sources()
    if layer not in sources:
        raise BadArgument(f"There is no hazard layer {layer!r}; there are: {', '.join(sources)}.")
    return sources[layer]


def read_source(path: Traversable) -> LayerSource:
    """A layer's file, anywhere.

    Raises:
        LawError: the file is wrong; says where.
    """
    return _read(path, LayerSource)


def class_codes(classes: CodeList, layer: str) -> tuple[Code, ...]:
    """The classes that are the layer's own."""
    return tuple(code for code in classes.codes if layer in code.layers)


def _files() -> list[Traversable]:
    folder = resources.files("resilience") / "sources"
    return sorted((path for path in folder.iterdir() if path.name.endswith(".yml")), key=lambda path: path.name)


def _read[SourceT: (LayerSource, FacilitySource)](path: Traversable, model: type[SourceT]) -> SourceT:
    shown = f"resilience/sources/{path.name}"
    try:
        source = model.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        if path.name != f"{source.layer}.yml":
            raise ValueError(f"layer: says {source.layer!r}, the file's name says another")
        source.check(load_standard())
    except yaml.YAMLError as error:
        raise LawError(f"{shown}: is not YAML: {' '.join(str(error).split())}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise LawError(f"{shown}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from error
    except ValueError as error:
        raise LawError(f"{shown}: {error}.") from error
    return source


def _known_fields(table: Table, where: str, names: tuple[str | None, ...]) -> None:
    known = {field.name for field in table.fields}
    if unknown := sorted({name for name in names if name} - known):
        raise ValueError(f"{where}: the table {table.name} has no field {', '.join(unknown)}")
