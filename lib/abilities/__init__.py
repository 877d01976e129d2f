"""Stage `abilities`: what else the model can do."""
