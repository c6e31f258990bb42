"""Our address parser against usaddress and usaddress-scourgify, by part, and how fast each is.

The labelled strings are invented, in the forms that Connecticut's towns write. The peers' answers are put into NENA's
columns and spelt out in full words, so that no one is marked down for a spelling. A part is right or wrong in the rows
in which the label or the answer has it; a string that cannot be parsed is right when it is held.

    scripts/bench address_parsing [--real] [--data ../shared/data] [--misses]
"""

from __future__ import annotations

import argparse
import collections
import csv
import itertools
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import usaddress
from scourgify.exceptions import AddressNormalizationError
from scourgify.normalize import normalize_address_components, parse_address_string, pre_clean_addr_str

from addresses.parsing import label, parse_addresses
from statewide.standard import Standard, load_standard

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
LABELLED = ROOT / "tests" / "addresses" / "labelled_addresses.csv"
PARTS = (
    "addnum_pre", "add_number", "addnum_suf", "addnum_cmp", "st_premod", "st_predir", "st_pretyp", "st_presep",
    "st_name", "st_postyp", "st_posdir", "st_posmod", "structure", "floor", "room", "unitpretyp", "unitvalue", "a4",
    "post_comm", "post_code",
)  # fmt: skip
NOT_HELD = ("", "no_number")
NOTHING_TO_READ = ("not_an_address", "po_box")
"""Of these only that they are held is compared: their parts would be a guess."""

Answer = dict[str, str]
Row = dict[str, str]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--real", action="store_true", help="parse the real parcels' locations as well")
    arguments.add_argument("--data", type=Path, default=DATA, help="folder of the real data")
    arguments.add_argument("--misses", action="store_true", help="list our misses in the rows that are not held out")
    chosen = arguments.parse_args()
    standard = load_standard()
    with LABELLED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    peers = Peers(standard)
    answers = {
        "ours": ours(standard, rows),
        "usaddress": [peers.read(row, usaddress_tags) for row in rows],
        "scourgify": [peers.read(row, scourgify_tags) for row in rows],
    }
    tell_accuracy(rows, answers)
    if chosen.misses:
        for row, answer in zip(rows, answers["ours"], strict=True):
            if not row["held_out"] and (wrong := [part for part in compared(row) if not right(row, answer, part)]):
                print(f"  {row['text']:<44} {', '.join(f'{part}={answer.get(part)!r}' for part in wrong)}")
    tell_speed(standard, [row["text"] for row in rows])
    if chosen.real:
        tell_real(standard, chosen.data)


def ours(standard: Standard, rows: Sequence[Row]) -> list[Answer]:
    """Our answers; rows of one list of villages go in together."""
    answers: list[Answer] = [{} for _ in rows]
    for villages in {row["villages"] for row in rows}:
        places = [place for place, row in enumerate(rows) if row["villages"] == villages]
        texts = pa.array([rows[place]["text"] for place in places])
        parsed = parse_addresses(standard, texts, list(filter(None, villages.split("|"))))
        for place, parts, held in zip(places, parsed.parts.to_pylist(), parsed.held.tolist(), strict=True):
            answers[place] = {name: str(parts[name]) for name in PARTS if parts[name] is not None}
            answers[place]["held"] = "yes" if held else ""
    return answers


def usaddress_tags(text: str) -> Mapping[str, str] | None:
    """The parts by usaddress; None where it gives up or says that it is no street address."""
    try:
        tags, kind = usaddress.tag(text)
    except usaddress.RepeatedLabelError:
        return None
    return None if kind in ("PO Box", "Intersection") else tags


def scourgify_tags(text: str) -> Mapping[str, str] | None:
    """The parts by scourgify: usaddress with its cleaning before and after."""
    try:
        return normalize_address_components(parse_address_string(pre_clean_addr_str(text)))
    except (AddressNormalizationError, usaddress.RepeatedLabelError):
        return None


