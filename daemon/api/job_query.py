"""What a client may ask for a picture that it sends: the query of `POST /v1/jobs`."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import HTTPException
from pydantic import BaseModel, Field, StringConstraints

from daemon.api import uploads
from stylecore.errors import PresetError
from stylecore.limits import MAX_DPI, MAX_PRINT, MAX_SIZE, MAX_STEPS, MIN_DPI, MIN_SIZE
from stylecore.limits import MAX_EDGE as RESULT_EDGE
from stylecore.output import OutputFormat
from stylecore.preset import Look, Preset, with_options, with_output
from stylecore.recipe import Colour

MAX_EDGE = 100_000  # pixels of a picture that is sent as samples
Ticket = Annotated[str, StringConstraints(min_length=8, max_length=100)]


class JobQuery(BaseModel):
    """The options for a picture that is sent. None keeps the preset's value."""

    preset: str | None = Field(None, min_length=1, max_length=200, description="A preset's name.")
    kept: str | None = Field(
        None, min_length=64, max_length=64, description="In place of a name: a recipe that `POST /v1/recipes` keeps."
    )
    name: str = Field("picture", min_length=1, max_length=200, description="The picture's name, for people.")
    strength: float | None = Field(None, ge=0, le=100)
    size: Annotated[int, Field(ge=MIN_SIZE, le=MAX_SIZE)] | Literal["full"] | None = Field(
        None, description="The long edge, in pixels, at which the optimiser works; full: the picture's own."
    )
    steps: int | None = Field(
        None, ge=1, le=MAX_STEPS, description="Of the scales with all layers; the finish follows in proportion."
    )
    seed: int | None = Field(None, ge=0, lt=2**32, description="Each number gives a different painting.")
    colour: Colour | None = Field(None, description="Whose colours the Result gets.")
    format: OutputFormat | None = Field(None, description="The Result's format.")
    quality: int | None = Field(None, ge=1, le=100)
    long_edge: int | None = Field(None, ge=MIN_SIZE, le=RESULT_EDGE, description="The Result's long edge, in pixels.")
    print: float | None = Field(
        None, ge=1, le=MAX_PRINT, description="The Result's long edge on paper, in centimetres."
    )
    dpi: int | None = Field(None, ge=MIN_DPI, le=MAX_DPI, description="Dots per inch of the Result.")
    width: int | None = Field(None, ge=1, le=MAX_EDGE, description="For bare samples, with height, channels and bits.")
    height: int | None = Field(None, ge=1, le=MAX_EDGE)
    channels: Literal["1", "2", "3", "4"] | None = Field(None, description="Grey, grey + alpha, RGB, RGB + alpha.")
    bits: Literal["8", "16"] | None = Field(None, description="Bits per sample; 16 means little-endian.")
    ticket: Ticket | None = Field(
        None,
        description="A client's own name for the Job. A picture that is sent again under this name is no second Job:"
        " the answer is the first one.",
    )
    lease: float | None = Field(
        None, gt=0, le=3600, description="Seconds after which the Job is cancelled, unless its events are being read."
    )

    def recipe(self, preset: Preset) -> Preset:
        """Raises HTTPException (409) for options that the preset's transfer does not have."""
        output = self.model_dump(include={"format", "quality", "long_edge", "print", "dpi"})
        if isinstance(preset, Look):
            output["lut"] = "none"  # nobody could fetch it
        elif self.width is not None:  # bare samples come back in the size in which they were sent
            preset = preset.model_copy(update={"output": type(preset.output)()})
        options = self.model_dump(include={"strength", "size", "steps", "seed", "colour"})
        try:
            return with_options(with_output(preset, **output), **options)
        except PresetError as e:
            raise HTTPException(409, str(e)) from e

    def pixels(self) -> uploads.Pixels | None:
        """None if an image file is sent. Raises HTTPException (409)."""
        if self.width and self.height and self.channels and self.bits:
            return uploads.Pixels(self.width, self.height, int(self.channels), int(self.bits))
        if any((self.width, self.height, self.channels, self.bits)):
            raise HTTPException(409, "Bare samples need all four of width, height, channels and bits.")
        return None
