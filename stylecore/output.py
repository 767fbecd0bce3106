"""The keys of ``output`` in a Preset: a Result's format, quality and size."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from stylecore.keys import Keys
from stylecore.limits import MAX_DPI, MAX_EDGE, MAX_PRINT, MIN_DPI, MIN_SIZE, PRINT_DPI

OutputFormat = Literal["same", "jpeg", "png", "tiff", "webp", "avif", "heic"]
INCH = 2.54  # centimetres


class Output(Keys):
    """How Results are saved."""

    format: OutputFormat = Field(
        "same", description="same: the photo's own format; JPEG for RAW, PNG for GIF and BMP. Or a format's name."
    )
    quality: int = Field(95, ge=1, le=100, description="The quality of JPEG, WebP, AVIF and HEIC.")

    def size_of(self, photo: tuple[int, int]) -> tuple[int, int]:
        """(width, height) of the Result of a photo of this size."""
        return photo

    @property
    def resolution(self) -> int | None:
        """The dots per inch that the Result's file names; None for those of the photo's file."""
        return None


def centimetres(value: Any) -> Any:
    """`90cm`, `900 mm`, `35.4in` or a number of centimetres, as a number. Raises ValueError."""
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"\s*(\d{1,6}(?:\.\d{1,6})?)\s*(cm|mm|in|)\s*", value)
    if found is None:
        raise ValueError("must be a length, such as 90cm, 900mm or 36in")
    return float(found[1]) * {"cm": 1.0, "mm": 0.1, "in": INCH, "": 1.0}[found[2]]


class PaintingOutput(Output):
    """As ``Output``, and how large the Result is."""

    long_edge: int | None = Field(
        None, ge=MIN_SIZE, le=MAX_EDGE, description="The Result's long edge, in pixels. The default is the photo's own."
    )
    print: Annotated[float | None, BeforeValidator(centimetres, json_schema_input_type=float | str | None)] = Field(
        None, ge=1, le=MAX_PRINT, description="The Result's long edge on paper, such as 90cm, 900mm or 36in."
    )
    dpi: int | None = Field(
        None,
        ge=MIN_DPI,
        le=MAX_DPI,
        description="The dots per inch that the Result's file names, which also say how many pixels a `print` has. The "
        f"default is {PRINT_DPI} for a `print`, and otherwise what the photo's file says.",
    )

    @model_validator(mode="after")
    def _check_size(self) -> PaintingOutput:
        if self.print is not None and self.long_edge is not None:
            raise ValueError("`print` and `long_edge` both say how large the Result is: remove one of them")
        edge = self.edge
        if edge is not None and not MIN_SIZE <= edge <= MAX_EDGE:
            raise ValueError(
                f"`print`: {self.print:g} cm at {self.dpi or PRINT_DPI} dpi are {edge} pixels, and a Result can have "
                f"{MIN_SIZE} to {MAX_EDGE}: change `print` or `dpi`"
            )
        return self

    @property
    def edge(self) -> int | None:
        """The long edge in pixels; None for the photo's own."""
        return self.long_edge if self.print is None else round(self.print / INCH * (self.dpi or PRINT_DPI))

    def size_of(self, photo: tuple[int, int]) -> tuple[int, int]:
        if self.edge is None:
            return photo
        width, height = (max(1, round(length * self.edge / max(photo))) for length in photo)
        return width, height

    @property
    def resolution(self) -> int | None:
        return PRINT_DPI if self.dpi is None and self.print is not None else self.dpi


class LookOutput(Output):
    """As ``Output``, and whether the table is kept."""

    lut: Literal["none", "cube", "hald"] = Field(
        "none",
        description="Write the table beside the Result, for other programs: a .cube file or a HaldCLUT.",
    )