class Peers:
    """Puts tags of usaddress into NENA's columns, in the law's words."""

    def __init__(self, standard: Standard) -> None:
        codes = {name: each.lookup() for name, each in standard.code_lists.items()}
        self._types = codes["street_type"] | {"cr": "Circle", "tr": "Terrace"}
        self._directions = codes["directional"]
        self._units = codes["unit_type"] | codes["unit_alone"]
        self._separators = codes["st_pre_separator"]

    def read(self, row: Row, tagged: Callable[[str], Mapping[str, str] | None]) -> Answer:
        """The answer to one labelled row."""
        tags = tagged(row["text"])
        if tags is None or not any(name.startswith("StreetName") for name in tags):
            return {"held": "yes"}
        answer = {"held": ""}
        self._number(tags, answer)
        self._street(tags, answer)
        for kind, value in (("SubaddressType", "SubaddressIdentifier"), ("OccupancyType", "OccupancyIdentifier")):
            self._unit(tags.get(kind, ""), tags.get(value, ""), answer)
        if place := tags.get("PlaceName", "").strip(" ,()"):
            villages = row["villages"].casefold().split("|")
            answer["a4" if place.casefold() in villages else "post_comm"] = place
        if code := tags.get("ZipCode"):
            answer["post_code"] = code[:5]
        return answer

    def _number(self, tags: Mapping[str, str], answer: Answer) -> None:
        number = tags.get("AddressNumber", "").strip(" ,")
        suffix = tags.get("AddressNumberSuffix", "")
        found = re.match(r"#?\s*([A-Za-z]?)-?0*(\d+)(.*)", number)
        if not found or found[2] == "0":
            return
        answer["add_number"] = found[2]
        answer["addnum_pre"] = tags.get("AddressNumberPrefix", "") or found[1]
        answer["addnum_cmp"] = " ".join(filter(None, (number.strip("#- "), suffix)))
        rest = suffix or found[3].strip("- ")
        rest = {".5": "1/2", "½": "1/2"}.get(rest, rest)
        if re.fullmatch(r"[A-Za-z]|\d/\d", rest):
            answer["addnum_suf"] = rest.upper()

    def _street(self, tags: Mapping[str, str], answer: Answer) -> None:
        full = {
            "st_premod": tags.get("StreetNamePreModifier"),
            "st_predir": self._full(self._directions, tags.get("StreetNamePreDirectional")),
            "st_name": tags.get("StreetName"),
            "st_posdir": self._full(self._directions, tags.get("StreetNamePostDirectional")),
            "st_posmod": self._full(self._types, tags.get("StreetNamePostModifier")),
        }
        if not full["st_name"]:
            full["st_name"] = full.pop("st_predir")
        answer.update({name: value for name, value in full.items() if value})
        before, _, separator = (tags.get("StreetNamePreType") or "").partition(" ")
        if separator.casefold() in self._separators:
            answer["st_presep"] = separator
        else:
            before = f"{before} {separator}".strip()
        if before:
            answer["st_pretyp"] = self._full(self._types, before)
        behind = (tags.get("StreetNamePostType") or "").split()
        if len(behind) > 1 and self._full(self._types, behind[-1]) == "Extension":
            answer["st_posmod"] = "Extension"
            del behind[-1]
        if behind:
            answer["st_postyp"] = self._full(self._types, " ".join(behind))

    def _unit(self, word: str, value: str, answer: Answer) -> None:
        value = value.replace("#", "").strip(" ,()")
        code = self._full(self._units, word) if word.strip(" #,") else self._units.get(value.casefold(), "Unit")
        if not word and not value:
            return
        if code == self._units.get(value.casefold()):
            value = ""
        if column := {"Building": "structure", "Floor": "floor", "Room": "room"}.get(code):
            answer[column] = f"{code} {re.sub(r'(?<=[0-9])(ST|ND|RD|TH)$', '', value)}"
        else:
            answer["unitpretyp"] = code
            answer["unitvalue"] = value

    def _full(self, codes: Mapping[str, str], word: str | None) -> str:
        bare = (word or "").strip(" ,.#()").casefold()
        return codes.get(bare, bare)


def right(row: Row, answer: Answer, part: str) -> bool:
    """Whether the answer gives what the label says, however cased and punctuated."""
    if part == "held":
        return (answer["held"] == "yes") == (row["reason"] not in NOT_HELD)
    return _key(row[part]) == _key(answer.get(part, ""))


def _key(value: str) -> str:
    return re.sub(r"[.,']", "", value).casefold()


def compared(row: Row) -> tuple[str, ...]:
    """What counts in a row."""
    return ("held",) if row["reason"] in NOTHING_TO_READ else (*PARTS, "held")


def tell_accuracy(rows: Sequence[Row], answers: Mapping[str, Sequence[Answer]]) -> None:
    """One table: accuracy by part, then of whole rows, of all and of those held out."""
    unseen = [bool(row["held_out"]) for row in rows]
    print(f"{len(rows)} labelled strings, {sum(unseen)} held out while our rules were made\n")
    print(f"{'':<14}{'rows':>6}" + "".join(f"{name:>12}" for name in answers))
    for part in PARTS:
        having = sum(bool(row[part]) for row in rows if part in compared(row))
        shares = [accuracy(rows, each, part) for each in answers.values()]
        print(f"{part:<14}{having:>6}" + "".join(f"{share:>12.1%}" for share in shares))
    whole = {name: [is_whole(*pair) for pair in zip(rows, each, strict=True)] for name, each in answers.items()}
    held = {name: [right(*pair, "held") for pair in zip(rows, each, strict=True)] for name, each in answers.items()}
    for title, judged, chosen in (
        ("held or not", held, [True] * len(rows)),
        ("whole row", whole, [True] * len(rows)),
        ("  seen", whole, [not each for each in unseen]),
        ("  held out", whole, unseen),
    ):
        shares = [sum(itertools.compress(each, chosen)) / sum(chosen) for each in judged.values()]
        print(f"{title:<14}{sum(chosen):>6}" + "".join(f"{share:>12.1%}" for share in shares))


