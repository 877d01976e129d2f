"""The plots of the report and the docs."""
