"""With a real camera, on this machine or on one over SSH: docs/hardware.md tells how."""
