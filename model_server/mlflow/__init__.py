"""What clients of MLflow's scoring server ask."""
