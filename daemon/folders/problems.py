"""What is wrong at the moment, in sentences: announced once when it begins, gone when it is fixed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator


class Problems:
    """``announce`` receives each sentence once. Use it only in the loop's thread."""

    def __init__(self, announce: Callable[[str], None]) -> None:
        self.announce = announce
        self._now: dict[str, dict[str, None]] = {}  # by subject: sentences, in order
        self._subject = ""
        self._found: dict[str, None] = {}

    @contextlib.contextmanager
    def of(self, subject: str) -> Iterator[None]:
        """What is added inside is all that is wrong with the subject."""
        self._subject, self._found = subject, {}
        try:
            yield
        finally:
            self._now[subject] = self._found

    def add(self, sentence: str) -> None:
        """Inside ``of``."""
        if sentence not in self._found and sentence not in self._now.get(self._subject, {}):
            self.announce(sentence)
        self._found[sentence] = None

    def set(self, subject: str, sentence: str | None) -> None:
        """The one thing that is wrong with the subject, or nothing."""
        with self.of(subject):
            if sentence is not None:
                self.add(sentence)

    def keep(self, kind: str, subjects: Collection[str]) -> None:
        """Of the subjects that begin with ``kind``, only these are left."""
        self._now = {name: found for name, found in self._now.items() if not name.startswith(kind) or name in subjects}

    @property
    def all(self) -> tuple[str, ...]:
        return tuple(sentence for sentences in self._now.values() for sentence in sentences)
