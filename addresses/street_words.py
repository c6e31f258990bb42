"""The words of a street's name → NENA's parts: type, directions, modifiers, separator, and the name proper.

Nothing here knows of house numbers, units or places; `address_line` cuts those off first. The vocabulary is the law's.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from statewide.standard import Standard

Kind = Literal["route", "road", "land", "bare"]
"""How sure it is that the words are a street: a numbered route, a word that only streets have (Road), a word that land
has too (Hill, Pond View), or no type at all."""

_ROADS = frozenset(
    {
        "Alley", "Avenue", "Boulevard", "Bypass", "Causeway", "Circle", "Court", "Crescent", "Crossing", "Drive",
        "Driveway", "Expressway", "Extension", "Freeway", "Highway", "Lane", "Loop", "Parkway", "Place", "Road",
        "Square", "Street", "Terrace", "Trail", "Turnpike", "Way",
    }
)  # fmt: skip
"""Types that only streets have."""
_ROUTES = frozenset(
    {
        "Route", "State Route", "State Highway", "State Road", "United States Highway", "Interstate", "Highway",
        "County Road", "County Route", "County Highway",
    }
)  # fmt: skip
"""Types that stand before a number. Types of several words are never read behind a name: it is Forest, Road."""
_NEVER_BEHIND = frozenset({"Route", "State Route", "United States Highway", "Interstate"})
_ALWAYS_BEFORE = frozenset({"Via", "Rue", "Calle", "Camino", "Paseo", "Avenida"})
_LOCAL = {"CR": "Circle", "TR": "Terrace", "PK": "Park", "PRK": "Park"}
"""Spellings that other States read in another way, so that the law leaves them to the parser: see its street_type."""
_LOCAL_ROUTES = {("I",): "Interstate", ("CT",): "State Route", ("CONN",): "State Route"}
_ROUTE_NUMBER = re.compile(r"\d{1,3}[A-Z]?")
_SMALL = frozenset({"of", "the", "and", "at", "on", "in", "to", "by", "de", "del", "la", "las"})
_CONSONANTS = re.compile(r"[B-DF-HJ-NP-TV-XZ]{2,3}")
_SPOKEN = frozenset({"DR", "ST", "MT", "FT", "MR", "MRS", "MS", "JR", "SR", "STS", "NTH", "PT"})
"""Abbreviations that are said as words; other groups of consonants are initials."""


class Street(NamedTuple):
    """The parts of a street; the name as the town cased it."""

    st_premod: str | None = None
    st_predir: str | None = None
    st_pretyp: str | None = None
    st_presep: str | None = None
    st_name: str = ""
    st_postyp: str | None = None
    st_posdir: str | None = None
    st_posmod: str | None = None
    kind: Kind = "bare"


class StreetWords:
    """The law's vocabulary of streets, ready for single words in capitals without a full stop."""

    def __init__(self, standard: Standard) -> None:
        spellings = _capitals(standard.code_lists["street_type"].lookup())
        self._types = {
            word: code for word, code in spellings.items() if " " not in word and code not in _NEVER_BEHIND
        } | _LOCAL
        self._routes = {
            tuple(word.split()): code for word, code in spellings.items() if code in _ROUTES
        } | _LOCAL_ROUTES
        self.directions = _capitals(standard.code_lists["directional"].lookup())
        separators = [tuple(code.code.upper().split()) for code in standard.code_lists["st_pre_separator"].codes]
        self._separators = sorted(separators, key=len, reverse=True)

    def type_of(self, word: str) -> str | None:
        """The type that a word in capitals stands for, after a name."""
        return self._types.get(word)

    def is_road(self, word: str) -> bool:
        """Whether only streets have this type. An abbreviation (HTS, RDG) is written of no other thing either."""
        code = self._types.get(word)
        return code is not None and (code in _ROADS or word != code.upper())

    def route_length(self, words: Sequence[str]) -> int:
        """How many words at the start are a numbered route (Old Route 7, US Hwy 1), 0 where there is none."""
        start = 1 if words[:1] == ["OLD"] else 0
        for length in (3, 2, 1):
            end = start + length
            if tuple(words[start:end]) in self._routes and end < len(words) and _ROUTE_NUMBER.fullmatch(words[end]):
                return end + 1
        return 0

    def street_end(self, words: Sequence[str]) -> int:
        """Where the street's name, with its type and what belongs behind it, ends; 0 where no type says so."""
        if self._type_before_letter(words) or self._separator(words):
            return len(words)
        end = self.route_length(words) or self._type_end(words, self.is_road) or self._type_end(words, self.type_of)
        while end and end < len(words) and (words[end] in self.directions or self._is_extension(words[end])):
            end += 1
        return end

    def _type_end(self, words: Sequence[str], is_type: Callable[[str], object]) -> int:
        """Behind the last word that is a type with a name before it, 0 where there is none."""
        return next((place + 1 for place in range(len(words) - 1, 0, -1) if is_type(words[place])), 0)

    def read(self, words: Sequence[str]) -> Street | None:
        """The parts of a street that has no other words; None where no name is left."""
        rest = [word.strip(".,;:") for word in words]
        rest = [word for word in rest if word]
        capitals = [word.upper() for word in rest]
        if not rest:
            return None
        if length := self.route_length(capitals):
            return self._route(capitals, length)
        if self._type_before_letter(capitals):
            return Street(st_pretyp=self._types[capitals[0]], st_name=capitals[1], kind="road")
        if length := self._separator(capitals):
            separator = " ".join(capitals[1:length]).lower() or None
            posdir = self.directions.get(capitals[-1]) if len(rest) > length + 1 else None
            name = cased(rest[length:-1] if posdir else rest[length:])
            return Street(None, None, self._types[capitals[0]], separator, name, None, posdir, None, "road")
        posdir = posmod = postyp = None
        kind: Kind = "bare"
        while len(rest) > 1:
            last = capitals[-1]
            typed = capitals[-2] in self._types and len(rest) > 2
            if posdir is None and last in self.directions and (typed or last == self.directions[last].upper()):
                posdir = self.directions[last]
            elif posmod is None and self._is_extension(last) and (typed or self._typed(capitals[:-1])):
                posmod = "Extension"
            else:
                break
            del rest[-1], capitals[-1]
        if len(rest) > 1 and capitals[-1] in self._types and capitals[:-1] != ["THE"]:
            postyp = self._types[capitals[-1]]
            kind = "road" if self.is_road(capitals[-1]) else "land"
            del rest[-1], capitals[-1]
        premod = predir = None
        if len(rest) > 2 and capitals[0] == "OLD" and capitals[1] in self.directions:
            premod, rest, capitals = "Old", rest[1:], capitals[1:]
        if len(rest) > 1 and capitals[0] in self.directions:
            predir, rest = self.directions[capitals[0]], rest[1:]
        return Street(premod, predir, None, None, cased(rest), postyp, posdir, posmod, kind)

    def _route(self, capitals: list[str], length: int) -> Street | None:
        premod = "Old" if capitals[0] == "OLD" else None
        before = tuple(capitals[1 if premod else 0 : length - 1])
        posdir = posmod = None
        for word in capitals[length:]:
            if posdir is None and word in self.directions:
                posdir = self.directions[word]
            elif posmod is None and self._is_extension(word):
                posmod = "Extension"
            else:
                return None
        return Street(premod, None, self._routes[before], None, capitals[length - 1], None, posdir, posmod, "route")

    def _type_before_letter(self, capitals: Sequence[str]) -> bool:
        """Avenue A; not "Elm A" and not "Elm E"."""
        return len(capitals) == 2 and len(capitals[1]) == 1 and capitals[1].isalpha() and self._in_full(capitals[0])

    def _separator(self, capitals: Sequence[str]) -> int:
        """How many words are a type and a separator (Avenue of the, Via) before a name; 0 where they are not."""
        if not capitals or self.is_road(capitals[-1]):
            return 0
        in_full = self._in_full(capitals[0])
        for separator in self._separators if in_full or self.is_road(capitals[0]) else ():
            length = 1 + len(separator)
            # Dr at the Green is none; Ave of the Pines is one.
            said = tuple(capitals[1:length]) == separator and (in_full or separator[0] == "OF")
            if said and len(capitals) > length:
                return length
        return 1 if capitals[0].capitalize() in _ALWAYS_BEFORE and len(capitals) > 1 else 0

    def _in_full(self, word: str) -> bool:
        return word.capitalize() in _ROADS | _ALWAYS_BEFORE

    def _is_extension(self, word: str) -> bool:
        return self._types.get(word) == "Extension"

    def _typed(self, capitals: Sequence[str]) -> bool:
        """Whether a type with a direction behind it ends the words."""
        return len(capitals) > 2 and capitals[-1] in self.directions and capitals[-2] in self._types


