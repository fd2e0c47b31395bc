"""Every conversion that is written here: each stands in for the one that skl2onnx has, if any."""

from model_server.packing import (
    calibration_graphs,
    composite_graphs,
    curve_graphs,
    encoder_graphs,
    estimator_graphs,
    gaussian_process_graphs,
    neighbour_graphs,
    preprocessing_graphs,
    support_vector_graphs,
    tree_graphs,
)
from model_server.packing.operators import Conversion

BY_TYPE: dict[type, Conversion] = {
    **calibration_graphs.BY_TYPE,
    **composite_graphs.BY_TYPE,
    **curve_graphs.BY_TYPE,
    **encoder_graphs.BY_TYPE,
    **estimator_graphs.BY_TYPE,
    **gaussian_process_graphs.BY_TYPE,
    **neighbour_graphs.BY_TYPE,
    **preprocessing_graphs.BY_TYPE,
    **support_vector_graphs.BY_TYPE,
    **tree_graphs.BY_TYPE,
}
"""What adds an estimator's operators, by its type."""
