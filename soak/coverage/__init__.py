"""How much of scikit-learn is served: packed, served by one process, compared with itself."""
