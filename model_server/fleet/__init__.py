"""Several processes that serve on the same ports, for machines of many processors.

::

    supervisor     has loaded the models, listens on each port once for each worker, never serves
    ├── worker     is forked, shares the models' memory, and takes its share of the connections
    └── worker

A worker that ends is replaced by a fork, which takes over its ports and who waits there. What is to
be done in all, as to load a model again, and what is told of all, as the metrics, goes through the
supervisor.
"""
