"""Estimators in processes of their own, so that none keeps the interpreter's lock from the server.

::

    server ── zygote              has imported what estimators need, and forks for each model a
                └── keeper        that has loaded it and never predicts, and forks
                      └── worker  each of which predicts one request at a time

A worker shares the loaded model's memory with its keeper, and the libraries with the zygote. One
that has ended is replaced by a fork, which loads nothing. All end when the server does.
"""
