"""ROME, MEMIT and their kin, and knowledge neurons."""
