"""Small problems, trained to the end, for statements that no image network can show."""
