"""The worker by itself, spoken to over its pipes."""
