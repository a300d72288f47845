"""What is read in a browser or on paper: the explorer, a study's page, numbers in documents."""
