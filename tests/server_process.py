"""The starters by the names that the tests of chart, images and SageMaker know them by."""

from harness.ports import reserve_port as free_port
from harness.processes import DEADLINE_S, ROOT, ServerProcess

__all__ = ["DEADLINE_S", "ROOT", "ServerProcess", "free_port"]
