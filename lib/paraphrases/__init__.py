"""Stage `paraphrase`."""
