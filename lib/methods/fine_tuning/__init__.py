"""Gradient descent on the model's own weights."""
