"""One address as a line of text → number, street, place within the building, village or postal city, and how sure.

Our own grammar reads what Connecticut's towns write. `usaddress` is asked where words are left over behind a street: if
it too sees a place there, they are the postal city. What stays in doubt is held, with the guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from addresses.street_words import Street, cased, street_words
from addresses.unit_words import GLUED_UNIT, Parts, UnitWords
from statewide.standard import Standard

REASONS: Final = {
    "no_number": "no house number",
    "no_text": "no address",
    "no_street": "no street",
    "two_streets": "two streets",
    "po_box": "a postal box or rural route, not a street address",
    "beside": "beside or off the street or number that it names",
    "not_an_address": "not an address",
    "left_over": "words that are no part of an address",
    "bad_number": "the house number is too long",
}
"""Why a line was not read with confidence, or what it lacks."""
NOT_HELD: Final = frozenset({"no_number", "no_text"})
"""Reasons that say something of the address and nothing of our reading."""
CONFIDENCE: Final = {"route": 1.0, "road": 1.0, "land": 0.85, "bare": 0.7}
"""How sure a numbered address is, by the kind of its street."""
_WITH_REMARK = 0.1
"""Taken off where a remark in brackets was let go."""
_TWO_AGREE = 0.6
_HELD = 0.3
_NO_NUMBER = 0.9

_FRACTION = r"\.5\b|[-\s]?[½¼¾]|[-\s]\d/\d(?!\d)"
_LETTER = r"[A-Z](?![A-Z0-9'.])"
_ORDINAL = r"(?:ST|ND|RD|TH)\b"
_NUMBER = re.compile(
    rf"(?:NO\.?\s|#\s?)?(?P<whole>(?P<prefix>[A-Z]-?)?(?P<number>\d{{1,99}})(?!{_ORDINAL})(?P<half>{_FRACTION})?"
    rf"(?P<suffix>(?!\sI\b)(?P<join>[-\s]?){_LETTER})?"
    rf"(?P<more>(?:\s?(?:[-+,/&]|\b(?:TO|THRU|AND)\b)\s?\d+(?:{_FRACTION})?(?:[-\s]?{_LETTER})?(?!{_ORDINAL}|\d))*))"
    r"(?:\s?[-,]+(?=\s))?(?=\s|[A-Z]{3}|$)",
    re.IGNORECASE,
)
_LETTERS = re.compile(r"[A-Za-z][A-Za-z' ]*")
_LETTER_BEHIND = re.compile(r"\d\s[A-Z]$", re.IGNORECASE)
_DECIMALS = {".5": "1/2", "½": "1/2", "¼": "1/4", "¾": "3/4"}
_HIGHEST = 999_999
_BOX = re.compile(
    r"(P\W*O\W*B(OX)?|POST OFFICE BOX|BOX|R\W?F\W?D|RR|RURAL (ROUTE|RT|RTE)|GENERAL DELIVERY)\b\W*[\dA-Z]{0,6}\b",
    re.IGNORECASE,
)
_ZIP = re.compile(r"[,\s]\s*(06\d{3})(?:-?(\d{4}))?$")
_COUNTRY = re.compile(r"[,\s]+(?:USA|U\.S\.A\.|UNITED STATES)$", re.IGNORECASE)
_DOTTED_DIRECTION = re.compile(r"\b([NS])\.\s?([EW])\.\s", re.IGNORECASE)
_STATE = re.compile(r"(?P<comma>,?)\s*\b(?P<state>CT|CONN|CONNECTICUT)\.?$", re.IGNORECASE)
_BRACKETS = re.compile(r"\(([^)]*)\)?")
_BETWEEN = re.compile(r"\s*(?:[/@&+]|\bAND\b|\bCOR(?:NER)?\b(?:\s*(?:OF|&))?|\bINTERSECTION OF\b)\s*", re.IGNORECASE)
_CORNER = re.compile(r"(?:COR|CORNER|INTERSECTION|INT)\b\.?(?:\s+OF\b)?\s*", re.IGNORECASE)
_BESIDE = re.compile(
    r"(?:OFF|ADJ(?:ACENT|OINING)?(?:\s+TO)?|NEAR|BEHIND|OPP(?:OSITE)?|[NSEW]/S|\w+ SIDE OF)(?=\s|$)\s*", re.IGNORECASE
)
_ASIDE = re.compile(r"\s(?:OFF|ADJ|ADJACENT|ADJOINING|BEHIND|OPP|OPPOSITE)(?=\s|$)", re.IGNORECASE)
_IN_BRACKETS = ("REAR", "OFF", "ADJ")
_GLUED_ROUTE = re.compile(r"\b(RT|RTE|ROUTE|US|SR|I|CT)[-.]?\s?-?(?=\d{1,3}[A-Z]?\b)", re.IGNORECASE)
_STREET_LABELS = (
    "StreetNamePreModifier", "StreetNamePreDirectional", "StreetNamePreType", "StreetName", "StreetNamePostType",
    "StreetNamePostDirectional", "StreetNamePostModifier",
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """What was read of one line. `reason` is a key of `REASONS`."""

    parts: Parts = field(default_factory=dict)
    reason: str | None = None
    confidence: float = 0.0


class LineReader:
    """Reads the lines of one town. It keeps what it has read behind house numbers, for streets repeat."""

    def __init__(self, standard: Standard, villages: Iterable[str] = ()) -> None:
        self._streets = street_words(standard)
        self._units = UnitWords(standard)
        self._towns = {town.town_name.upper(): town.town_name for town in standard.municipalities}
        self._villages = {village.upper(): village for village in villages}
        for village in tuple(self._villages.values()):
            if " " in village:  # assessors write SM for South Meriden
                self._villages.setdefault("".join(word[0] for word in village.upper().split()), village)
        fields = standard.table("address_point").fields
        self._longest = {field.name: field.max_length for field in fields if field.max_length is not None}
        self._known: dict[tuple[str, bool], Line] = {}
        self._plain: dict[str, Street | None] = {}

    def read(self, text: str, numbered: bool = True) -> Line:
        """Take one line apart; with ``numbered`` False it is a street, whose name may begin with a number."""
        text = _COUNTRY.sub("", " ".join(text.replace("\u2019", "'").split()).strip(" ,;"))
        text = _DOTTED_DIRECTION.sub(r"\1\2 ", text)
        if not text:
            return Line(reason="no_text")
        if _BOX.match(text) and not self._has_road(text):
            return Line(reason="po_box")
        front: Parts = {}
        reason, rest = self._front(text, front)
        number, rest = self._number(rest) if numbered else ({}, rest)
        if number:
            beside, rest = self._front(rest, front)
            reason = reason or beside
        key = (rest, bool(number))
        if (line := self._known.get(key)) is None:
            line = self._known[key] = self._behind_number(rest, bool(number) or not numbered)
        parts = {**line.parts, **number}
        self._units.merge(parts, front)
        reason = reason or line.reason
        if int(parts.get("add_number", 0)) > _HIGHEST:
            reason = reason or "bad_number"
        if reason == "bad_number" or parts.get("add_number") == 0:
            parts = {name: value for name, value in parts.items() if not name.startswith(("add_number", "addnum"))}
        if too_long := {name for name, value in parts.items() if len(str(value)) > self._longest.get(name, len(text))}:
            reason = reason or "left_over"
            parts = {name: value for name, value in parts.items() if name not in too_long}
        if "st_name" not in parts:
            reason = reason or "no_street"
        elif numbered and "add_number" not in parts:
            reason = reason or "no_number"
        sure = 1.0 if reason is None else _NO_NUMBER if reason in NOT_HELD else _HELD
        return Line(parts, reason, min(line.confidence, sure))

    def plain_street(self, text: str) -> Street | None:
        """A street in which nothing is in doubt, of letters and single blanks; None where a second look is needed."""
        if text not in self._plain:
            self._plain[text] = self._read_plain(text)
        return self._plain[text]

    def _read_plain(self, text: str) -> Street | None:
        words = text.split(" ")
        capitals = text.upper().split(" ")
        if _BETWEEN.search(text) or _CORNER.match(text) or _BESIDE.match(text) or self._units.begins(capitals, 0):
            return None
        if self._streets.route_length(capitals):
            return self._streets.read(words)
        if any(map(str.isdigit, text)):
            return None
        if len(capitals[0]) == 1 and len(capitals) > 2 and capitals[0] not in self._streets.directions:
            return None  # a number's suffix
        if len(capitals) == 1:
            return self._streets.read(words) if len(capitals[0]) > 2 else None
        whole = self._streets.street_end(capitals) == len(capitals) and not any(map(self._units.code, capitals[1:-1]))
        roads = sum(map(self._streets.is_road, capitals[1:]))
        return self._streets.read(words) if whole and roads == 1 else None

    def unit_code(self, word: str) -> str | None:
        """The full word for a unit's word as delivered (`Apt. #` is Apartment)."""
        return self._units.code(word.upper().rstrip(" #.") or word.strip())

    def _front(self, text: str, parts: Parts) -> tuple[str | None, str]:
        """What stands before a number or a street: a reason to hold it, or a unit, which becomes a part."""
        reason = None
        while True:
            if found := _CORNER.match(text):
                reason, text = "two_streets", text[found.end() :]
            elif found := _BESIDE.match(text):
                reason, text = "beside", text[found.end() :]
            elif length := self._units.take_front(text, parts):
                text = text[length:].lstrip(" ,-")
            else:
                return reason, text

    def _number(self, text: str) -> tuple[Parts, str]:
        """The parts of the house number at the start, and the text behind it. 0 means that it is not known."""
        found = _NUMBER.match(text)
        if not found or (found["prefix"] or "").upper() in ("I", *self._streets.directions):
            return {}, text
        whole, suffix, rest = found["whole"].strip(), found["suffix"], text[found.end() :].strip(" ,")
        if _LETTER_BEHIND.search(whole):
            letter, follows = whole[-1], rest.split(" ")[0].upper()
            # "12 E Main St", "12-14 E Main St" and "12 B St" have no suffix.
            if letter.upper() in self._streets.directions or not follows or self._streets.type_of(follows):
                suffix = suffix if found["more"] else None
                whole, rest = whole[:-1].strip(), f"{letter} {rest}".strip()
        return {"addnum_cmp": whole, **_number_parts(found, suffix)}, rest

    def _behind_number(self, text: str, has_number: bool) -> Line:
        """Street, unit and place. Where no house number stood before it, one may stand behind the street."""
        if _LETTERS.fullmatch(text) and (sure := self.plain_street(text)) and (has_number or sure.kind == "road"):
            return Line(_street_parts(sure), None, CONFIDENCE[sure.kind])
        parts: Parts = {}
        text, remark = self._without_brackets(text, parts)
        if (box := _BOX.search(text)) and self._has_road(text[: box.start()]):
            text = text[: box.start()].rstrip(" ,")
        text = _GLUED_ROUTE.sub(r"\1 ", self._without_tail(text, parts))
        reason = None
        if (aside := _ASIDE.search(text)) and self._has_road(text[: aside.start()]):
            reason, text = "beside", text[: aside.start()]
        elif cut := self._second_street(text, has_number):
            reason, text = "two_streets", text[:cut]
        text = re.sub(r"-(REAR)$", r" \1", re.sub(r"(#|,)\s*", r" \1 ", text), flags=re.IGNORECASE)
        words = [word for word in GLUED_UNIT.sub(r"\1 ", text).split() if word.strip("-.;")]
        capitals = [word.upper().rstrip(".;") for word in words]
        end = self._street_end(capitals)
        street = self._streets.read(words[:end])
        if street is None:
            return Line(parts, reason)
        parts.update(_street_parts(street))
        confidence = CONFIDENCE[street.kind] - (_WITH_REMARK if remark else 0)
        behind = capitals[end:]
        if not has_number:
            behind = self._number_behind(behind, parts)
        no_street = "add_number" not in parts and not has_number and street.kind in ("land", "bare")
        taken = self._units.take(behind, parts)
        if taken < len(behind):
            if not self._place_behind(words[: len(words) - len(behind) + taken], words[taken - len(behind) :], parts):
                return Line(parts, reason or ("not_an_address" if no_street else "left_over"))
            confidence = _TWO_AGREE
        return Line(parts, reason or ("not_an_address" if no_street else None), confidence)

    def _number_behind(self, words: list[str], parts: Parts) -> list[str]:
        """The words without a house number at their start, as assessors write it (Main St 12), which becomes a part."""
        words = words[1:] if words[:1] == [","] else words
        if words and words[0][:1].isdigit():
            number, rest = self._number(" ".join(words))
            parts.update(number)
            return rest.split()
        return words

    def _without_brackets(self, text: str, parts: Parts) -> tuple[str, bool]:
        """The text without brackets, and whether a remark went with them; places become parts, units stay."""
        remark = False

        def stays(found: re.Match[str]) -> str:
            nonlocal remark
            inner = found[1].strip().upper()
            words = inner.replace("#", "# ").split()
            if inner in _IN_BRACKETS or (len(words) > 1 and self._units.take(words, {}) == len(words)):
                return f" {found[1]} "
            remark = not self._take_place(inner, parts) or remark
            return " "

        return _BRACKETS.sub(stays, text).strip(), remark

    def _take_place(self, capitals: str, parts: Parts) -> bool:
        """Put a known village or town among the parts."""
        if capitals in self._villages:
            parts["a4"] = self._villages[capitals]
        elif capitals in self._towns:
            parts["post_comm"] = self._towns[capitals]
        else:
            return False
        return True

    def _without_tail(self, text: str, parts: Parts) -> str:
        """The text without ZIP code, State, and the village or postal city before them, which become parts."""
        if (found := _ZIP.search(text)) and self._streets.street_end(_capitals(text[: found.start()])):
            parts["post_code"] = found[1]
            if found[2]:
                parts["postcodeex"] = found[2]
            text = text[: found.start()].rstrip(" ,")
        if found := _STATE.search(text):
            before = text[: found.start()].rstrip(" ,")
            # CT is Court behind a name, and Connecticut behind a comma, a whole street or a town.
            first, comma, last = before.partition(",")
            sure = found["comma"] or found["state"].upper() != "CT" or self._is_whole(first) or self._goes_on(before)
            if sure or (comma and ("post_code" in parts or self._take_place(last.strip().upper(), {}))):
                text = before
        *before_last, last = (piece.strip() for piece in text.split(","))
        if not before_last:
            return self._without_place(text, parts)
        if self._take_place(last.upper(), parts):
            return ", ".join(before_last)
        if self._may_be_place(last.upper().split()):
            parts.setdefault("post_comm", cased(last.split()))
            return ", ".join(before_last)
        return text

    def _goes_on(self, text: str) -> bool:
        """Whether words follow behind a street that ends in its type."""
        capitals = _capitals(text)
        end = self._streets.street_end(capitals)
        return self._has_road(text) and 0 < end < len(capitals) and capitals[end][0].isalpha()

    def _may_be_place(self, words: Sequence[str]) -> bool:
        """Whether words behind a comma may be a place that nobody told us of."""
        return (
            "".join(words).replace("'", "").isalpha()
            and len("".join(words)) > 2
            and not any(map(self._units.code, words))
            and not any(map(self._streets.is_road, words[1:]))
            and not (len(words) == 1 and words[0] in self._streets.directions)
        )

    def _without_place(self, text: str, parts: Parts) -> str:
        """The text without a known place at its end, where what stands before it is a whole street."""
        words = text.split(" ")
        for start in range(max(1, len(words) - 4), len(words)):
            name = " ".join(words[start:]).upper()
            if (name in self._villages or name in self._towns) and self._is_whole(" ".join(words[:start])):
                self._take_place(name, parts)
                return " ".join(words[:start])
        return text

    def _is_whole(self, text: str) -> bool:
        """Whether the text is a street with its type, alone or with a unit or a known place behind it."""
        capitals = _capitals(text.replace("#", " # "))
        for start in range(1, len(capitals)):
            if self._take_place(" ".join(capitals[start:]), {}) and self._is_whole(" ".join(capitals[:start])):
                return True
        end = self._street_end(capitals)
        return self._is_street(capitals[:end]) and end + self._units.take(capitals[end:], {}) == len(capitals)

    def _second_street(self, text: str, has_number: bool) -> int:
        """Where the first of two streets ends, 0 where there is one."""
        for found in _BETWEEN.finditer(text):
            left, right = _capitals(text[: found.start()]), _capitals(text[found.end() :])
            if not left or not right or not right[0].isalpha() or self._units.code(right[0]):
                continue
            unnumbered = not has_number and (found[0].strip() in "/@" or self._is_street(right))
            if unnumbered or (self._is_street(left) and self._streets.street_end(left) == len(left)):
                return found.start()
        return 0

    def _is_street(self, capitals: Sequence[str]) -> bool:
        """Whether there is a numbered route or a word in it that only streets have."""
        return self._streets.route_length(capitals) > 0 or any(map(self._streets.is_road, capitals[1:]))

    def _has_road(self, text: str) -> bool:
        return any(map(self._streets.is_road, _capitals(text)[1:]))

    def _street_end(self, capitals: Sequence[str]) -> int:
        """How many words are the street: up to its type and what belongs to it, to a unit's word, or all of them."""
        if self._streets.route_length(capitals):
            return self._streets.street_end(capitals)
        for place in range(1, len(capitals)):
            if capitals[place] == ",":
                if self._streets.street_end(capitals[:place]) == place:
                    return place
            elif self._units.begins(capitals, place):
                road_ahead = any(map(self._streets.is_road, capitals[1:place]))
                road_behind = any(map(self._streets.is_road, capitals[place + 1 :]))
                plain = self._units.is_plain(capitals, place)
                # Front St and Office Park Dr are names; so is Suite La.
                if (road_ahead and (plain or not road_behind)) or (plain and not road_behind):
                    return self._streets.street_end(capitals[:place]) or place
        return self._streets.street_end(capitals) or len(capitals)

    def _place_behind(self, words: Sequence[str], left: Sequence[str], parts: Parts) -> bool:
        """Whether usaddress too ends the street where we do and sees a place in what is left, which becomes a part."""
        if len("".join(left)) < len("Avon") or not "".join(left).isalpha():
            return False
        import usaddress  # slow to load, and few lines need it

        try:
            tagged, kind = usaddress.tag(" ".join(["12", *words, *left]))
        except usaddress.RepeatedLabelError:
            return False
        place = tagged.get("PlaceName", "")
        street = " ".join(tagged[label] for label in _STREET_LABELS if label in tagged)
        if kind != "Street Address" or not " ".join(words).startswith(street) or place != " ".join(left):
            return False
        parts.setdefault("post_comm", cased(left))
        return True


def read_number(text: str) -> Parts:
    """The parts of a house number that stands alone (12A, 12 1/2, 12-14), but for the whole; none where it is none."""
    found = _NUMBER.fullmatch(text.strip())
    return _number_parts(found, found["suffix"]) if found and 0 < int(found["number"]) <= _HIGHEST else {}


def _street_parts(street: Street) -> Parts:
    return {name: value for name, value in street._asdict().items() if value is not None and name != "kind"}


def _number_parts(found: re.Match[str], suffix: str | None) -> Parts:
    parts: Parts = {"add_number": int(found["number"])}
    if found["prefix"]:
        parts["addnum_pre"] = found["prefix"].strip("-").upper()
    half = (found["half"] or "").strip("- ")
    if tail := _DECIMALS.get(half, half) or (suffix or "").strip("- ").upper():
        parts["addnum_suf"] = tail
    return parts


def _capitals(text: str) -> list[str]:
    return [word.rstrip(".,").upper() for word in text.split() if word != ","]
