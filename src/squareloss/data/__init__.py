"""From image sources to prepared splits."""
