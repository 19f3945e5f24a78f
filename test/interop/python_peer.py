"""zerorpc v3 with nothing but pyzmq and msgpack, as client or server.

    python_peer.py client ENDPOINT [endless]     python_peer.py server
"""
import json
import sys
import time
import uuid

import msgpack
import zmq

HEARTBEAT = 0.3
context = zmq.Context()


def show(value):
    print(json.dumps(value), flush=True)


def pack(name, args, response_to=None):
    header = {"message_id": uuid.uuid4().hex, "v": 3}
    if response_to is not None:
        header["response_to"] = response_to
    return header["message_id"], msgpack.packb([header, name, args], use_bin_type=True)


class Client:
    def __init__(self, endpoint):
        self.socket = context.socket(zmq.DEALER)
        self.socket.connect(endpoint)

    def send(self, name, args, response_to=None):
        message_id, payload = pack(name, args, response_to)
        self.socket.send_multipart([b"", payload])
        return message_id

    def events(self, channel):
        """Events on a channel; keeps it alive, and fails when the other side falls silent."""
        heard = beat = time.monotonic()
        while True:
            now = time.monotonic()
            if now - heard > 2 * HEARTBEAT:
                raise RuntimeError("lost remote")
            if now - beat > HEARTBEAT:
                self.send("_zpc_hb", [0], channel)
                beat = now
            if not self.socket.poll(50):
                continue
            header, name, args = msgpack.unpackb(self.socket.recv_multipart()[1], raw=False)
            if header.get("response_to") != channel:
                continue
            heard = time.monotonic()
            if name != "_zpc_hb":
                yield name, args

    def call(self, method, *args):
        for name, result in self.events(self.send(method, list(args))):
            if name == "ERR":
                return {"error": {"name": result[0], "message": result[1]}}
            return {"value": result[0]}

    def stream(self, method, *args):
        channel = self.send(method, list(args))
        credit = 1
        for name, value in self.events(channel):
            if name == "STREAM_DONE":
                return
            if name == "ERR":
                raise RuntimeError(value)
            yield value
            credit -= 1
            if credit < 50:
                self.send("_zpc_more", [50], channel)
                credit += 50


def client(endpoint, mode):
    peer = Client(endpoint)
    if mode == "endless":
        for value in peer.stream("count", 10**9):
            show({"value": value})
        return
    values = list(peer.stream("count", 5000))
    binary = peer.call("bytes", 1024 * 1024)["value"]
    show({
        "call": peer.call("echo", {"text": "grüße", "list": [1, 2, 3]})["value"],
        "stream": {"count": len(values), "sum": sum(values)},
        "bytes": {"size": len(binary), "isRight": binary == b"\x07" * len(binary)},
        "error": peer.call("fail")["error"],
        "unknown": peer.call("no_such_method")["error"],
        "slow": peer.call("slow", 1500)["value"],
    })


def server():
    socket = context.socket(zmq.ROUTER)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    show({"endpoint": "tcp://127.0.0.1:%d" % port})
    channels = {}
    while True:
        busy = any(channel["credit"] > 0 and channel["values"] for channel in channels.values())
        if socket.poll(0 if busy else 20):
            identity, _, payload = socket.recv_multipart()
            header, name, args = msgpack.unpackb(payload, raw=False)
            take(socket, channels, identity, header, name, args)
        for key, channel in list(channels.items()):
            step(socket, channels, key, channel)


def answer(socket, key, name, args):
    socket.send_multipart([key[0], b"", pack(name, args, key[1])[1]])


def take(socket, channels, identity, header, name, args):
    if header.get("response_to") is not None:
        channel = channels.get((identity, header["response_to"]))
        if channel:
            channel["heard"] = time.monotonic()
            if name == "_zpc_more":
                channel["credit"] += args[0]
        return
    key = (identity, header["message_id"])
    if name == "echo":
        answer(socket, key, "OK", [args[0]])
    elif name == "bytes":
        answer(socket, key, "OK", [b"\x07" * args[0]])
    elif name == "fail":
        answer(socket, key, "ERR", ["ValueError", "as asked", ""])
    elif name in ("slow", "count"):
        now = time.monotonic()
        until = now + args[0] / 1000 if name == "slow" else None
        values = iter(range(args[0])) if name == "count" else None
        channels[key] = {"until": until, "values": values, "credit": 1, "heard": now, "beat": now}
    else:
        answer(socket, key, "ERR", ["NameError", name, ""])


def step(socket, channels, key, channel):
    now = time.monotonic()
    if now - channel["heard"] > 2 * HEARTBEAT:
        show({"lost": True})
        del channels[key]
        return
    if now - channel["beat"] > HEARTBEAT:
        answer(socket, key, "_zpc_hb", [0])
        channel["beat"] = now
    if channel["until"] is not None and now >= channel["until"]:
        answer(socket, key, "OK", ["done"])
        del channels[key]
    while channel["values"] is not None and channel["credit"] > 0:
        value = next(channel["values"], None)
        if value is None:
            answer(socket, key, "STREAM_DONE", None)
            del channels[key]
            return
        answer(socket, key, "STREAM", value)
        channel["credit"] -= 1


if sys.argv[1] == "server":
    server()
else:
    client(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None)
