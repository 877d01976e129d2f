"""Arithmetic on tables; loads no model."""
