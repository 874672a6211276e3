"""A camera without hardware: real picamera2 on real libcamera, and a real SSH server."""
