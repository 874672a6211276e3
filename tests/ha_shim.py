"""Early pytest plugin (``-p tests.ha_shim``): lets pytest-homeassistant-custom-component 0.13.375 run on Home Assistant 2026.11.

It has to be imported before the plugins that pytest finds by entry point: Home Assistant's package aliases httpx to
httpx2 and voluptuous to probatio and refuses to once another plugin has imported httpx. To be removed with 0.13.376.
"""

import homeassistant.components.logger as _logger
from homeassistant.components.logger import helpers as _helpers

if not hasattr(_logger, "_clear_logger_overwrites"):
    # moved to .helpers in 2026.11; the plugin's common.py still imports it from the package
    _logger._clear_logger_overwrites = _helpers._clear_logger_overwrites
