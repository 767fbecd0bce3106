"""What the models of a Preset's keys share."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class Keys(BaseModel):
    """Unknown keys are refused, and so are YAML's `yes`, `no`, `on` and `off` where a number belongs: they would count
    as 1 and 0."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _check_switch(cls, value: Any, info: ValidationInfo) -> Any:
        if cls.model_fields[info.field_name or ""].annotation is not bool:
            for one in value if isinstance(value, (list, tuple)) else (value,):
                refuse_switch(one)
        return value


def refuse_switch(value: Any) -> Any:
    """Raises ValueError for true and false."""
    if isinstance(value, bool):
        raise ValueError("must not be yes, no, on or off, which mean true and false in YAML")
    return value
