"""What src/bin/grpc_client.rs does and says, by Python's gRPC."""

import queue
import sys

import grpc
import telemetry_pb2 as messages
import telemetry_pb2_grpc as methods


def reading(value, size):
    return messages.Reading(sensor="boiler", value=value, raw=bytes(size))


CODES = {
    grpc.StatusCode.NOT_FOUND: "NotFound",
    grpc.StatusCode.DEADLINE_EXCEEDED: "DeadlineExceeded",
}


with grpc.insecure_channel(sys.argv[1]) as channel:
    client = methods.TelemetryStub(channel)

    answer = client.Latest(messages.Sensor(name="boiler"))
    print(f"latest: {answer.sensor} {answer.value}")
    try:
        client.Latest(messages.Sensor(name="cellar"))
    except grpc.RpcError as error:
        print(f"unknown: {CODES[error.code()]}: {error.details()}")

    values = [answer.value for answer in client.Watch(messages.Watching(name="boiler", readings=1000))]
    print(f"watch: {len(values)} readings, in order: {str(values == list(range(1000))).lower()}")

    summary = client.Record(reading(value, 10_000) for value in range(200))
    print(f"record: {summary.readings} readings, sum {summary.sum}, {summary.raw_bytes} bytes")

    questions = queue.SimpleQueue()
    questions.put(reading(0, 0))
    answers = client.Calibrate(iter(questions.get, None))
    for number in range(100):
        assert next(answers).value == 2 * number
        questions.put(reading(number + 1, 0) if number < 99 else None)
    print(f"calibrate: 100 rounds, and then the end: {str(next(answers, None) is None).lower()}")

    try:
        client.Latest(messages.Sensor(name="boiler", delay_ms=60_000), timeout=0.2)
    except grpc.RpcError as error:
        print(f"late: {CODES[error.code()]}")
    answer = client.Latest(messages.Sensor(name="boiler", delay_ms=1), timeout=30)
    print(f"afterwards: {answer.value}")

    calls = [client.Latest.future(messages.Sensor(name="boiler", delay_ms=10)) for _ in range(100)]
    print(f"at once: {len([call.result() for call in calls])} answers")
