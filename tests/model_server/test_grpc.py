"""gRPC beside predictions: health for probes, reflection for tools, metadata."""

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from harness.processes import ServerProcess

SERVING = health_pb2.HealthCheckResponse.SERVING

pytestmark = pytest.mark.slow


@pytest.fixture
def channel(server: ServerProcess) -> grpc.Channel:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as opened:
        yield opened


@pytest.mark.parametrize(
    "service", ["", "liveness", "readiness", "inference.GRPCInferenceService", "rooms"]
)
def test_health_is_told(channel: grpc.Channel, service: str) -> None:
    ask = health_pb2.HealthCheckRequest(service=service)
    assert health_pb2_grpc.HealthStub(channel).Check(ask).status == SERVING


def test_health_of_what_nobody_knows_is_not_found(channel: grpc.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    with pytest.raises(grpc.RpcError) as missing:
        stub.Check(health_pb2.HealthCheckRequest(service="nope"))
    assert missing.value.code() == grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.RpcError) as refused:
        next(stub.Watch(health_pb2.HealthCheckRequest()))
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_client_that_knows_nothing_learns_what_can_be_called(channel: grpc.Channel) -> None:
    database = ProtoReflectionDescriptorDatabase(channel)
    assert set(database.get_services()) == {
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "inference.GRPCInferenceService",
    }
    pool = DescriptorPool(database)
    service = pool.FindServiceByName("inference.GRPCInferenceService")
    assert service.FindMethodByName("ModelInfer").input_type.name == "ModelInferRequest"


def test_a_stranger_to_both_names_of_reflection_is_answered_by_each(channel: grpc.Channel) -> None:
    from grpc_reflection.v1alpha import reflection_pb2

    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    answers = [
        channel.stream_stream(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo")(
            iter([asked.SerializeToString()])
        )
        for version in ("v1", "v1alpha")
    ]
    first, second = ([*answer] for answer in answers)
    assert first == second
    assert len(first) == 1


def test_metadata_are_the_servers_own(server: ServerProcess, channel: grpc.Channel) -> None:
    stub = GRPCInferenceServiceStub(channel)
    told = stub.ServerMetadata(pb.ServerMetadataRequest())
    by_rest = server.client.get("/v2").json()
    assert (told.name, told.version) == (by_rest["name"], by_rest["version"])
    assert [*told.extensions] == by_rest["extensions"]
    model = stub.ModelMetadata(pb.ModelMetadataRequest(name="rooms"))
    by_rest = server.client.get("/v2/models/rooms").json()
    assert (model.platform, [*model.versions]) == (by_rest["platform"], by_rest["versions"])
    assert [*model.inputs[0].shape] == by_rest["inputs"][0]["shape"]
    assert stub.ModelReady(pb.ModelReadyRequest(name="rooms", version=model.versions[0])).ready
    with pytest.raises(grpc.RpcError) as missing:
        stub.ModelReady(pb.ModelReadyRequest(name="rooms", version="99"))
    assert missing.value.code() == grpc.StatusCode.NOT_FOUND
