"""Depth-damage functions: percent of a value that is lost by feet of water above the first floor.

Reads ``schemas/hazus``: the functions of Hazus 6.1, which of them holds for what, and the defaults of structures.
Knows no structure, no grid and no database.
"""

from __future__ import annotations

import csv
import fnmatch
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from itertools import product
from typing import Final, Literal

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from statewide.errors import LawError
from statewide.standard import schemas_folder

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ZONES: Final = ("riverine", "coastal_a", "coastal_v")
STOREYS: Final = ("1", "2", "3", "split")
"""Classes of height that functions tell apart; 3 is three and more."""
_COLUMN = re.compile(r"^ft(\d\d)(m?)$")


@dataclass(frozen=True)
class DamageFunctions:
    """Functions at whole feet from `first_ft` on.

    Args:
        percent: one row per function, one column per foot; no NaN.
        beyond: what holds beyond the columns. `hold`: the nearest one. `none_below`: the last above, and 0 below the
            first, as in USACE's go-consequences.
    """

    ids: Ints
    occupancies: tuple[str, ...]
    first_ft: float
    percent: Floats
    beyond: Literal["hold", "none_below"] = "hold"
    is_default: NDArray[np.bool_] | None = None

    def rows(self, ids: Ints) -> Ints:
        """The row of each function, -1 where none has the number."""
        order = np.argsort(self.ids)
        at = np.minimum(np.searchsorted(self.ids[order], ids), len(order) - 1)
        found: Ints = np.where(self.ids[order][at] == ids, order[at], -1)
        return found

    def damage_pct(self, rows: Ints, depth_ft: Floats) -> Floats:
        """Percent lost, linear between whole feet; NaN where the depth is NaN or the row -1.

        Args:
            depth_ft: water above the top of the first finished floor.
        """
        width = self.percent.shape[1]
        known = ~np.isnan(depth_ft) & (rows >= 0)
        feet = np.where(known, depth_ft - self.first_ft, 0.0)
        within = np.clip(feet, 0.0, width - 1.0)
        low = np.minimum(within.astype(np.int64), width - 2)
        at = np.where(known, rows, 0) * width + low
        flat = self.percent.ravel()
        lower = flat[at]
        damage: Floats = lower + (within - low) * (flat[at + 1] - lower)
        if self.beyond == "none_below":
            damage[feet < 0.0] = 0.0
        damage[~known] = np.nan
        return damage


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Zones(_Rule):
    default: Literal["riverine", "coastal_a", "coastal_v"]
    spellings: dict[Literal["riverine", "coastal_a", "coastal_v"], tuple[str, ...]]


class Foundation(_Rule):
    """A kind of foundation, by FAST's number and the National Structure Inventory's letter."""

    number: int
    letter: str
    name: str
    first_floor_ft: float


class _Foundations(_Rule):
    default: int
    types: tuple[Foundation, ...]


class _BasementWords(_Rule):
    foundation: int
    words: tuple[str, ...]


class _Storeys(_Rule):
    default: float
    split_level_words: tuple[str, ...]


class Occupancy(_Rule):
    """A class of use as Hazus knows it."""

    code: str
    label: str
    content_pct: float


class _UseWords(_Rule):
    occupancy: str
    words: tuple[str, ...]


class Use(_Rule):
    """How an assessor's use class becomes an occupancy."""

    otherwise: str
    by_homes: bool = False
    words: tuple[_UseWords, ...] = ()


class InventorySuffix(_Rule):
    """What stands behind the hyphen of an occupancy type of the National Structure Inventory."""

    storeys: float
    basement: bool
    split_level: bool = False


class Rules(_Rule):
    """``rules.yml``."""

    beyond_the_ends: Literal["hold", "none_below"]
    parcel_mapped_share_pct: float = Field(gt=0, le=100)
    zones: _Zones
    foundations: _Foundations
    basement_words: tuple[_BasementWords, ...]
    storeys: _Storeys
    occupancies: tuple[Occupancy, ...]
    occupancy_of_use: dict[str, Use]
    homes: dict[str, int]
    inventory_suffixes: dict[str, InventorySuffix]
    columns: dict[str, tuple[str, ...]]

    @property
    def codes(self) -> tuple[str, ...]:
        """The occupancies, in the order by which they are numbered."""
        return tuple(occupancy.code for occupancy in self.occupancies)

    def foundation(self, text: str) -> int | None:
        """The number of a foundation that is given by number, letter or name."""
        wanted = text.strip().casefold().removesuffix(".0")
        for kind in self.foundations.types:
            if wanted in (str(kind.number), kind.letter.casefold(), kind.name):
                return kind.number
        return None

    def zone(self, text: str) -> int | None:
        """The place in `ZONES` of a flood zone that any of the spellings stands for; None where the text is empty."""
        wanted = text.strip().casefold()
        for zone, spellings in self.zones.spellings.items():
            if any(fnmatch.fnmatchcase(wanted, spelling.casefold()) for spelling in spellings):
                return ZONES.index(zone)
        return ZONES.index(self.zones.default) if wanted else None

    def foundation_of_words(self, text: str) -> int | None:
        """The foundation that the assessor's words for the basement tell."""
        return longest_word({word: line.foundation for line in self.basement_words for word in line.words}, text)

    def is_split_level(self, text: str) -> bool:
        """Whether the assessor's words for the style tell a split level."""
        return longest_word(dict.fromkeys(self.storeys.split_level_words, True), text) is not None

    def occupancy_of_words(self, use_class: str, text: str) -> str | None:
        """The occupancy that the words for a use tell within its class."""
        use = self.occupancy_of_use.get(use_class)
        return longest_word({word: line.occupancy for line in use.words for word in line.words}, text) if use else None


