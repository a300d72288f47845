"""What is read in a browser: the explorer, a study's page, and its Croissant description."""
