"""All that Skylapse does, in plain asyncio Python.

Nothing here imports ``homeassistant``: what the engine needs from its host (time, place, entity
states, pictures of other cameras) it takes as the small protocols of ``ports``.
"""