def longest_word[ValueT](words: Mapping[str, ValueT], text: str) -> ValueT | None:
    """What the longest of the words stands for that the text has as whole words, the first of equally long ones."""
    plain = f" {re.sub(r'[^a-z0-9]+', ' ', text.casefold()).strip()} "
    return next((words[word] for word in sorted(words, key=len, reverse=True) if f" {word} " in plain), None)


@dataclass(frozen=True)
class Hazus:
    """The functions, the rules, and which function holds for what.

    `chosen` has the rows of the functions for buildings and for contents, by place in `Rules.codes`, `ZONES`, basement
    (0 no, 1 yes) and `STOREYS`.
    """

    buildings: DamageFunctions
    contents: DamageFunctions
    rules: Rules
    chosen: Ints


@functools.cache
def load_hazus() -> Hazus:
    """The functions of this installation.

    Raises:
        LawError: a file of ``schemas/hazus`` breaks its own rules.
    """
    return read_hazus(schemas_folder() / "hazus")


def read_hazus(folder: Traversable) -> Hazus:
    """The functions in any folder of the same shape.

    Raises:
        LawError: as `load_hazus`.
    """
    try:
        rules = Rules.model_validate(yaml.safe_load((folder / "rules.yml").read_text(encoding="utf-8")))
    except ValidationError as error:
        detail = error.errors()[0]
        where = ".".join(str(part) for part in detail["loc"])
        raise LawError(f"schemas/hazus/rules.yml: {where}: {detail['msg']}.") from error
    except yaml.YAMLError as error:
        raise LawError(f"schemas/hazus/rules.yml: is not YAML: {error}") from error
    buildings = read_functions(folder / "structural.csv", rules.beyond_the_ends)
    contents = read_functions(folder / "contents.csv", rules.beyond_the_ends)
    return Hazus(buildings, contents, rules, _read_selection(folder / "selection.csv", rules, buildings, contents))


def read_functions(path: Traversable, beyond: Literal["hold", "none_below"]) -> DamageFunctions:
    """A table of Hazus: the first column is the number, `ft04m` to `ft24` are percent, `NULL` is not given.

    Raises:
        LawError: the columns are not whole feet one after the other.
    """
    header, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
    feet = {
        place: -int(found[1]) if found[2] else int(found[1])
        for place, name in enumerate(header)
        if (found := _COLUMN.match(name))
    }
    first = min(feet.values(), default=0)
    if list(feet.values()) != list(range(first, first + len(feet))) or len(feet) < 2:
        raise LawError(f"schemas/hazus/{path.name}: its columns of depth are not one after the other.")
    given = np.array([[np.nan if row[place] == "NULL" else float(row[place]) for place in feet] for row in rows])
    column = {name: header.index(name) for name in ("Occupancy", "Default")}
    return DamageFunctions(
        ids=np.array([int(row[0]) for row in rows]),
        occupancies=tuple(row[column["Occupancy"]].strip() for row in rows),
        first_ft=float(first),
        percent=_held(given),
        beyond=beyond,
        is_default=np.array([row[column["Default"]] == "1" for row in rows]),
    )


def _held(percent: Floats) -> Floats:
    """Where a function has no value any more, its last one."""
    last = np.maximum.accumulate(np.where(np.isnan(percent), 0, np.arange(percent.shape[1])), axis=1)
    held: Floats = np.take_along_axis(percent, last, axis=1)
    return held


def _read_selection(path: Traversable, rules: Rules, buildings: DamageFunctions, contents: DamageFunctions) -> Ints:
    """The table of selection spread out.

    Raises:
        LawError: it names what does not exist, leaves a case open, or decides one twice.
    """
    chosen = np.full((len(rules.codes), len(ZONES), 2, len(STOREYS), 2), -1, np.int64)
    for number, line in enumerate(csv.DictReader(path.read_text(encoding="utf-8").splitlines()), start=2):
        where = f"schemas/hazus/selection.csv: line {number}"
        try:
            cases = product(
                _places(line["occupancy"], rules.codes),
                _places(line["zone"], ZONES),
                _places(line["basement"], ("no", "yes")),
                _places(line["storeys"], STOREYS),
            )
            ids = np.array([int(line["building_ddf_id"])]), np.array([int(line["content_ddf_id"])])
        except (KeyError, ValueError) as error:
            raise LawError(f"{where}: {error}") from error
        pair = buildings.rows(ids[0])[0], contents.rows(ids[1])[0]
        if min(pair) < 0:
            raise LawError(f"{where}: there is no function of that number.")
        for case in cases:
            if chosen[case][0] >= 0:
                raise LawError(f"{where}: decides a case that an earlier line decides.")
            chosen[case] = pair
    if (chosen < 0).any():
        open_case = np.argwhere(chosen < 0)[0]
        raise LawError(f"schemas/hazus/selection.csv: nothing holds for {rules.codes[open_case[0]]} in every case.")
    return chosen


def _places(text: str, names: tuple[str, ...]) -> list[int]:
    """Places of the names that stand in the text with blanks between them; of all for `any`."""
    if text == "any":
        return list(range(len(names)))
    if unknown := [name for name in text.split() if name not in names]:
        raise ValueError(f"there is no {unknown[0]}.")
    return [names.index(name) for name in text.split()]
