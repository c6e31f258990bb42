"""The report folder of a delivery: `report.html` for people, `report.json`, `findings.csv` and `findings.gpkg`.

A folder stands whole or not at all. `statewide.report_page` decides what the page says, `statewide.report_files`
writes the others.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from statewide.errors import BadArgument, StorageFull, no_room
from statewide.findings import Finding, FindingLog
from statewide.meeting import KeyTried
from statewide.report_files import PlacedFindings, place_findings, write_csv, write_gpkg, write_json
from statewide.report_input import Against, CrsTried, ReportInput
from statewide.report_page import draw_page, versions

__all__ = ["Against", "CrsTried", "KeyTried", "ReportInput", "write_report"]

_LISTED, _LISTED_IN_ALL = 4_000, 20_000
"""Findings that the files list, of one check and in all; a file at fault in every row would fill a disk otherwise."""


def write_report(folder: Path, report: ReportInput) -> AbstractContextManager[None]:
    """Write the four files beside the folder; when the block ends well they move in, when it does not, they go.

    The folder appears whole, or its files are replaced one by one.

    Raises:
        BadArgument: the folder is a file, or may not be written; said before the block begins.
        StorageFull: no room.
    """
    return _moving_in(folder, report.summary["submission"], lambda partial: _write_files(partial, report))


def copy_report(folder: Path, submission: str, earlier: Path) -> AbstractContextManager[None]:
    """The same with the files of an earlier report.

    Raises:
        BadArgument, StorageFull: as `write_report`.
    """

    def copy(partial: Path) -> None:
        for file in earlier.iterdir():
            shutil.copyfile(file, partial / file.name)

    return _moving_in(folder, submission, copy)


@contextmanager
def _moving_in(folder: Path, submission: str, write: Callable[[Path], None]) -> Iterator[None]:
    folder = folder.absolute()
    partial = folder.with_name(f".{folder.name}.{submission}")
    try:
        with _told(folder):
            if folder.exists() and not folder.is_dir():
                raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
                raise OSError(errno.EACCES, os.strerror(errno.EACCES))
            partial.mkdir(parents=True)
            write(partial)
        yield
        with _told(folder):
            if folder.is_dir():
                # Other files may live there too, so they stay. The page comes last: it links to the others.
                for file in sorted(partial.iterdir(), key=lambda path: path.suffix == ".html"):
                    file.replace(folder / file.name)
            else:
                partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Turn what went wrong with the disk into the sentence for whoever named the folder."""
    try:
        yield
    except OSError as error:
        if no_room(error):
            raise StorageFull("There is no room to write the report.") from error
        raise BadArgument(f"The report cannot be written to {folder}: {error.strerror}.") from error


def _write_files(folder: Path, report: ReportInput) -> None:
    standard = report.log.standard
    placed = [
        place_findings(
            _listed(part.log),
            standard,
            dataset=part.dataset,
            row_no=part.row_no,
            row_shapes=part.row_shapes(),
            label=part.label,
        )
        for part in report.parts
    ]
    everything = PlacedFindings.joined(placed)
    head = {
        **_head(report),
        "others": [_head(other) for other in report.others],
        **versions(report),
        "isolation": report.isolation,
    }
    write_json(folder / "report.json", head, everything)
    write_csv(folder / "findings.csv", everything, report.label_field)
    write_gpkg(folder / "findings.gpkg", everything, report.label_field, standard.header.storage_crs)
    (folder / "report.html").write_text(draw_page(report, placed), encoding="utf-8")


def _listed(log: FindingLog) -> list[Finding]:
    """The gravest first, of each check at least one and at most as many as are listed."""
    seen: Counter[str] = Counter()
    listed: list[Finding] = []
    for finding in log.sorted():
        seen[finding.code] += 1
        if seen[finding.code] <= _LISTED and (len(listed) < _LISTED_IN_ALL or seen[finding.code] == 1):
            listed.append(finding)
    return listed


def _head(report: ReportInput) -> dict[str, Any]:
    """What the page tells of one dataset, without its findings."""
    return {
        **{name: value for name, value in report.summary.items() if name != "report"},
        "received_at": report.received_at.isoformat(),
        "accepted": report.accepted,
        "columns": report.columns,
        "scores": [vars(score) for score in report.scores],
        "score": report.score.as_dict() if report.score else None,
        "completeness": {name: {"now": now, "before": before} for name, (now, before) in report.completeness.items()},
        "against": asdict(report.against) if report.against else None,
        "lineage": {
            kind: {"count": count, "examples": list(report.lineage_examples.get(kind, ()))}
            for kind, count in report.lineage.items()
        },
        "crs_tried": [asdict(tried) for tried in report.crs_tried],
        "keys_tried": [asdict(tried) for tried in report.keys_tried],
    }
