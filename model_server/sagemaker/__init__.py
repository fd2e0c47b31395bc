"""Amazon SageMaker's routes, and the models that it loads."""
