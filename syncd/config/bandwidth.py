"""The bandwidth key: one limit for the whole day, or a timetable of limits."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_serializer

from syncd.config.section import Section
from syncd.config.units import format_rate
from syncd.config.values import MINUTES_PER_DAY, Limit, Minute, RateText, limit


class Span(Section):
    """A part of every day, in local time: `start_minute <= minute < end_minute`."""

    start_minute: Annotated[Minute, Field(alias="from")]
    end_minute: Annotated[Minute, Field(alias="to")]
    limit: Limit
    """Bytes a second; None is unlimited, 0 stops all sending."""


class Bandwidth(Section):
    """Bandwidth limits over the day.

    For each minute the first span that contains it counts; without one, no limit.
    """

    spans: tuple[Span, ...] = ()

    @field_validator("spans")
    @classmethod
    def _split_at_midnight(cls, spans: tuple[Span, ...]) -> tuple[Span, ...]:
        return tuple(part for span in spans for part in _within_a_day(span))

    @model_serializer(when_used="json")
    def _serialized(self) -> Any:
        """Return the limit if one applies all day, else the timetable."""
        match self.spans:
            case ():
                return "unlimited"
            case (Span(start_minute=0, end_minute=end, limit=float(rate)),) if end == MINUTES_PER_DAY:
                return format_rate(rate)
        return [span.model_dump(mode="json", by_alias=True) for span in self.spans]


BandwidthForms = Literal["unlimited"] | RateText | list[Span]
"""The forms of the key in the file, for the JSON Schema."""


def _within_a_day(span: Span) -> tuple[Span, ...]:
    if span.start_minute < span.end_minute:
        return (span,)
    evening = span.model_copy(update={"end_minute": MINUTES_PER_DAY})
    morning = span.model_copy(update={"start_minute": 0})
    return tuple(part for part in (evening, morning) if part.start_minute < part.end_minute)


def parse_bandwidth(value: Any) -> Any:
    """Turn the forms of the key in the file into the fields of :class:`Bandwidth`."""
    if isinstance(value, Bandwidth):
        return value
    if isinstance(value, list | tuple):
        return {"spans": value}
    if isinstance(value, Mapping):
        raise ValueError(  # noqa: TRY004 — pydantic collects ValueError
            "must be unlimited, a rate such as 2MiB/s, or a list of {from, to, limit}"
        )
    rate = limit(value)
    if rate == 0:
        raise ValueError("stops all sending — write unlimited, or pause with syncd ctl stop")
    return {"spans": [{"from": 0, "to": MINUTES_PER_DAY, "limit": rate}] if rate is not None else []}
