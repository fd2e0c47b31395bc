"""Serve scikit-learn models with KServe."""

import os

__version__ = "0.1.0"

# From 1.29 on, ONNX Runtime sends usage data to its maker unless this is set before it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
