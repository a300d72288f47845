"""What the paper predicts: its formulas as pure functions."""
