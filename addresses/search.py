"""A typed address finds its point or its parcel: the best candidates, each with what of the text it answers.

The text is read in several ways (with and without a town at its end, which may be misspelt), by our parser. Streets of
a like name come from the trigram index of `addresses.search_index`, what is shown of a place from the published views.
The text goes nowhere else: it is not kept and not logged. No position is made up between two numbers.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import pyarrow as pa
from psycopg import sql
from rapidfuzz import process
from rapidfuzz.distance import OSA

from addresses.parsing import label, parse_addresses
from addresses.search_index import NAME, key, name_key
from statewide.database import read_sql
from statewide.errors import BadArgument
from statewide.standard import Standard, load_standard

MAX_TEXT = 200
MAX_LIMIT = 50
DEFAULT_LIMIT = 10

Fetch = Callable[[sql.SQL, dict[str, Any]], list[tuple[Any, ...]]]
"""Rows of a statement, asked with the rights of the street: only `published` can be read."""

_STREET, _TOWN, _NUMBER = 0.60, 0.25, 0.15
"""What each part weighs in the score: a street of another name counts more than another town, and that more than a
neighbour's number."""
_LIKE_STREET, _LIKE_TOWN = 0.65, 0.75
"""Least similarity of two names (1 less the share of letters to change) for one to be taken for the other."""
_TOWN_WORDS, _TOWNS = 4, 6
_STREETS, _STREETS_WITH_NEIGHBOURS = 300, 12
_NEIGHBOURS = 4
"""Other numbers of a street that are shown at most."""
_NOT_IN_USE = 0.95
"""What an address that is gone or not there yet is worth of one in use: more than any other number."""
_SAME_NUMBER = 0.9
"""A number that is answered this well is the one that was typed, but for a letter or for standing in a range."""

_ACTIVE = "Active"
"""Code of the list `lifecycle`; what says nothing is in use."""
_WORD = re.compile(r"[^\s,;]+")
_ZIP = re.compile(r"0\d{4}(-?\d{4})?")
_STATE, _COUNTRY = {"CT", "CONN", "CONNECTICUT"}, {"US", "USA"}

NOT_READ = (
    "No address can be read in this: write a house number, a street and a town, such as 42 Church Street, New London."
)
NOT_FOUND = (
    "Nothing published is like this address. A town that has delivered neither addresses nor parcels has none to find."
)


def find(fetch: Fetch, text: str, town: str | None = None, limit: int = DEFAULT_LIMIT) -> dict[str, Any]:
    """The places that a typed address may mean, the likeliest first.

    Args:
        town: a town, village or ZIP code, when it is not in the text.

    Returns:
        A GeoJSON feature collection, with `hint` when nothing was found. A feature's `kind` is address, parcel, street
        (no number was typed; the point is that of a place in its middle) or town; `matched`, `similar` and `unmatched`
        name the parts of the text; `lifecycle` stands where the address is not in use.

    Raises:
        BadArgument: the text is empty or too long, the limit out of range, or the town not known.
    """
    _require_sense(text, town, limit)
    standard = load_standard()
    names = _Names(fetch(sql.SQL("SELECT name_key, cousub_fips, name, is_town FROM published.find_names"), {}))
    readings = _readings(standard, text, names, names.meant(town) if town is not None else None)
    candidates = _places(fetch, _streets(fetch, readings), names, limit)
    candidates += _towns(fetch, readings, names, {each.town for each in candidates})
    candidates.sort(key=lambda each: (-each.score, names.town[each.town], each.order))
    found = {
        "type": "FeatureCollection",
        "features": [candidate.feature(names.town[candidate.town]) for candidate in candidates[:limit]],
        "numberReturned": min(len(candidates), limit),
    }
    if not candidates:
        read = any(reading.name and (reading.number or reading.street_type or reading.towns) for reading in readings)
        found["hint"] = NOT_FOUND if read else NOT_READ
    return found


class _Town(NamedTuple):
    """A town that a name may mean, how alike the names are, and the name if it is not the town's own."""

    score: float
    community: str | None


_Towns = dict[str, _Town]


