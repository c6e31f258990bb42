"""The environment, read once and nowhere else.

===============================  =================================================================
``STATEWIDE_DATABASE_URL``       libpq URL of the database's owner; else the private cluster's, see ``scripts/up``
``STATEWIDE_HOME``               where originals, reports and secrets are; default ``.statewide`` beside ``schemas/``
``STATEWIDE_KEEP_CONFIDENTIAL``  1 keeps owners and mailing addresses in the schema ``confidential``; default: stripped
===============================  =================================================================
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from statewide.errors import DatabaseUnavailable, PlatformError

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Settings:
    """Where things are on this machine."""

    home: Path
    database_url: str | None = field(repr=False)  # it carries the owner's password
    keep_confidential: bool = False

    @property
    def store(self) -> Path:
        """Original bytes of every delivery, by SHA-256."""
        return self.home / "store"

    @property
    def reports(self) -> Path:
        """One folder per submission."""
        return self.home / "reports"

    def make_folders(self) -> None:
        """Make the folders for originals and reports; only their owner may enter, for originals may name persons."""
        for folder in (self.store, self.reports):
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as error:
                raise PlatformError(f"The folder {folder} cannot be made: {error.strerror}.") from error

    def require_database_url(self) -> str:
        """The owner's URL.

        Raises:
            DatabaseUnavailable: none is configured and no private cluster was made.
        """
        if self.database_url:
            return self.database_url
        raise DatabaseUnavailable(
            "No database is configured: run scripts/up, or set STATEWIDE_DATABASE_URL to a PostGIS database."
        )

    def role_password(self, role: str) -> str:
        """The password of one of our login roles, made on first use and kept for the owner's eyes only."""
        path = self.home / "secrets.json"
        known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        if role not in known:
            known[role] = secrets.token_urlsafe(24)
            self.home.mkdir(parents=True, exist_ok=True)
            # Written beside and moved: a server that starts meanwhile must not read half a file.
            partial = path.with_name(f"{path.name}.{os.getpid()}")
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
                json.dump(known, handle)
            partial.replace(path)
        return known[role]


def load_settings() -> Settings:
    """Read the environment."""
    home = Path(os.environ.get("STATEWIDE_HOME") or ROOT / ".statewide").resolve()
    url = os.environ.get("STATEWIDE_DATABASE_URL")
    if not url:
        written_by_up = home / "pg" / "url"
        url = written_by_up.read_text().strip() if written_by_up.exists() else None
    keep = os.environ.get("STATEWIDE_KEEP_CONFIDENTIAL") == "1"
    return Settings(home=home, database_url=url, keep_confidential=keep)
