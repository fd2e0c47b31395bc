"""What of a serialized ONNX graph tells whether all of it is in there.

A tensor may lie in another file, which ONNX Runtime reads from wherever the server runs: no digest
covers that.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FieldDescriptorProto

MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "ModelProto": {
        "graph": (7, "GraphProto"),
        "training_info": (20, "TrainingInfoProto"),
        "functions": (25, "FunctionProto"),
    },
    "TrainingInfoProto": {"initialization": (1, "GraphProto"), "algorithm": (2, "GraphProto")},
    "FunctionProto": {"node": (7, "NodeProto"), "attribute_proto": (11, "AttributeProto")},
    "GraphProto": {
        "node": (1, "NodeProto"),
        "initializer": (5, "TensorProto"),
        "sparse_initializer": (15, "SparseTensorProto"),
    },
    "NodeProto": {"attribute": (5, "AttributeProto")},
    "AttributeProto": {
        "t": (5, "TensorProto"),
        "g": (6, "GraphProto"),
        "tensors": (10, "TensorProto"),
        "graphs": (11, "GraphProto"),
        "sparse_tensor": (22, "SparseTensorProto"),
        "sparse_tensors": (23, "SparseTensorProto"),
    },
    "SparseTensorProto": {"values": (1, "TensorProto"), "indices": (2, "TensorProto")},
    "TensorProto": {"data_location": (14, "")},
}
"""The fields of onnx.proto by which a tensor is reached: their numbers, and what they hold."""

_EXTERNAL = 1


def is_whole(model: bytes) -> bool:
    """Tell whether a serialized graph has all its tensors inside.

    Raises
    ------
    google.protobuf.message.DecodeError
        If it is no graph.
    """
    return not _leaves(_MODEL.FromString(model))


def _leaves(message: Any) -> bool:
    """Tell whether a tensor at or below a message lies elsewhere."""
    return any(
        _EXTERNAL in value if field.message_type is None else any(map(_leaves, value))
        for field, value in message.ListFields()
    )


def _reader() -> Any:
    """Make the class that reads a model; each field may come again, as the last need not count."""
    file = descriptor_pb2.FileDescriptorProto(name="graph.proto", package="graph")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, held) in fields.items():
            added = message.field.add(name=field, number=number)
            added.label = FieldDescriptorProto.LABEL_REPEATED
            if held:
                added.type, added.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".graph.{held}"
            else:
                added.type = FieldDescriptorProto.TYPE_INT32
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("graph.ModelProto"))


_MODEL = _reader()
