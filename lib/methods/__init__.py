"""The algorithms that several editors share."""
