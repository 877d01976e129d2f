"""What one GPU does with the engines, measured by one command: python -m bench.gpu."""
