"""Where the sun stands, as ``sun.sun`` tells it: astral with Home Assistant's observer, refraction included."""

from datetime import UTC, datetime

from astral import Observer, sun

from .ports import Site


def observer_at(site: Site) -> Observer:
    """Return astral's observer for the site, the same as Home Assistant's own."""
    return Observer(site.latitude_deg, site.longitude_deg, site.elevation_m)


def solar_elevation(site: Site, at: datetime) -> float:
    """Return degrees above the horizon at that instant (timezone-aware; astral counts whole seconds)."""
    return float(sun.elevation(observer_at(site), at.astimezone(UTC)))


def solar_azimuth(site: Site, at: datetime) -> float:
    """Return degrees clockwise from north at that instant (timezone-aware; astral counts whole seconds)."""
    return float(sun.azimuth(observer_at(site), at.astimezone(UTC)))
