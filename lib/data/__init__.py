"""From files to records: what every dataset reader uses."""
