"""Words within a building → unit, building, floor and room.

The vocabulary is the law's: `unit_type`, whose words a value follows, and `unit_alone`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from statewide.standard import Standard

Parts = dict[str, str | int]
"""Columns of the law and what was read for them."""

_OWN_COLUMN = {"Building": "structure", "Floor": "floor", "Room": "room"}
_PLAINLY = frozenset({"Unit", "Apartment", "Suite", "Building", "Room", "Condominium", "Rear"})
"""Units whose words mean nothing else behind a name, so that no street's type need stand before them."""
_STOREYS = {"1ST": 1, "FIRST": 1, "2ND": 2, "SECOND": 2, "3RD": 3, "THIRD": 3, "4TH": 4, "FOURTH": 4}
_VALUE = re.compile(r"[A-Z]{0,2}[-/]?\d+[A-Z]?(?:[-/+&]\w+)*|[A-Z]{1,2}|[A-Z]-[A-Z]")
_BARE_VALUE = re.compile(r"[A-Z]{0,2}-?\d+[A-Z]?|[A-Z]|\d+[A-Z]?-[A-Z\d]+|[A-Z]-[A-Z]")
"""A value with no word before it has to look more like one."""
_BETWEEN = ("&", "+", "AND")
GLUED_UNIT = re.compile(r"\b(APT|UNIT|STE|SUITE|BLDG|LOT|FL|RM)\.?(?=\d)", re.IGNORECASE)
"""A unit's word without a blank before its value."""


class UnitWords:
    """The law's words for units, for single words in capitals without a full stop; # is a word of its own."""

    def __init__(self, standard: Standard) -> None:
        alone, typed = (standard.code_lists[name].lookup() for name in ("unit_alone", "unit_type"))
        self._codes = {word.upper(): code for word, code in {**typed, **alone}.items()}
        self._alone = frozenset(alone.values())

    def code(self, word: str) -> str | None:
        """The full word (Apartment) that a word in capitals stands for."""
        return self._codes.get(word)

    def is_plain(self, words: Sequence[str], place: int) -> bool:
        """Whether the word at ``place`` is a unit's even where no street's type stands before it."""
        code = self._codes.get(words[place])
        return code in _PLAINLY or (code == "Lot" and place + 1 < len(words))

    def begins(self, words: Sequence[str], place: int) -> bool:
        """Whether a unit may begin at ``place``; Front and Pier may be names as well."""
        return words[place] in self._codes or self._is_pair(words, place) or self._is_storey(words, place)

    def take_front(self, text: str, parts: Parts) -> int:
        """Put a unit in front of an address (Rear of, Lot 5) among the parts; how many characters it takes."""
        words = text.split(" ")
        capitals = [word.upper().strip(".,") for word in words]
        code = self._codes.get(capitals[0])
        if code is None or capitals[0] == "#" or len(words) < 2:
            return 0
        if code in self._alone:
            if len(words) < 3 or not (code == "Rear" or capitals[1][:1].isdigit()):
                return 0
            self.add(parts, code, None)
            return len(" ".join(words[: 2 if capitals[1] == "OF" else 1]))
        value = self._value(capitals[1:], hashed=False)
        if len(words) < len(value) + 2 or not any(map(str.isdigit, "".join(value))):
            return 0
        self.add(parts, code, " ".join(value))
        return len(" ".join(words[: 1 + len(value)]))

    def take(self, words: Sequence[str], parts: Parts) -> int:
        """Put the units with which the words begin among the parts; how many words they take."""
        place = 0
        while place < len(words):
            word = " ".join(words[place : place + 2]) if self._is_pair(words, place) else words[place]
            code = self._codes.get(word)
            if word == "," or (word == "#" and self._codes.get("".join(words[place + 1 : place + 2]))):
                place += 1  # "#Lot 4" is a lot
            elif self._is_storey(words, place):
                self.add(parts, "Floor", str(_STOREYS[word]))
                place += 2
            elif code is not None:
                place += word.count(" ")
                hashed = "#" in words[place : place + 2]
                place += 2 if hashed and word != "#" else 1
                value = self._value(words[place:], hashed)
                self.add(parts, code, " ".join(value) or None)
                place += len(value)
            elif _BARE_VALUE.fullmatch(word) and "unit" not in parts:
                self.add(parts, "Unit", word)
                place += 1
            else:
                break
        return place

    def read(self, text: str) -> Parts:
        """The parts of a unit that stands alone (APT B, #2, B); none where it has other words, or tells no unit."""
        spaced = re.sub(r"(#|,)", r" \1 ", GLUED_UNIT.sub(r"\1 ", text.upper()))
        words = [word for word in (each.strip(".;") for each in spaced.split()) if word]
        parts: Parts = {}
        return parts if self.take(words, parts) == len(words) and "unit" in parts else {}

    def add(self, parts: Parts, code: str, value: str | None) -> None:
        """Put one unit among the parts; a second one goes into the value of the first (Apartment 4 REAR)."""
        if column := _OWN_COLUMN.get(code):
            parts[column] = code if value is None else f"{code} {value}"
            return
        first, first_value = parts.get("unitpretyp"), parts.get("unitvalue")
        if first is not None and value is not None and first_value is None:
            value = f"{value} {str(first).upper()}"
        elif first is not None:
            behind = code.upper() if value is None else f"{code.upper()} {value}"
            code, value = str(first), behind if first_value is None else f"{first_value} {behind}"
        parts["unitpretyp"] = code
        parts["unit"] = code if value is None else f"{code} {value}"
        if value is not None:
            parts["unitvalue"] = value

    def merge(self, parts: Parts, others: Parts) -> None:
        """Put what `take_front` read among the parts of the same address."""
        if "unitpretyp" in others:
            value = others.get("unitvalue")
            self.add(parts, str(others["unitpretyp"]), None if value is None else str(value))
        parts.update((name, value) for name, value in others.items() if name in _OWN_COLUMN.values())

    def _value(self, words: Sequence[str], hashed: bool) -> Sequence[str]:
        """The words that are a unit's value; behind # also one that would be no value elsewhere (#PS 4, #SLIPS)."""
        if not words or words[0] == "," or words[0] in self._codes:
            return []
        if len(words) > 2 and words[1] in _BETWEEN and _VALUE.fullmatch(words[0]) and _VALUE.fullmatch(words[2]):
            return [words[0], "&", words[2]]
        if hashed:
            return words[:2] if words[0].isalpha() and "".join(words[1:2]).isdigit() else words[:1]
        return words[:1] if _VALUE.fullmatch(words[0]) else []

    def _is_pair(self, words: Sequence[str], place: int) -> bool:
        """Whether two words together are a unit's (Carriage House)."""
        return " ".join(words[place : place + 2]) in self._codes and place + 1 < len(words)

    def _is_storey(self, words: Sequence[str], place: int) -> bool:
        return words[place] in _STOREYS and self._codes.get("".join(words[place + 1 : place + 2])) == "Floor"
