"""The whole station, with real files, catalogue and destinations."""
