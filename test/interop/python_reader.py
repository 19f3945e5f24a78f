"""Reads a stream from a node with nothing but pyzmq and msgpack: python3 python_reader.py tcp://HOST:PORT NAME

Prints one line of JSON: the names that `list` gives, the descriptor's fields, and for the first, second and last chunk its
SHA-256 (the chunks' own BLAKE3 is not in Python's library).
"""
import hashlib
import json
import sys
import uuid

import msgpack
import zmq

endpoint, name = sys.argv[1:3]
socket = zmq.Context().socket(zmq.DEALER)
socket.connect(endpoint)


def call(method, *args):
    message_id = uuid.uuid4().hex
    socket.send_multipart([b"", msgpack.packb([{"message_id": message_id, "v": 3}, method, list(args)])])
    while True:
        if not socket.poll(5000):
            raise SystemExit(f"{endpoint} does not answer {method}")
        frames = socket.recv_multipart()
        header, kind, result = msgpack.unpackb(frames[1], raw=False)
        if header.get("response_to") != message_id or kind.startswith("_zpc_"):
            continue
        assert len(frames) == 2, "a peer that did not announce payload frames gets none"
        if kind == "ERR":
            raise SystemExit(f"{result[0]}: {result[1]}")
        return result[0]


descriptor = msgpack.unpackb(call("describe", name)["body"], raw=False)
last = descriptor["chunkCount"] - 1
chunks = {}
for index in (0, 1, last):
    answer = call("get", name, index)
    assert answer["status"] == "data" and answer["count"] == 1, answer
    chunks[str(index)] = hashlib.sha256(answer["data"]).hexdigest()
# Numbers may be decimal strings, as the zerorpc command line sends them.
assert call("get", name, str(last + 1))["status"] == "end"
print(json.dumps({
    "names": [row["name"] for row in call("list")],
    "descriptor": {key: descriptor[key] for key in ("name", "epoch", "format", "chunkCount", "chunkBytes")},
    "chunks": chunks,
}))
