"""The optimiser of Stylefolder: photos, presets and tensors.

    from stylecore import Result, load_photo, load_preset, save_result, stylize

    preset = load_preset(Path("presets/oil.yaml"))
    for event in stylize(load_photo(Path("photo.jpg")), preset):
        if isinstance(event, Result):
            save_result(event, Path("painting.jpg"), preset.output)

Names are imported when first used: presets and errors do not need torch, which takes seconds to import.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stylecore.device import Device as Device
    from stylecore.device import choose_device as choose_device
    from stylecore.errors import DeviceError as DeviceError
    from stylecore.errors import LutError as LutError
    from stylecore.errors import PhotoError as PhotoError
    from stylecore.errors import PresetError as PresetError
    from stylecore.errors import ResultError as ResultError
    from stylecore.errors import StylefolderError as StylefolderError
    from stylecore.errors import WeightsError as WeightsError
    from stylecore.images.decode import load_photo as load_photo
    from stylecore.images.encode import Result as Result
    from stylecore.images.encode import output_format as output_format
    from stylecore.images.encode import save_result as save_result
    from stylecore.images.photo import Photo as Photo
    from stylecore.lut import Lut as Lut
    from stylecore.lut_files import read_lut as read_lut
    from stylecore.preset import Look as Look
    from stylecore.preset import Painting as Painting
    from stylecore.preset import Preset as Preset
    from stylecore.preset_file import find_presets as find_presets
    from stylecore.preset_file import load_preset as load_preset
    from stylecore.progress import Progress as Progress
    from stylecore.transfer import stylize as stylize

_MODULES = {
    "images.decode": ("load_photo",),
    "device": ("Device", "choose_device"),
    "errors": (
        "DeviceError",
        "LutError",
        "PhotoError",
        "PresetError",
        "ResultError",
        "StylefolderError",
        "WeightsError",
    ),
    "images.photo": ("Photo",),
    "lut": ("Lut",),
    "lut_files": ("read_lut",),
    "preset": ("Look", "Painting", "Preset"),
    "preset_file": ("find_presets", "load_preset"),
    "images.encode": ("Result", "output_format", "save_result"),
    "progress": ("Progress",),
    "transfer": ("stylize",),
}
__all__ = sorted(name for names in _MODULES.values() for name in names)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"stylecore.{module}"), name)
    raise AttributeError(f"module 'stylecore' has no attribute {name!r}")
