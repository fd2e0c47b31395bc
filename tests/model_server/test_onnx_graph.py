"""A graph whose data lie in other files is refused before ONNX Runtime reads them."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from model_server.errors import ModelDirectoryError
from model_server.model import directory as model_directory
from model_server.model import loading, onnx_graph
from model_server.model.directory import ModelDirectory
from model_server.model.manifest import Conversion, Feature, Golden, Manifest, Target

N_WEIGHTS = 64


def tensor(*, location: Path | None) -> onnx.TensorProto:
    """Return weights: ones, or what is in a file."""
    made = numpy_helper.from_array(np.ones((1, N_WEIGHTS), dtype=np.float32), "w")
    if location is not None:
        made.ClearField("raw_data")
        made.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", 0), ("length", 4 * N_WEIGHTS)):
            made.external_data.add(key=key, value=str(value))
    return made


def graph(
    initializers: list[onnx.TensorProto], nodes: tuple[onnx.NodeProto, ...] = ()
) -> onnx.GraphProto:
    """Return a graph that adds up a number times each weight."""
    return helper.make_graph(
        [
            *nodes,
            helper.make_node("MatMul", ["X", "w"], ["products"]),
            helper.make_node("ReduceSum", ["products"], ["y"], keepdims=0, noop_with_empty_axes=0),
        ],
        "graph",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        initializers,
    )


def model(graph: onnx.GraphProto, **parts: list[Any]) -> bytes:
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for name, added in parts.items():
        getattr(made, name).extend(added)
    return bytes(made.SerializeToString())


def directory(path: Path, content: bytes) -> ModelDirectory:
    manifest = Manifest(
        name="sums",
        version="1",
        task="regression",
        estimator="",
        features=(Feature(name="RM"),),
        target=Target(name="y"),
        rows=1,
        conversion=Conversion(converted=True),
        golden=Golden(instances=((1.0,),), predictions=(float(N_WEIGHTS),)),
        libraries={},
        files={},
    )
    model_directory.write(path, manifest, {"model.onnx": content})
    return model_directory.read(path)


def test_a_graph_with_its_data_inside_is_loaded(tmp_path: Path) -> None:
    loaded = loading.load(directory(tmp_path / "sums", model(graph([tensor(location=None)]))))
    assert loaded.predict(np.array([[2.0]])).tolist() == [2.0 * N_WEIGHTS]


def test_data_in_another_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = Path("weights")
    elsewhere.write_bytes(np.ones(N_WEIGHTS, dtype=np.float32).tobytes())
    content = model(graph([tensor(location=elsewhere)]))
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    [y] = session.run(None, {"X": np.array([[1.0]], dtype=np.float32)})
    assert y == N_WEIGHTS, "ONNX Runtime does read the file: the test can fail"
    with pytest.raises(
        ModelDirectoryError, match=r"model\.onnx: has data in other files, which no digest covers"
    ):
        loading.load(directory(tmp_path / "sums", content))


def below(external: onnx.TensorProto) -> dict[str, bytes]:
    """Return graphs that have a tensor in every place in which it may be."""
    sound = graph([])
    constant = helper.make_node("Constant", [], ["w"], value=external)
    inner = graph([external])
    branch = helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=sound)
    sparse = onnx.SparseTensorProto(values=external, dims=[1, N_WEIGHTS])
    indices = onnx.SparseTensorProto(indices=external, dims=[1, N_WEIGHTS])
    with_sparse = graph([])
    with_sparse.sparse_initializer.append(indices)
    function = helper.make_function(
        "f", "F", [], ["w"], [constant], [helper.make_opsetid("", 17)], attributes=[]
    )
    defaults = onnx.FunctionProto(name="G", attribute_proto=constant.attribute)
    training = onnx.TrainingInfoProto(algorithm=inner)
    return {
        "initializer": model(inner),
        "sparse initializer": model(with_sparse),
        "constant": model(graph([], (constant,))),
        "sparse constant": model(
            graph([], (helper.make_node("Constant", [], ["w"], sparse_value=sparse),))
        ),
        "lists": model(
            graph([], (helper.make_node("A", [], ["w"], tensors=[external], graphs=[sound]),))
        ),
        "branch": model(graph([], (branch,))),
        "function": model(sound, functions=[function]),
        "defaults of a function": model(sound, functions=[defaults]),
        "training": model(sound, training_info=[training]),
    }


@pytest.mark.parametrize("place", below(tensor(location=None)))
def test_it_is_found_wherever_it_is(place: str) -> None:
    assert onnx_graph.is_whole(below(tensor(location=None))[place])
    assert not onnx_graph.is_whole(below(tensor(location=Path("README.md")))[place])


def test_what_is_no_graph_is_no_graph() -> None:
    with pytest.raises(DecodeError):
        onnx_graph.is_whole(b"\x18\x00\x00\x00ORTM")


def test_every_field_by_which_onnx_reaches_a_tensor_is_known() -> None:
    reaching = {"TensorProto": {"data_location": (14, "")}}
    messages = onnx.ModelProto.DESCRIPTOR.file.message_types_by_name
    while True:
        found = {
            name: {
                field.name: (field.number, field.message_type.name)
                for field in message.fields
                if field.message_type is not None and field.message_type.name in reaching
            }
            for name, message in messages.items()
            if name != "TensorProto"
        }
        grown = reaching | {name: fields for name, fields in found.items() if fields}
        if grown == reaching:
            break
        reaching = grown
    assert reaching == onnx_graph.MESSAGES
    assert messages["TensorProto"].fields_by_name["data_location"].number == 14
