# SPDX-License-Identifier: MIT
"""The calls about state, in the words of a stock client: grpcio against snakepitd."""

import json

import grpc
import pytest

import daemons
import peers

DEADLINE_S = peers.DEADLINE_S
JSON_URL = "type.googleapis.com/google.protobuf.StringValue"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    top = ["sessions:", "  history_max: 4", "  value_max: 1MiB", "  variables_max: 600"]
    with daemons.running(tmp_path_factory.mktemp("d"), top=top) as found:
        yield found


class State:
    """One session of a test, in a stock client's words."""

    def __init__(self, channel, session):
        self.client = peers.Client(channel)
        self.pb = self.client.pb
        self.session = session

    def call(self, method, request_type, **fields):
        fields.setdefault("session_id", self.session)
        request = getattr(self.pb, request_type)(**fields)
        return getattr(self.client.bridge, method)(request, timeout=DEADLINE_S)

    def any(self, text):
        """A google.protobuf.Any with JSON text, as stock peers make it."""
        found = self.pb.GetVariableResponse().variable.value
        found.type_url = JSON_URL
        found.value = text.encode()
        return found

    def begin(self, **fields):
        return self.call("InitializeSession", "InitializeSessionRequest", **fields)

    def register(self, name, value, kind="", **fields):
        if isinstance(fields.get("constraints_json"), dict):
            fields["constraints_json"] = json.dumps(fields["constraints_json"])
        return self.call(
            "RegisterVariable", "RegisterVariableRequest", name=name, type=kind,
            initial_value=self.any(value), **fields,
        )  # fmt: skip

    def get(self, name):
        found = self.call("GetVariable", "GetVariableRequest", variable_identifier=name)
        return found.variable

    def value(self, name):
        return json.loads(self.get(name).value.value)

    def set(self, name, value, **fields):
        return self.call(
            "SetVariable", "SetVariableRequest", variable_identifier=name,
            value=self.any(value), **fields,
        )  # fmt: skip

    def delete(self, name, **fields):
        return self.call(
            "DeleteVariable", "DeleteVariableRequest", variable_identifier=name, **fields
        )

    def names(self, pattern=""):
        found = self.call("ListVariables", "ListVariablesRequest", pattern=pattern)
        return [variable.name for variable in found.variables]

    def set_many(self, atomic=False, **values):
        updates = {name: self.any(value) for name, value in values.items()}
        return self.call(
            "SetVariables", "BatchSetVariablesRequest", updates=updates, atomic=atomic
        )

    def start(self, name, owner):
        return self.call(
            "StartOptimization", "StartOptimizationRequest", variable_identifier=name,
            optimizer_id=owner, optimizer_config={"steps": "10"},
        )  # fmt: skip

    def stop(self, name, **fields):
        return self.call(
            "StopOptimization", "StopOptimizationRequest", variable_identifier=name,
            **fields,
        )  # fmt: skip

    def depend(self, one, other, kind="data"):
        return self.call(
            "AddDependency", "AddDependencyRequest", from_variable=one,
            to_variable=other, dependency_type=kind,
        )  # fmt: skip

    def watch(self, *names, initial=False, **fields):
        request = self.pb.WatchVariablesRequest(
            session_id=self.session, variable_identifiers=names,
            include_initial_values=initial, **fields,
        )  # fmt: skip
        stream = self.client.bridge.WatchVariables(request, timeout=DEADLINE_S)
        stream.initial_metadata()  # the host has begun to watch
        return stream


@pytest.fixture
def channel(stubs, daemon):
    with grpc.insecure_channel(daemon.address, options=peers.UNLIMITED) as found:
        yield found


@pytest.fixture
def state(channel, request):
    found = State(channel, request.node.name)
    assert found.begin(metadata={"user": "Ann"}).success
    yield found
    found.call("CleanupSession", "CleanupSessionRequest")


# What a file of tests calls them: daemon, channel, state.
FIXTURES = (daemon, channel, state)


def refused(call, code, reason, text=""):
    """The call fails with this status and stable name; its details have the text."""
    error, trailers, _ = peers.failure(call)
    assert (error.code().name, trailers.get("snakepit-reason")) == (code, reason), error
    assert text in error.details()
    assert trailers["snakepit-executed"] == "no"
    return error
