"""Repair issues and log lines for what is wrong with a station; each goes away by itself once it is healed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN, GIGABYTE
from .engine.status import Problem, StationStatus
from .errors import describe

if TYPE_CHECKING:  # runtime.py imports this module by way of the coordinator
    from .runtime import SkylapseConfigEntry

_LOGGER = logging.getLogger(__name__)

_FIXABLE = frozenset({Problem.DESTINATION_UNAVAILABLE, Problem.UPLOADS_QUARANTINED, Problem.FRAMES_MISSING, Problem.HOST_KEY_CHANGED})
"""What a person can do something about from inside Home Assistant: these have a fix flow in ``repairs.py``."""
_ASKED_FOR = frozenset({Problem.CREDENTIALS_REFUSED})
"""Home Assistant asks for new credentials by a dialog of its own, so an issue would only say it twice; the log still tells."""
_CAUSES = frozenset({Problem.HOST_KEY_CHANGED, Problem.CREDENTIALS_REFUSED, Problem.CAMERA_NEEDS_REBOOT})
"""Why captures fail, each with a remedy of its own: beside one of these, that they fail is no news."""
_LOSSLESS = frozenset({Problem.DESTINATION_UNAVAILABLE, Problem.UPLOADS_QUARANTINED})
"""Warnings, because no frame is lost meanwhile; the others are errors."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, of the station or of one of its destinations."""

    problem: Problem
    destination_id: str | None = None
    placeholders: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Return what tells this finding from the station's others."""
        return self.problem if self.destination_id is None else f"{self.problem}_{self.destination_id}"


def findings(hass: HomeAssistant, status: StationStatus) -> Iterator[Finding]:
    """Yield all that is wrong at this status."""
    error = _words(hass, status.last_error_key, status.last_error_placeholders)
    free = "?" if status.storage_free_bytes is None else f"{status.storage_free_bytes / GIGABYTE:.1f}"
    texts: dict[Problem, dict[str, str]] = {
        Problem.CAPTURE_FAILING: {"error": error, "count": str(status.consecutive_failures)},
        Problem.CLOCK_NOT_SET: {},
        Problem.STORAGE_FULL: {"free_gb": free},
        Problem.STORAGE_FAILED: {"error": error},
        Problem.FRAMES_MISSING: {},
        Problem.HOST_KEY_CHANGED: {},
        Problem.CREDENTIALS_REFUSED: {},
        Problem.CAMERA_NEEDS_REBOOT: {},
    }
    told_by_cause = bool(status.problems & _CAUSES)
    for problem, placeholders in texts.items():
        if problem in status.problems and not (problem is Problem.CAPTURE_FAILING and told_by_cause):
            yield Finding(problem, placeholders=placeholders)
    for destination in status.destinations:
        if destination.available is False:
            yield Finding(
                Problem.DESTINATION_UNAVAILABLE,
                destination.destination_id,
                {
                    "destination": destination.name,
                    "error": _words(hass, destination.error_key, destination.error_placeholders),
                    "queued": str(destination.queue.queued),
                },
            )
        if destination.queue.quarantined:
            yield Finding(
                Problem.UPLOADS_QUARANTINED,
                destination.destination_id,
                {"destination": destination.name, "count": str(destination.queue.quarantined)},
            )


class ProblemReporter:
    """Keeps the repair issues of one station in step with its status.

    The log gets one line when something breaks and one when it is healed, however often the status changes between.
    """

    def __init__(self, hass: HomeAssistant, entry: SkylapseConfigEntry) -> None:
        """Report for ``entry``."""
        self._hass = hass
        self._entry = entry
        self._open: dict[str, Finding] = {}

    @callback
    def update(self, status: StationStatus) -> None:
        """Raise what is newly wrong, renew what changed, and take back what is healed."""
        found = {finding.key: finding for finding in findings(self._hass, status)}
        registry = ir.async_get(self._hass)
        for key, finding in found.items():
            if key not in self._open:
                _LOGGER.warning("%s: %s%s", self._entry.title, finding.problem, _details(finding))
            if finding.problem in _ASKED_FOR:
                continue
            # a fix flow deletes its issue before it is known whether trying again helped: an absent one is raised again
            if self._open.get(key) != finding or registry.async_get_issue(DOMAIN, self._issue_id(key)) is None:
                self._raise(key, finding)
        for key in self._open.keys() - found.keys():
            _LOGGER.info("%s: %s is over", self._entry.title, self._open[key].problem)
            ir.async_delete_issue(self._hass, DOMAIN, self._issue_id(key))
        self._open = found

    @callback
    def withdraw(self) -> None:
        """Take all issues back without a word: an unloaded station can neither have problems nor be healed of them."""
        for key in self._open:
            ir.async_delete_issue(self._hass, DOMAIN, self._issue_id(key))
        self._open = {}

    def _issue_id(self, key: str) -> str:
        return f"{self._entry.entry_id}_{key}"

    def _raise(self, key: str, finding: Finding) -> None:
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            self._issue_id(key),
            data={"entry_id": self._entry.entry_id, "problem": finding.problem, "destination_id": finding.destination_id},
            config_entry_id=self._entry.entry_id,
            is_fixable=finding.problem in _FIXABLE,
            severity=ir.IssueSeverity.WARNING if finding.problem in _LOSSLESS else ir.IssueSeverity.ERROR,
            translation_key=finding.problem,
            translation_placeholders={"camera": self._entry.title, **finding.placeholders},
        )


@callback
def async_tell_rebuilt(hass: HomeAssistant, entry: SkylapseConfigEntry, put_aside: Path) -> None:
    """Tell a person that the catalogue was damaged; the issue stays until it is ignored or Home Assistant restarts."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        f"{entry.entry_id}_catalogue_rebuilt",
        is_fixable=False,
        severity=ir.IssueSeverity.WARNING,
        translation_key="catalogue_rebuilt",
        translation_placeholders={"camera": entry.title, "file": put_aside.name},
    )


def _words(hass: HomeAssistant, key: str | None, placeholders: Mapping[str, str]) -> str:
    """Return an error in words; a dash where the status names none."""
    return describe(hass, key, placeholders) if key else "-"


def _details(finding: Finding) -> str:
    """Return what a log line adds to the problem's name."""
    parts = ", ".join(f"{name}: {value}" for name, value in finding.placeholders.items())
    return f" ({parts})" if parts else ""
