"""Clients and invitations, in real SQLite."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from daemon.ledger.clients import INVITED_FOR, SEEN_EVERY
from daemon.ledger.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "ledger.sqlite3")
    yield opened
    opened.close()


def test_a_code_pairs_one_client(ledger: Ledger) -> None:
    code = ledger.clients.invite(full=True)
    client, token = ledger.clients.pair(code, "laptop") or pytest.fail("the code is new")
    assert (client.name, client.full) == ("laptop", True)
    assert ledger.clients.by_token(token) == client
    assert ledger.clients.pair(code, "another") is None, "a code is for one client"
    assert ledger.clients.all() == [client]


def test_a_code_ends_after_ten_minutes(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    code, begin = ledger.clients.invite(full=False), time.time()
    monkeypatch.setattr(time, "time", lambda: begin + INVITED_FOR + 1)
    assert ledger.clients.pair(code, "laptop") is None
    ledger.clients.invite(full=False)
    assert len(ledger._database.sql("SELECT * FROM invitations")) == 1, "old ones are removed"


def test_a_client_that_was_removed_is_unknown(ledger: Ledger) -> None:
    client, token = ledger.clients.pair(ledger.clients.invite(full=False), "laptop") or pytest.fail("the code is new")
    assert ledger.clients.remove(client.id) == client
    assert ledger.clients.by_token(token) is None
    assert ledger.clients.remove(client.id) is None
    later, _ = ledger.clients.pair(ledger.clients.invite(full=False), "laptop") or pytest.fail("the code is new")
    assert later.id != client.id, "the Jobs of the first are not its own"


def test_no_secret_is_in_the_file(ledger: Ledger, tmp_path: Path) -> None:
    used, unused = ledger.clients.invite(full=False), ledger.clients.invite(full=False)
    _, token = ledger.clients.pair(used, "laptop") or pytest.fail("the code is new")
    ledger.close()
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert not any(secret.encode() in written for secret in (used, unused, token))
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as database:
        assert database.execute("SELECT name FROM clients").fetchall() == [("laptop",)]


def test_when_a_client_was_seen_is_not_written_at_each_request(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    client, token = ledger.clients.pair(ledger.clients.invite(full=False), "laptop") or pytest.fail("the code is new")
    for after, written in ((1, False), (SEEN_EVERY + 1, True)):
        now = client.seen_at + after
        monkeypatch.setattr(time, "time", lambda now=now: now)
        ledger.clients.see(client)
        seen = ledger.clients.by_token(token)
        assert seen is not None
        assert (seen.seen_at == now) is written


def test_whose_job_it_is(ledger: Ledger) -> None:
    client, _ = ledger.clients.pair(ledger.clients.invite(full=False), "laptop") or pytest.fail("the code is new")
    ledger.clients.own(client, 7)
    assert ledger.clients.owner(7) == client.id
    assert ledger.clients.owner(8) is None
