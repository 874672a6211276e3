"""The link to the machine that the camera is attached to: a worker kept running there, locally or over SSH."""
