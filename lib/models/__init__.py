"""A decoder, and what it says of tokens."""
