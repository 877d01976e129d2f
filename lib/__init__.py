"""The library of Errata: pure functions over frozen records and tensors."""
