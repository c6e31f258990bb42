"""Which points of a town a request to withhold means, whatever words the town and the clerk have for the address.

It fails closed: what may be the same house is meant. Another number, suffix, direction or type of the street is another
house. Not here: what is withheld, and when.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import pyarrow as pa
from psycopg import sql
from psycopg.rows import dict_row

from addresses.parsing import STREET, parse_addresses
from addresses.search_index import NAME, key, name_key
from addresses.unit_words import UnitWords
from statewide.database import Connection
from statewide.parcel_number import normalize_id
from statewide.register import Town
from statewide.standard import Standard

_PARTS = ("addnum_pre", "add_number", "addnum_suf", "addnum_cmp", *STREET, "unitvalue", "unit")
_SPELLED = (
    "FIRST", "SECOND", "THIRD", "FOURTH", "FIFTH", "SIXTH", "SEVENTH", "EIGHTH", "NINTH", "TENTH", "ELEVENTH",
    "TWELFTH", "THIRTEENTH", "FOURTEENTH", "FIFTEENTH", "SIXTEENTH", "SEVENTEENTH", "EIGHTEENTH", "NINETEENTH",
    "TWENTIETH",
)  # fmt: skip
_SAID = {"ST": "SAINT", "MT": "MOUNT", "FT": "FORT"} | {word: str(nth) for nth, word in enumerate(_SPELLED, start=1)}
"""Words of a name that are written in two ways, with the one that counts."""
_ORDINAL = re.compile(r"0*(\d+)(?:ST|ND|RD|TH)")
_MANY = re.compile(r"\D*(\d{1,6})[A-Z]? ?(?:[-+,/&]|TO|THRU|AND) ?(\d{1,6})[A-Z]?", re.IGNORECASE)
_RANGE_MOST = 100
_NEAREST = 5
_LIKE_STREET = 0.75


class Asked(Protocol):
    """What is read of a request."""

    @property
    def request_no(self) -> int: ...
    @property
    def address_normalized(self) -> str | None: ...
    @property
    def unit(self) -> str | None: ...
    @property
    def identifier(self) -> str | None: ...


class _House(NamedTuple):
    """An address as it is compared: a range has all its numbers, and a point all spellings of its unit."""

    prefix: str
    numbers: frozenset[int]
    suffix: str
    name: str
    street_type: str
    units: frozenset[str]

    def may_be(self, other: _House) -> bool:
        """Whether it is the same house. Prefix and type of the street are often left out."""
        return (
            not self.numbers.isdisjoint(other.numbers)
            and (self.name, self.suffix) == (other.name, other.suffix)
            and (not self.prefix or not other.prefix or self.prefix == other.prefix)
            and (not self.street_type or not other.street_type or self.street_type == other.street_type)
        )


class _Reader:
    """Parts of addresses → what is compared."""

    def __init__(self, standard: Standard) -> None:
        self._standard = standard
        self._units = UnitWords(standard)
        self._directions = {key(said): key(code) for said, code in standard.code_lists["directional"].lookup().items()}
        self._streets: dict[str, str] = {}

    def typed(self, texts: Sequence[str | None], units: Sequence[str | None]) -> list[_House]:
        """Number and street of each text, with the unit that is meant beside it."""
        parts = parse_addresses(self._standard, pa.array(texts, pa.string())).parts.to_pylist()
        alone = {"unitvalue": None}
        return [self.house(part | alone | {"unit": unit}) for part, unit in zip(parts, units, strict=True)]

    def house(self, part: Mapping[str, Any]) -> _House:
        """One address; columns as the law names them."""
        first, suffix, whole = part["add_number"], key(part["addnum_suf"]), part["addnum_cmp"] or ""
        numbers: frozenset[int] = frozenset([] if first is None else [first])
        if many := _MANY.fullmatch(whole.strip()):
            low, high = int(many[1]), int(many[2])
            if low < high <= low + _RANGE_MOST:
                numbers |= frozenset(range(low, high + 1, 1 if (high - low) % 2 else 2))
            else:
                suffix = suffix or many[2]  # 523-5 is no range
        units = frozenset(self._unit(part[name]) for name in ("unitvalue", "unit") if part[name])
        name = self.street(" ".join(part[name] for name in NAME if part[name]))
        return _House(key(part["addnum_pre"]), numbers, suffix, name, key(part["st_postyp"]), units)

    def street(self, name: str) -> str:
        """The key of a street's name without its type: Saint Mary and St Mary, 1st and First are one."""
        if name not in self._streets:
            words = name_key(name).split()
            if len(words) > 1:  # N Main; not E Street
                words = [self._directions.get(word, word) for word in words]
            self._streets[name] = "".join(_ORDINAL.sub(r"\1", _SAID.get(word, word)) for word in words)
        return self._streets[name]

    def _unit(self, text: str) -> str:
        """A unit without its word, separators and zeros in front: Apartment 2-B, # 02B and 2b are one."""
        words = key(text).split()
        if len(words) > 1 and self._units.code(words[0]):
            del words[0]
        return "".join(word.lstrip("0") or "0" for word in words)


