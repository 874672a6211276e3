"""The third floor: one stand-alone file that runs where the camera is. Nothing imports it; its text is sent there."""
