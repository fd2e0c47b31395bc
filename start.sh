#!/bin/sh
# Amazon SageMaker runs the image with the word `train`, or with `serve`, which the server knows.
if [ "$1" = train ]; then
  shift
  exec python -m training.sagemaker "$@"
fi
exec python -m model_server "$@"
