"""The Edit: what is changed, apart from the model."""
