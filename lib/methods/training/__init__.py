"""LoRA by gradient descent."""
