"""The benchmark: this server beside stock KServe and the ceiling, as ratios on one machine."""
