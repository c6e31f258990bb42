"""`statewide build`: write anew every file that derives from ``schemas/``, or say which of them have drifted.

The texts are made by pure functions of the standard; this module only knows where each of them belongs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from statewide.ddl import render_ddl, render_views
from statewide.dictionary import render_dictionary
from statewide.feature_schema import feature_schema
from statewide.publish.collections import render_config
from statewide.standard import Standard, read_standard

GENERATED = "schemas/generated"
CONFIG = "pygeoapi-config.yml"


def build(root: Path, check: bool) -> list[str]:
    """Bring the derived files of a checkout up to date with its ``schemas/``.

    A file of ``schemas/generated`` that nothing makes any more is deleted. Of the pygeoapi configuration only the
    part between its two markers is made anew.

    Args:
        root: the checkout.
        check: write and delete nothing.

    Returns:
        Paths, relative to `root`, that were not as they should be.

    Raises:
        LawError: a file of ``schemas/`` breaks its own rules.
    """
    standard = read_standard(root / "schemas")
    wanted = dict(_derived(standard))
    wanted[CONFIG] = render_config((root / CONFIG).read_text(encoding="utf-8"), standard)
    there = {path.relative_to(root).as_posix() for path in (root / GENERATED).glob("*") if path.is_file()}
    drifted = []
    for name in sorted(wanted.keys() | there):
        path, text = root / name, wanted.get(name)
        if text is None:
            drifted.append(name)
            if not check:
                path.unlink()
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            drifted.append(name)
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8", newline="\n")
    return drifted


def _derived(standard: Standard) -> Iterator[tuple[str, str]]:
    yield f"{GENERATED}/dictionary.md", render_dictionary(standard)
    yield f"{GENERATED}/ddl.sql", render_ddl(standard)
    yield f"{GENERATED}/views.sql", render_views(standard)
    for table in standard.published_tables:
        schema = json.dumps(feature_schema(standard, table), indent=2, ensure_ascii=False)
        yield f"{GENERATED}/{table.name}.schema.json", schema + "\n"
