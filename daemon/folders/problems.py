"""What is wrong at present, in sentences: told once when it begins, gone when it is mended."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator


class Problems:
    """``tell`` receives each sentence once. ``all`` may be read by other threads."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.tell = tell
        self._now: dict[str, dict[str, None]] = {}  # by subject: sentences, in order
        self._subject = ""
        self._found: dict[str, None] = {}

    @contextlib.contextmanager
    def of(self, subject: str) -> Iterator[None]:
        """What is added within is all that is wrong with the subject."""
        self._subject, self._found = subject, {}
        try:
            yield
        finally:
            self._replace(subject, self._found)

    def add(self, sentence: str) -> None:
        """Within ``of``."""
        if sentence not in self._found and sentence not in self._now.get(self._subject, {}):
            self.tell(sentence)
        self._found[sentence] = None

    def set(self, subject: str, sentence: str | None) -> None:
        """The one thing that is wrong with the subject, or nothing."""
        with self.of(subject):
            if sentence is not None:
                self.add(sentence)

    @property
    def all(self) -> list[str]:
        return [sentence for sentences in list(self._now.values()) for sentence in list(sentences)]

    def _replace(self, subject: str, found: dict[str, None]) -> None:
        self._now = {**self._now, subject: found}
