"""An editor on many requests: all at once, each alone, or batch after batch."""
