"""The station killed with SIGKILL, again and again."""
