"""What was photographed: files, catalogue, retention."""