def is_whole(row: Row, answer: Answer) -> bool:
    """Whether everything that counts in a row is right."""
    return all(right(row, answer, part) for part in compared(row))


def accuracy(rows: Sequence[Row], answers: Sequence[Answer], part: str) -> float:
    """The share that is right of the rows in which the label or the answer has the part."""
    judged = [
        right(row, answer, part)
        for row, answer in zip(rows, answers, strict=True)
        if part in compared(row) and (row[part] or answer.get(part))
    ]
    return sum(judged) / len(judged) if judged else 1.0


def tell_speed(standard: Standard, labelled: Sequence[str]) -> None:
    """Addresses a second of ours and of `usaddress.tag` in the same run, by the processor's time of all threads."""
    chance = random.Random(4)
    distinct = list(dict.fromkeys(town_roll(chance, 150_000)))
    repeated = chance.choices(distinct[:40_000], k=150_000)
    quirks = list(dict.fromkeys(re.sub(r"\d+", lambda _: str(chance.randint(1, 9999)), text) for text in labelled * 40))
    print("\nAddresses a second on one core       ours   usaddress.tag   ratio")
    for title, texts in (
        ("a roll, all distinct", distinct),
        ("a roll, each about four times", repeated),
        ("the labelled forms, all distinct", quirks),
    ):
        column = pa.array(texts)
        start = time.process_time()
        parse_addresses(standard, column)
        speed = len(texts) / (time.process_time() - start)
        sample = chance.sample(texts, 3000)
        start = time.process_time()
        for text in sample:
            usaddress_tags(text)
        peer = len(sample) / (time.process_time() - start)
        print(f"  {title:<32} {speed:>8,.0f} {peer:>15,.0f} {speed / peer:>7.1f}")


def town_roll(chance: random.Random, rows: int) -> Iterator[str]:
    """Invented addresses in the mix of an assessor's file: most plain, one in six with a unit, some odd."""
    syllables = ("bram", "cor", "dun", "fen", "gar", "hol", "kes", "lan", "mar", "nor", "pen", "quill", "rav", "tam")
    types = ("ST", "ST", "RD", "RD", "AVE", "LN", "DR", "CT", "PL", "TER", "CR", "HILL RD")
    streets = [f"{''.join(chance.choices(syllables, k=2)).upper()} {chance.choice(types)}" for _ in range(2000)]
    streets += [f"{direction} {street}" for direction, street in zip("NSEW" * 25, streets, strict=False)]
    for _ in range(rows):
        number, street, form = chance.randint(1, 999), chance.choice(streets), chance.random()
        if form < 0.8:
            yield f"{number} {street}"
        elif form < 0.92:
            yield f"{number} {street} #{chance.randint(1, 400)}"
        elif form < 0.95:
            yield f"{number} {street} {chance.choice(('REAR', 'APT 2B', 'EXT'))}"
        elif form < 0.98:
            yield f"{number}-{number + 2} {street}"
        else:
            yield f"{number} {street}, NEW LONDON CT 06320"


def tell_real(standard: Standard, data: Path) -> None:
    """How much of the real parcels' locations is parsed, and what most often is not."""
    towns = pq.read_table(data / "ct-parcels-2025-sample" / "ct_parcels_6_towns_wgs84.parquet", columns=["Location"])
    hamden = data / "ct-west-hartford-hamden-parcels" / "hamden" / "data" / "data.csv"
    with hamden.open(encoding="utf-8-sig", newline="") as file:
        addresses = pa.array([row["siteaddres"] for row in csv.DictReader(file)])
    for title, column in (("six towns", towns.column("Location").combine_chunks()), ("Hamden", addresses)):
        start = time.perf_counter()
        parsed = parse_addresses(standard, column)
        took = time.perf_counter() - start
        reasons = parsed.reason.to_pylist()
        empty = sum(reason == "no_text" for reason in reasons) + column.null_count
        given = len(column) - empty
        held = int(parsed.held.sum())
        print(f"\n{title}: {len(column):,} rows, {empty:,} without a location; {took * 1000:.0f} ms")
        print(f"  of {given:,} locations: parsed {given - held:,} ({(given - held) / given:.2%}), held {held:,}")
        print(f"  of the parsed, {sum(reason == 'no_number' for reason in reasons):,} have no house number")
        guesses = label(parsed.parts).to_pylist()
        failures = collections.Counter(
            (text.strip(), guess, why)
            for text, guess, why, is_held in zip(
                column.to_pylist(), guesses, parsed.why.to_pylist(), parsed.held.tolist(), strict=True
            )
            if is_held
        )
        for (text, guess, why), rows in failures.most_common(50):
            print(f"  {rows:>4}  {text:<34} {why}; guess: {guess}")


if __name__ == "__main__":
    main()