@functools.lru_cache(maxsize=2)
def street_words(standard: Standard) -> StreetWords:
    """The vocabulary of a law, made once."""
    return StreetWords(standard)


def cased(words: Sequence[str]) -> str:
    """Words as a name is cased. What came in mixed case is the town's own spelling and stays."""
    text = " ".join(words)
    if not (text.isupper() or text.islower()):
        return " ".join(_ordinal(word) for word in words)
    return " ".join(_cased(word, place == 0) for place, word in enumerate(words))


def _cased(word: str, first: bool) -> str:
    if not first and word.lower() in _SMALL:
        return word.lower()
    if word[:1].isdigit():
        return _ordinal(word)
    if _CONSONANTS.fullmatch(word) and word not in _SPOKEN:
        return word
    return "-".join(
        "'".join(_piece(piece, place) for place, piece in enumerate(part.split("'"))) for part in word.split("-")
    )


def _piece(piece: str, place: int) -> str:
    if place and len(piece) < 3:
        return piece.lower()  # Shepherd's
    if len(piece) > 4 and piece[:2].upper() == "MC":
        return "Mc" + piece[2:].capitalize()
    return piece.capitalize()


def _ordinal(word: str) -> str:
    """`5TH` as 5th, `07TH` as 7th; another word as it is."""
    found = re.fullmatch(r"0*(\d+)(ST|ND|RD|TH)", word, re.IGNORECASE)
    return found[1] + found[2].lower() if found else word


def _capitals(spellings: Mapping[str, str]) -> dict[str, str]:
    return {spelling.rstrip(".").upper(): code for spelling, code in spellings.items()}
