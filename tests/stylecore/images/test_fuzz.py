"""Whatever the bytes: a Photo or a PhotoError, in bounded memory and time."""

from __future__ import annotations

import pytest

from tests.stylecore.images.fuzz import outcomes


def check(first: int, count: int) -> None:
    counts, wrong = outcomes(first, count)
    print(dict(counts))
    assert not wrong, "\n".join(wrong[:5])
    assert min(counts["photo"], counts["refused"]) > count / 10, "both outcomes are tested"


def test_500_damaged_pictures() -> None:
    check(0, 500)


@pytest.mark.long
def test_20000_damaged_pictures() -> None:
    check(500, 20_000)
