"""Amazon SageMaker: a training job, from the platform's folder to a model directory in it."""
