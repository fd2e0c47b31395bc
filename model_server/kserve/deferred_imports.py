"""Modules that KServe imports and this server does not need, deferred until they are used."""

import contextlib
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any


class _Deferred(ModuleType):
    """Stand in for a module: any name while it is deferred, the module's own afterwards."""

    deferring = True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if self.deferring:
            return Any
        return getattr(importlib.import_module(self.__name__), name)


@contextlib.contextmanager
def deferred(name: str) -> Iterator[None]:
    """Keep imports in this context from loading a module that they only need in annotations.

    Who imported it there keeps a stand-in, which loads the module when it is first used. Everyone
    else imports the module itself.
    """
    if name in sys.modules:
        yield
        return
    stand_in = _Deferred(name)
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        stand_in.deferring = False
        del sys.modules[name]
