"""Who may use this daemon from another machine or a browser: clients, each with a token of its own, and invitations to
become one. Only hashes of tokens and codes are stored: both are random and long, so a plain sha256 is enough."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import Any

from daemon.ledger.database import Database

INVITED_FOR = 600.0  # seconds that a code can be used, once
SEEN_EVERY = 60.0  # seconds between two writes of when a client was seen
CODE, TOKEN = 12, 32  # random bytes


@dataclass(frozen=True)
class PairedClient:
    """``full``: it may act on all Jobs, and not only on those that it sent. Times are Unix seconds."""

    id: int
    name: str
    full: bool
    paired_at: float
    seen_at: float


class Clients:
    """Every method raises a LedgerError if SQLite fails."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = database.sql

    def invite(self, *, full: bool) -> str:
        """A code with which one client can pair, within ten minutes."""
        code, now = secrets.token_urlsafe(CODE), time.time()
        self._sql("DELETE FROM invitations WHERE until <= ?", (now,))
        self._sql("INSERT INTO invitations VALUES (?, ?, ?)", (_hash(code), full, now + INVITED_FOR))
        return code

    def pair(self, code: str, name: str) -> tuple[PairedClient, str] | None:
        """The new client and its token. None if nobody was invited with this code, or if it was used or is too old."""
        token, now = secrets.token_urlsafe(TOKEN), time.time()
        with self._database.transaction():
            invited = self._sql(
                "DELETE FROM invitations WHERE code = ? AND until > ? RETURNING complete", (_hash(code), now)
            )
            if not invited:
                return None
            rows = self._sql(
                "INSERT INTO clients (name, token, complete, paired_at, seen_at) VALUES (?, ?, ?, ?, ?) RETURNING *",
                (name, _hash(token), invited[0]["complete"], now, now),
            )
        return _client_of(rows[0]), token

    def by_token(self, token: str) -> PairedClient | None:
        rows = self._sql("SELECT * FROM clients WHERE token = ?", (_hash(token),))
        return _client_of(rows[0]) if rows else None

    def see(self, client: PairedClient) -> None:
        """It has just asked for something."""
        now = time.time()
        self._sql("UPDATE clients SET seen_at = ? WHERE id = ? AND seen_at < ?", (now, client.id, now - SEEN_EVERY))

    def all(self) -> list[PairedClient]:
        """In the order in which they paired."""
        return [_client_of(row) for row in self._sql("SELECT * FROM clients ORDER BY id")]

    def remove(self, number: int) -> PairedClient | None:
        """Its token is refused from now on. Returns None if there is no such client."""
        rows = self._sql("DELETE FROM clients WHERE id = ? RETURNING *", (number,))
        return _client_of(rows[0]) if rows else None

    def own(self, client: PairedClient, job: int, ticket: str | None = None) -> None:
        """It has sent this Job's photo, and calls the Job ``ticket``."""
        self._sql("INSERT INTO owners VALUES (?, ?, ?)", (job, client.id, ticket))

    def with_ticket(self, client: PairedClient, ticket: str) -> int | None:
        """The number of the Job that it calls so."""
        rows = self._sql("SELECT job FROM owners WHERE client = ? AND ticket = ?", (client.id, ticket))
        return int(rows[0]["job"]) if rows else None

    def forget(self, job: int) -> None:
        """Its ticket is free again: the picture is gone."""
        self._sql("UPDATE owners SET ticket = NULL WHERE job = ?", (job,))

    def owners(self) -> dict[int, int]:
        """The clients' numbers by those of the Jobs whose photos they have sent."""
        return {row["job"]: row["client"] for row in self._sql("SELECT job, client FROM owners")}

    def owner(self, job: int) -> int | None:
        """The number of the client that has sent this Job's photo."""
        rows = self._sql("SELECT client FROM owners WHERE job = ?", (job,))
        return int(rows[0]["client"]) if rows else None


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _client_of(row: Any) -> PairedClient:
    return PairedClient(row["id"], row["name"], bool(row["complete"]), row["paired_at"], row["seen_at"])
