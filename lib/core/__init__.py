"""What everything stands on: parameters, records, files. Knows no model and imports no torch."""
