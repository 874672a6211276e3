"""The fields of Skylapse's forms: selectors of Home Assistant that also refuse what a browser would never send."""

from collections.abc import Iterable
import math
from typing import Any, override

from homeassistant.helpers.selector import (
    BooleanSelector,
    DurationSelector,
    DurationSelectorConfig,
    DurationSelectorMode,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
import voluptuous as vol


class NumberField(NumberSelector):
    """A number in a box; refuses what is not finite, and fractions unless they are wanted."""

    def __init__(self, low: float | None, high: float | None, *, fraction: bool = False, unit: str | None = None) -> None:
        """Set the bounds (inclusive; None is open), whether it may be a fraction, and the unit shown."""
        config = NumberSelectorConfig(mode=NumberSelectorMode.BOX, step="any" if fraction else 1)
        if low is not None:
            config["min"] = low
        if high is not None:
            config["max"] = high
        if unit is not None:
            config["unit_of_measurement"] = unit
        super().__init__(config)
        self._fraction = fraction

    @override
    def __call__(self, data: Any) -> float:
        """Return the number, as ``int`` where it has to be whole."""
        value = super().__call__(data)
        if not math.isfinite(value):
            raise vol.Invalid("Value is not a number")
        if self._fraction:
            return value
        if not value.is_integer():
            raise vol.Invalid("Value has to be a whole number")
        return int(value)


class LimitedField(NumberField):
    """A number whose bounds are shown but not enforced: who knows what the number is for refuses it in better words."""

    def __init__(self, low: float, high: float, *, fraction: bool, unit: str | None) -> None:
        """Set the bounds that are shown."""
        super().__init__(low, high, fraction=fraction, unit=unit)
        self._unbounded = NumberField(None, None, fraction=fraction)

    @override
    def __call__(self, data: Any) -> float:
        """Return the number, as ``int`` where it has to be whole."""
        return self._unbounded(data)


class SwitchField(BooleanSelector):
    """On or off; refuses what could only be taken for one of them."""

    @override
    def __call__(self, data: Any) -> bool:
        """Return on or off."""
        if not isinstance(data, bool):
            raise vol.Invalid("Value has to be true or false")
        return data


def duration(*, signed: bool = False) -> DurationSelector:
    """Return a field for hours, minutes and seconds; ``signed`` asks before or after, too."""
    mode = DurationSelectorMode.OFFSET if signed else DurationSelectorMode.POSITIVE
    return DurationSelector(DurationSelectorConfig(mode=mode))


def secret() -> TextSelector:
    """Return a field that does not show what is typed into it."""
    return TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off"))


def choice(options: Iterable[str], translation_key: str, *, multiple: bool = False) -> SelectSelector:
    """Return a field to choose one of the options, or ``multiple`` of them."""
    return SelectSelector(
        SelectSelectorConfig(
            options=list(options),
            translation_key=translation_key,
            multiple=multiple,
            mode=SelectSelectorMode.LIST if multiple else SelectSelectorMode.DROPDOWN,
        )
    )
