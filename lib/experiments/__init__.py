"""What apps need beyond one run."""
