"""Serve scikit-learn models with KServe."""
