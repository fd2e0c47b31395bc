#!/bin/sh
# Amazon SageMaker runs its image with the word `train`, or with `serve`, which the server knows. The
# server's own image has no training.
if [ "$1" = train ]; then
  if [ ! -d training ]; then
    echo "error: this image only serves; what trains is the one for Amazon SageMaker: docker build --target sagemaker" >&2
    exit 2
  fi
  shift
  exec python -m training.sagemaker "$@"
fi
# A container's first process has no default action for a signal: one that comes before the server has
# its own waits for that.
exec env --block-signal=INT,TERM python -m model_server "$@"
