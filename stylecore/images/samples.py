"""Bare samples: a NumPy file, as GIMP's plug-in sends a layer."""

from __future__ import annotations

import tokenize
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from stylecore.errors import PhotoError
from stylecore.images import complete, with_pillow
from stylecore.images.channels import split_samples
from stylecore.images.photo import Decoded

DEPTHS = {np.dtype(np.uint8): 8, np.dtype(np.uint16): 16}


def read(path: Path, file: BinaryIO, check_size: with_pillow.CheckSize) -> Decoded:
    """Raises PhotoError. The header is read first: no memory is allocated for what it only claims."""
    file.seek(0)
    try:
        version = np.lib.format.read_magic(file)
        header: Any = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = header(file)
    except (ValueError, EOFError, SyntaxError, tokenize.TokenError) as e:
        raise PhotoError(f"{path.name} holds no samples that can be read.") from e
    if dtype not in DEPTHS or len(shape) != 3 or not 1 <= shape[2] <= 4 or fortran:
        raise PhotoError(
            f"{path.name} holds {dtype} of the shape {shape}; it must hold (height, width, 1 to 4) of 8 or 16 bits."
        )
    check_size(shape[1], shape[0])
    count = shape[0] * shape[1] * shape[2]
    if complete.size_of(file) - file.tell() < count * dtype.itemsize:
        raise complete.cut_off(path)
    read_samples = np.fromfile(file, dtype, count).reshape(shape)
    samples, alpha = split_samples(read_samples)
    return Decoded(samples, alpha, bits=DEPTHS[dtype])
