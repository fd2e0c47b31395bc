"""What makes a model directory of a fitted estimator."""
