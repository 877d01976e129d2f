"""Stage `score`: what the model says before and after the edit."""