def at_addresses(
    connection: Connection, standard: Standard, town: Town, requests: Sequence[Asked]
) -> list[tuple[int, UUID]]:
    """Numbers of the requests and the points, live or ended, at the addresses that they name; a pair maybe twice."""
    asked = [request for request in requests if request.address_normalized]
    if not asked:
        return []
    reader = _Reader(standard)
    texts = [request.address_normalized for request in asked]
    meant = reader.typed(texts, [request.unit for request in asked])
    numbers = sorted({number for house in meant for number in house.numbers})
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            _AT_NUMBERS, {"town": town.cousub_fips, "numbers": numbers, "texts": texts, "many": r"\d.*\D.*\d"}
        ).fetchall()
    points = [(row["address_uid"], row["address_normalized"], reader.house(row)) for row in rows]
    return [
        (request.request_no, uid)
        for request, house in zip(asked, meant, strict=True)
        for uid, text, its in points
        if (text == request.address_normalized or house.may_be(its))
        and (not house.units or not house.units.isdisjoint(its.units))
    ]


def on_parcels(connection: Connection, town: Town, requests: Sequence[Asked]) -> list[tuple[int, str]]:
    """Numbers of the requests and the parcel numbers, as they came with the addresses, that they name."""
    asked = [request for request in requests if request.identifier]
    if not asked:
        return []
    rows = connection.execute(_PARCEL_NUMBERS, {"town": town.cousub_fips}).fetchall()
    spelled = [parcel for (parcel,) in rows]
    wanted = normalize_id(pa.array([request.identifier for request in asked], pa.string())).to_pylist()
    normal = normalize_id(pa.array(spelled, pa.string())).to_pylist()
    return [
        (request.request_no, parcel)
        for request, number in zip(asked, wanted, strict=True)
        for parcel, its in zip(spelled, normal, strict=True)
        if number is not None and number == its
    ]


def nearest_labels(connection: Connection, standard: Standard, town: Town, address: str) -> list[str]:
    """Labels of points that are shown on that street, or on one like it, those of the nearest numbers first."""
    reader = _Reader(standard)
    [asked] = reader.typed([address], [None])
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_SHOWN, {"town": town.cousub_fips}).fetchall()
    streets = [reader.street(" ".join(row[name] for name in NAME if row[name])) for row in rows]
    near = get_close_matches(asked.name, set(streets), cutoff=_LIKE_STREET)
    best = near[:1] if asked.name in near else near
    number = min(asked.numbers, default=0)
    found = sorted(
        (abs(number - row["add_number"]), row["address_label"])
        for row, street in zip(rows, streets, strict=True)
        if street in best
    )
    return list(dict.fromkeys(text for _, text in found))[:_NEAREST]


_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, _PARTS))
_AT_NUMBERS = sql.SQL(
    "SELECT DISTINCT address_uid, address_normalized, {columns} FROM ("
    " SELECT cousub_fips, address_uid, address_normalized, {columns} FROM addresses.address_point UNION ALL"
    " SELECT cousub_fips, address_uid, address_normalized, {columns} FROM addresses.address_point_history) AS point"
    " WHERE cousub_fips = %(town)s"
    " AND (add_number = ANY(%(numbers)s) OR addnum_cmp ~ %(many)s OR address_normalized = ANY(%(texts)s))"
).format(columns=_COLUMNS)
_PARCEL_NUMBERS = """
SELECT parcel_id FROM addresses.address_point WHERE cousub_fips = %(town)s AND parcel_id IS NOT NULL
UNION
SELECT parcel_id FROM addresses.address_point_history WHERE cousub_fips = %(town)s AND parcel_id IS NOT NULL
"""
_SHOWN = sql.SQL(
    "SELECT address_label, add_number, {} FROM published.addresses"
    " WHERE cousub_fips = %(town)s AND add_number IS NOT NULL AND address_label IS NOT NULL"
).format(sql.SQL(", ").join(map(sql.Identifier, STREET)))
