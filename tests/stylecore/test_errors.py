"""The words of errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from stylecore.errors import cause


def test_every_cause_has_words(tmp_path: Path) -> None:
    """The system's, a library's, or at least the name of what happened: never "None"."""
    with pytest.raises(FileNotFoundError) as missing:
        (tmp_path / "a").read_bytes()
    assert cause(missing.value) == "No such file or directory"
    assert cause(OSError("the tape is torn")) == "the tape is torn"
    assert cause(TimeoutError()) == "TimeoutError"
