"""What has to be fast, measured against what a person would use instead (``scripts/bench NAME``)."""

from tests.engine_only import install

install()  # first: the engine alone is measured, without Home Assistant's start