class _Names:
    """Names of towns, villages, postal cities, and ZIP codes."""

    def __init__(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self.town: dict[str, str] = {}
        self._towns: dict[str, list[tuple[str, bool]]] = {}
        for spelling, fips, name, is_town in rows:
            self._towns.setdefault(spelling, []).append((fips, is_town))
            if is_town:
                self.town[fips] = name
        self.communities = sorted(spelling for spelling in self._towns if not spelling.isdigit())

    def like(self, text: str) -> _Towns:
        """Towns that go by such a name, the likest first."""
        spelt = key(text)
        if spelt in self._towns:
            alike = [(spelt, 1.0, 0)]
        else:
            alike = process.extract(
                spelt, self.communities, scorer=OSA.normalized_similarity, score_cutoff=_LIKE_TOWN, limit=_TOWNS
            )
        found: _Towns = {}
        for name, similarity, _ in alike:
            for fips, is_town in self._towns[name]:
                if fips not in found or (is_town and similarity == found[fips].score):
                    found[fips] = _Town(similarity, None if is_town else name)
        return dict(list(found.items())[:_TOWNS])

    def meant(self, town: str) -> _Towns:
        """The towns of a name that was given as such.

        Raises:
            BadArgument: there is none.
        """
        if found := self.like(town):
            return found
        raise BadArgument("town: there is no town, village or ZIP code of that name.")


@dataclass(frozen=True)
class _Reading:
    """One way to read the text."""

    number: int | None
    suffix: str
    name: str
    street_type: str
    unit: str
    towns: _Towns | None
    """None where no town was named."""
    zip_code: str | None
    read: float
    """How much of the words is in the parts; what is left over is a part of its own, which nothing answers."""
    spelt: float = 1.0
    """Less where the last word of the street is taken for a misspelt type."""

    @property
    def wanted(self) -> list[str]:
        """The parts that were typed, in their order."""
        said = {
            "number": self.number is not None,
            "unit": bool(self.unit),
            "street": bool(self.name),
            "town": self.towns is not None,
            "zip": self.zip_code is not None,
            "words": self.read < 1,
        }
        return [part for part, is_said in said.items() if is_said]


@dataclass(frozen=True)
class _Street:
    """A street that may be meant, in one reading."""

    reading: _Reading
    street_id: int
    town: str
    street: str
    alike: float

    @property
    def in_town(self) -> _Town:
        """How well its town answers the one that was named."""
        towns = self.reading.towns
        return _Town(1.0, None) if towns is None else towns.get(self.town, _Town(0.0, None))

    @property
    def score(self) -> float:
        """As good as a place on it can be."""
        return self.reading.read * (_STREET * self.alike + _TOWN * self.in_town.score + _NUMBER)


@dataclass(frozen=True)
class _Candidate:
    score: float
    kind: str
    town: str
    label: str
    point: tuple[float, float]
    order: tuple[Any, ...]
    parts: dict[str, float]
    """Each part that was typed, and how well it is answered, 0 to 1."""
    identifier: str | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def feature(self, town_name: str) -> dict[str, Any]:
        properties: dict[str, Any] = {
            "score": round(self.score, 3),
            "label": self.label,
            "town_name": town_name,
            "cousub_fips": self.town,
            "kind": self.kind,
            "matched": [part for part, answered in self.parts.items() if answered == 1],
            "similar": [part for part, answered in self.parts.items() if 0 < answered < 1],
            "unmatched": [part for part, answered in self.parts.items() if answered == 0],
        }
        properties |= self.more
        geometry = {"type": "Point", "coordinates": [round(degrees, 7) for degrees in self.point]}
        feature: dict[str, Any] = {"type": "Feature", "geometry": geometry, "properties": properties}
        return feature if self.identifier is None else {"id": self.identifier, **feature}


def _require_sense(text: object, town: object, limit: object) -> None:
    if not isinstance(text, str) or not key(text):
        raise BadArgument("text: write an address, such as 42 Church Street, New London.")
    for given in (text, town):
        if isinstance(given, str) and any("\ud800" <= sign <= "\udfff" for sign in given):
            raise BadArgument("text and town: half of a character cannot be read; send whole UTF-8.")
    if len(text) > MAX_TEXT or (isinstance(town, str) and len(town) > MAX_TEXT):
        raise BadArgument(f"text and town: at most {MAX_TEXT} characters.")
    if town is not None and (not isinstance(town, str) or not key(town)):
        raise BadArgument("town: give the name of a town or village, or a ZIP code.")
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_LIMIT:
        raise BadArgument(f"limit: a whole number from 1 to {MAX_LIMIT}.")


# ---------------------------------------------------------------------------------------------- reading


def _readings(standard: Standard, text: str, names: _Names, given: _Towns | None) -> list[_Reading]:
    """The ways to read the text: as a whole, and with its last words as a town.

    Args:
        given: the town that was given beside the text; it counts, whatever the text says.
    """
    ways = list(_ways(text, names))
    parsed = parse_addresses(standard, pa.array([rest for rest, _, _ in ways]), names.communities)
    parts = parsed.parts.to_pylist()
    readings = []
    for (rest, towns, zip_code), part, said in zip(ways, parts, label(parsed.parts).to_pylist(), strict=True):
        typed, understood = key(rest).split(), key(said).split()
        reading = _Reading(
            number=part["add_number"],
            suffix=key(part["addnum_suf"]),
            name=name_key(" ".join(part[name] for name in NAME if part[name])),
            street_type=key(part["st_postyp"]),
            unit=_unit(part["unitvalue"] or part["unit"]),
            towns=towns if given is None else given,
            zip_code=zip_code,
            read=min(1.0, len(understood) / len(typed)) if typed else 1.0,
        )
        readings.append(reading)
    # Where the last words are a town, nothing is to be said for leaving them out.
    most = max(reading.read for reading in readings)
    readings = [reading for reading in readings if reading.read == most]
    return [*readings, *filter(None, map(_with_misspelt_type, readings))]


def _with_misspelt_type(reading: _Reading) -> _Reading | None:
    """The reading in which the last word of the street is a type with a slip in it (Coit Sst); None without one."""
    name, _, last = reading.name.rpartition(" ")
    if not name or len(last) < 2 or reading.street_type:
        return None
    types = _street_types()
    like = last not in types and process.extractOne(last, types, scorer=OSA.distance, score_cutoff=1)
    return replace(reading, name=name, spelt=0.95) if like else None


def _ways(text: str, names: _Names) -> Iterator[tuple[str, _Towns | None, str | None]]:
    """The text without its tail, the towns that the tail may mean, and the ZIP code."""
    words = list(_WORD.finditer(text))
    if len(words) > 1 and key(words[-1][0]) in _COUNTRY:
        words.pop()
    zip_code = words.pop()[0][:5] if len(words) > 1 and _ZIP.fullmatch(words[-1][0]) else None
    of_zip = names.like(zip_code) or None if zip_code else None
    yield text[: words[-1].end()], of_zip, zip_code
    if len(words) > 1 and key(words[-1][0]) in _STATE:
        words.pop()
        if zip_code:
            yield text[: words[-1].end()], of_zip, zip_code
    tails = {}
    for word in words[-_TOWN_WORDS:]:
        if towns := names.like(text[word.start() : words[-1].end()]):
            tails[word.start()] = towns, max(town.score for town in towns.values())
    # The end of "100 Old Lyme Rd" is no misspelt Lyme, and the town in "3 Main St Stonington" not North Stonington.
    least = max((score for _, score in tails.values()), default=0.0)
    if key(words[-1][0]) in _street_types():
        least = 1.0
    for start, (towns, score) in tails.items():
        if score >= least:
            yield text[:start], towns, zip_code


@functools.cache
def _street_types() -> frozenset[str]:
    codes = load_standard().code_lists["street_type"].codes
    return frozenset(key(spelling) for code in codes for spelling in (code.code, *code.variants))


def _unit(unit: str | None) -> str:
    """A unit without its word: Apartment 3-B and # 3B are one."""
    words = key(unit).split()
    return "".join(words[1:] if len(words) > 1 and words[0].isalpha() and len(words[0]) > 1 else words)


# ---------------------------------------------------------------------------------------------- streets


def _streets(fetch: Fetch, readings: list[_Reading]) -> list[_Street]:
    """Streets whose name is like that of a reading, the best first, each once."""
    wanted = [reading for reading in readings if reading.name]
    if not wanted:
        return []
    names = sorted({reading.name for reading in wanted})
    towns = sorted({fips for reading in wanted for fips in reading.towns or ()})
    rows = set(fetch(read_sql("addresses", "streets_named"), {"names": list(_swapped(names)), "towns": towns}))
    if not any(row[3] in names for row in rows):
        rows.update(fetch(read_sql("addresses", "streets_like"), {"names": names}))
    by_name: dict[str, list[tuple[Any, ...]]] = {}
    for row in rows:
        by_name.setdefault(row[3], []).append(row)
    best: dict[int, _Street] = {}
    for reading in wanted:
        for name, alike in _alike(reading.name, by_name):
            for street_id, town, street, _, street_type in by_name[name]:
                answered = alike * _type(reading, street_type) * reading.spelt
                found = _Street(reading, street_id, town, street, answered)
                known = best.get(street_id)
                if known is None or known.score < found.score:
                    best[street_id] = found
    return sorted(best.values(), key=lambda each: (-each.score, each.town, each.street_id))[:_STREETS]


def _swapped(names: list[str]) -> Iterator[str]:
    """The names with two letters exchanged: the slip that short names' trigrams do not forgive."""
    for name in names:
        yield name
        for at in range(len(name) - 1):
            yield name[:at] + name[at + 1] + name[at] + name[at + 2 :]


def _alike(asked: str, names: Iterable[str]) -> Iterator[tuple[str, float]]:
    """Names that are like the asked one, and how much: 1 for the same, less by every letter to change."""
    directions = _directions()
    cores: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for name in names:
        core, toward = _core(name, directions)
        cores.setdefault(core, []).append((name, toward))
    core, toward = _core(asked, directions)
    for like, similarity, _ in process.extract(
        core, list(cores), scorer=OSA.normalized_similarity, score_cutoff=_LIKE_STREET, limit=None
    ):
        for name, its in cores[like]:
            # A name is soon another one: three letters of nine are not a third off.
            yield name, (1 - 2 * (1 - similarity)) * (1.0 if its == toward else 0.75)


def _core(name: str, directions: frozenset[str]) -> tuple[str, tuple[str, ...]]:
    """The name without directions at its ends, and those: people leave them out or write them where they please."""
    words = name.split()
    toward = []
    while len(words) > 1 and words[0] in directions:
        toward.append(words.pop(0))
    while len(words) > 1 and words[-1] in directions:
        toward.append(words.pop())
    return " ".join(words), tuple(sorted(toward))


@functools.cache
def _directions() -> frozenset[str]:
    return frozenset(key(code.code) for code in load_standard().code_lists["directional"].codes)


def _type(reading: _Reading, of_street: str) -> float:
    """How well the type of a street answers the typed one. "New London" alone is the town, not New London Turnpike."""
    if reading.street_type == of_street or (reading.number is not None and not reading.street_type):
        return 1.0
    return 0.75 if reading.street_type and of_street else 0.9


# ----------------------------------------------------------------------------------------------- places


class _Place(NamedTuple):
    """An address point or parcel on a street that may be meant; `uid` is the key of its published view."""

    street: _Street
    kind: str
    uid: Any
    number: int
    number_to: int | None
    suffix: str | None
    unit: str | None

    @property
    def whole_number(self) -> str:
        """The number as people write it."""
        until = f"-{self.number_to}" if self.number_to else ""
        suffix = self.suffix or ""
        return f"{self.number}{until}{' ' if suffix[:1].isdigit() else ''}{suffix}"

    @property
    def house(self) -> tuple[Any, ...]:
        """What is shown once: the number with all its units but the one that was typed, or the street."""
        street = self.street
        if street.reading.number is None:
            return (street.street_id,)
        return (street.street_id, self.number, self.suffix, bool(street.reading.unit) and self.unit_answered == 1)

    @property
    def number_answered(self) -> float:
        """1 for the number that was typed; else less the farther away it is, and less on the other side."""
        typed = self.street.reading
        if typed.number is None:
            return 1.0
        if typed.number == self.number:
            return 1.0 if typed.suffix == key(self.suffix) else _SAME_NUMBER
        if self.number_to and self.number < typed.number <= self.number_to and (typed.number - self.number) % 2 == 0:
            return 0.95
        away = abs(typed.number - self.number)
        return (0.6 if away % 2 == 0 else 0.5) / (1 + away / 20)

    @property
    def unit_answered(self) -> float:
        """1 for the unit that was typed, or for a whole house when none was."""
        typed, its = self.street.reading.unit, _unit(self.unit)
        if typed == its:
            return 1.0
        return 0.0 if typed else 0.99


def _places(fetch: Fetch, streets: list[_Street], names: _Names, limit: int) -> list[_Candidate]:
    """Places of the number, and the nearest other numbers; a house once, however many share its number."""
    if not streets:
        return []
    values = {
        "streets": [street.street_id for street in streets],
        "numbers": [street.reading.number for street in streets],
        "with_neighbours": [rank < _STREETS_WITH_NEIGHBOURS for rank in range(len(streets))],
    }
    of = {street.street_id: street for street in streets}
    rows = fetch(read_sql("addresses", "places_numbered"), values)
    places = sorted((_Place(of[row[0]], *row[1:]) for row in rows), key=lambda each: -_score(each, 1.0))
    # Room for those that are not shown after all, and for the units of a house.
    places = places[: 10 * limit + 200]
    uids = {f"{kind}_uids": [place.uid for place in places if place.kind == kind] for kind in ("address", "parcel")}
    shown = {row[0]: row[1:] for row in fetch(read_sql("addresses", "places_shown"), uids)}
    houses: dict[tuple[Any, ...], list[_Candidate]] = {}
    neighbours: dict[int, set[int]] = {}
    for place in places:
        if place.uid not in shown:
            continue
        near = neighbours.setdefault(place.street.street_id, set())
        if place.number_answered < _SAME_NUMBER:
            near.add(place.number)
        if place.number not in near or len(near) <= _NEIGHBOURS:
            houses.setdefault(place.house, []).append(_candidate(place, names, *shown[place.uid]))
    return list(map(_one_of_house, houses.values()))


def _score(place: _Place, town_answered: float) -> float:
    street = place.street
    return street.reading.read * (
        _STREET * street.alike
        + _TOWN * street.in_town.score * town_answered
        + _NUMBER * place.number_answered * (0.85 + 0.15 * place.unit_answered)
    )


def _candidate(
    place: _Place,
    names: _Names,
    address_label: str | None,
    parcel_id: str | None,
    communities: list[str | None],
    post_code: str | None,
    longitude: float,
    latitude: float,
    lifecycle: str | None,
) -> _Candidate:
    street, reading = place.street, place.street.reading
    number = place.number_answered
    answered = {"number": number if number >= _SAME_NUMBER else 0.0, "unit": float(place.unit_answered == 1)}
    answered |= {"street": street.alike, "town": street.in_town.score, "words": 0.0}
    town_answered = 1.0
    village = street.in_town.community
    if village is not None and village not in {*map(key, filter(None, communities)), post_code}:
        town_answered = 0.8
        answered["town"] *= 0.8
    if reading.zip_code is not None:
        answered["zip"] = float(post_code == reading.zip_code)
        town_answered *= 1.0 if answered["zip"] else 0.95 if post_code is None else 0.85
    name = f"{place.whole_number} {street.street}" if reading.number is not None else street.street
    unit = f" Unit {place.unit}" if place.unit and place.kind == "parcel" else ""
    shown = address_label if address_label and reading.number is not None else f"{name}{unit}"
    kind = place.kind if reading.number is not None else "street"
    stage = _stages().get((lifecycle or "").strip().casefold(), _ACTIVE) if kind == "address" else _ACTIVE
    more = {
        "collection": {"address": "addresses", "parcel": "parcels"}.get(kind),
        "parcel_id": parcel_id,
        "lifecycle": None if stage == _ACTIVE else stage,
    }
    return _Candidate(
        score=_score(place, town_answered) * (1.0 if stage == _ACTIVE else _NOT_IN_USE),
        kind=kind,
        town=street.town,
        label=f"{shown}, {names.town[street.town]}",
        point=(longitude, latitude),
        order=(street.street, place.number, place.kind, place.unit or "", str(place.uid)),
        parts={part: answered[part] for part in reading.wanted},
        identifier=str(place.uid) if kind != "street" else None,
        more={name: value for name, value in more.items() if value is not None},
    )


@functools.cache
def _stages() -> dict[str, str]:
    return load_standard().code_lists["lifecycle"].lookup()


def _one_of_house(candidates: list[_Candidate]) -> _Candidate:
    """Of the places with one number, what is in use, the point before the parcel, and the house before its units."""

    def rank(each: _Candidate) -> tuple[bool, bool]:
        return "lifecycle" in each.more, each.kind != "address"

    best = min(candidates, key=lambda each: (*rank(each), -each.score, each.order))
    alike = sum(rank(each) == rank(best) for each in candidates)
    return replace(best, more={**best.more, "places": alike}) if alike > 1 and best.kind != "street" else best


def _towns(fetch: Fetch, readings: list[_Reading], names: _Names, found: set[str]) -> list[_Candidate]:
    """Towns that were named and of which no street was found, or that are all that was typed."""
    candidates: dict[str, _Candidate] = {}
    for reading in readings:
        alone = not reading.name and reading.number is None
        for fips, town in (reading.towns or {}).items():
            score = town.score if alone else _TOWN * town.score
            if (alone or fips not in found) and (fips not in candidates or candidates[fips].score < score):
                parts = {part: town.score if part == "town" else 0.0 for part in reading.wanted}
                candidates[fips] = _Candidate(score, "town", fips, names.town[fips], (0.0, 0.0), (), parts)
    if not candidates:
        return []
    points = fetch(read_sql("addresses", "towns_shown"), {"towns": list(candidates)})
    return [replace(candidates[fips], point=(x, y)) for fips, x, y in points]
