"""What src/bin/grpc_server.rs serves, by Python's gRPC."""

import time
from concurrent import futures

import grpc
import telemetry_pb2 as messages
import telemetry_pb2_grpc as methods


def known(name, context):
    if name != "boiler":
        context.abort(grpc.StatusCode.NOT_FOUND, f'there is no sensor "{name}"')


class Boiler(methods.TelemetryServicer):
    def Latest(self, request, context):
        known(request.name, context)
        end = time.monotonic() + request.delay_ms / 1000
        while time.monotonic() < end and context.is_active():
            time.sleep(0.001)
        return messages.Reading(sensor=request.name, value=73)

    def Watch(self, request, context):
        known(request.name, context)
        for value in range(request.readings):
            yield messages.Reading(sensor=request.name, value=value)

    def Record(self, readings, context):
        summary = messages.Summary()
        for reading in readings:
            summary.readings += 1
            summary.sum += reading.value
            summary.raw_bytes += len(reading.raw)
        return summary

    def Calibrate(self, readings, context):
        for reading in readings:
            reading.value *= 2
            yield reading


server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
methods.add_TelemetryServicer_to_server(Boiler(), server)
print(f"grpc at 127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
server.start()
server.wait_for_termination()
