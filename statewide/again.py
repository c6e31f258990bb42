"""The very same delivery once more: what was found then holds now, so it need not be walked through again.

Only where all that it was judged by is the same: the files to the bit, the law, the software with its reviewed
mappings, what is live of the town and what was learnt of its columns, and what the sender asks for. What neighbour
towns published since is told by the register of town lines.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from statewide import ledger
from statewide.database import Connection
from statewide.standard import Standard

_IN_TOWN = """
SELECT p.dataset, p.publication_id::text, p.year, k.mapping, k.join_key
FROM statewide.publication AS p
LEFT JOIN statewide.crosswalk AS k USING (cousub_fips, dataset)
WHERE p.cousub_fips = %s
ORDER BY p.dataset
"""

_LAST = """
SELECT p.cousub_fips, p.basis, s.submission_no, s.summary
FROM statewide.publication AS p
JOIN statewide.submission AS s USING (submission_id)
WHERE p.dataset = %s AND s.file_sha256 = %s AND p.basis IS NOT NULL
ORDER BY p.cousub_fips
"""


@dataclass(frozen=True)
class Asked:
    """What a delivery is judged by beside its files: datasets, what the sender asks, and the folders of the rooms."""

    datasets: Sequence[str]
    options: Mapping[str, Any]
    rooms: Sequence[Path]


@dataclass(frozen=True)
class Earlier:
    """The submission of each dataset that led to what is live: its summary, and where its report stands."""

    town: str
    summaries: Sequence[dict[str, Any]]
    number: int
    report: Path


def basis_of(connection: Connection, town: str, asked: Asked) -> str:
    """Digest of all that a delivery of the town is judged by, beside its files."""
    live = connection.execute(_IN_TOWN, [town]).fetchall()
    said = json.dumps([town, list(asked.datasets), dict(asked.options), live, _installed(asked.rooms)], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def find_earlier(
    connection: Connection, standard: Standard, reports: Path, asked: Asked, digests: Sequence[str], town: str | None
) -> Earlier | None:
    """The delivery that is live, if it is of these very files, by their SHA-256, and nothing else has changed."""
    last = connection.execute(_LAST, [asked.datasets[0], digests[0]]).fetchall()
    for fips, basis, number, first in last:
        if town not in (None, fips):
            continue
        summaries = [first]
        for dataset, digest in zip(asked.datasets[1:], digests[1:], strict=True):
            summaries += [row[3] for row in connection.execute(_LAST, [dataset, digest]).fetchall() if row[0] == fips]
        report = reports / _walked(first)
        whole = len(summaries) == len(digests) and (report / "report.html").is_file()
        if whole and not _beside_live(standard, summaries) and basis == basis_of(connection, fips, asked):
            return Earlier(fips, summaries, number, report)
    return None


def once_more(earlier: Earlier, submissions: Sequence[str], *, dry: bool) -> list[dict[str, Any]]:
    """The summaries of the same delivery again: what it found, and that nothing is written."""
    summaries = []
    for before, submission in zip(earlier.summaries, submissions, strict=True):
        rows = before["rows"]
        nothing = dict.fromkeys(("added", "changed", "removed", "followed", "within_tolerance"), 0)
        summaries.append(
            before
            | {
                "submission": submission,
                "outcome": "ok" if dry else "unchanged",
                "dry": dry,
                "rows": rows | nothing | {"unchanged": rows["published"]},
                "lineage": {},
                "largest_shift_ft": 0.0,
                "same_as": {"walked": _walked(before), "number": earlier.number},
            }
        )
    return summaries


def record_again(
    connection: Connection,
    standard: Standard,
    earlier: Earlier,
    summaries: Sequence[Mapping[str, Any]],
    received_at: Any,
    accepted: Mapping[str, str],
) -> None:
    """Record the same delivery as a submission of its own, with the findings and the ledger of the earlier one."""
    for before, summary in zip(earlier.summaries, summaries, strict=True):
        ledger.record_submission(
            connection, summary, received_at=received_at, accepted=accepted, standard_version=standard.header.version
        )
        ledger.record_as(connection, summary["submission"], before["submission"])
        ledger.record_publication(connection, summary, renew=False, publication_id=summary["submission"])


def remember_basis(connection: Connection, town: str, asked: Asked) -> None:
    """Note what the delivery that was just recorded was judged by."""
    connection.execute(
        "UPDATE statewide.publication SET basis = %s WHERE cousub_fips = %s AND dataset = ANY(%s)",
        [basis_of(connection, town, asked), town, list(asked.datasets)],
    )


def _walked(summary: Mapping[str, Any]) -> str:
    """The submission whose walk the summary tells of."""
    return str(summary.get("same_as", {}).get("walked") or summary["submission"])


def _beside_live(standard: Standard, summaries: Sequence[Mapping[str, Any]]) -> bool:
    """Whether something was found by looking at what was live then, which the delivery has replaced."""
    codes = {code for summary in summaries for code in summary["findings"]}
    return any(code not in standard.checks or standard.checks[code].level == "history" for code in codes)


def _installed(rooms: Sequence[Path]) -> list[tuple[str, int, int]]:
    """Every file of the law, of the hall and of these rooms, with its size and time."""
    hall = Path(__file__).parent
    folders = dict.fromkeys([hall, hall.parent / "schemas", *rooms])
    return [found for folder in folders for found in sorted(_files_in(str(folder), folder.name))]


def _files_in(folder: str, name: str) -> Iterator[tuple[str, int, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith((".py", ".yml", ".csv", ".sql", ".geojson", ".j2")):
                stat = entry.stat()
                yield f"{name}/{entry.name}", stat.st_size, stat.st_mtime_ns
            elif entry.is_dir(follow_symlinks=False):
                yield from _files_in(entry.path, f"{name}/{entry.name}")
