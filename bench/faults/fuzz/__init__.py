"""Fuzzed inputs: how they are changed (mutations.py), what reads them, and how a case is judged (cases.py)."""
