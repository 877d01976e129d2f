"""Networks that turn gradients into updates: MEND and KE."""
