"""A real Home Assistant with Skylapse in it: for ``scripts/develop`` and for the tests in the browser."""
