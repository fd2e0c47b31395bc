"""The predictor is a custom model of KServe's: its own server serves it, and its clients ask it."""
