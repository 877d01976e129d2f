"""Continuations of prompts, by transformers or vLLM."""
