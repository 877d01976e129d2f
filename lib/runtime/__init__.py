"""The processes and the machine that a stage runs on."""
