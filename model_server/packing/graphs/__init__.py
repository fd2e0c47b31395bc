"""ONNX graphs of estimators: one module a kind, each with the conversions by type."""
