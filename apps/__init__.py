"""What a person runs outside the DAG."""
