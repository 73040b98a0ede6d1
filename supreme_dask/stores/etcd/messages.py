"""The part of etcd's v3 API that we speak, as message classes built at run time.

They live in a descriptor pool of their own: no generated code that must fit the installed protobuf, and no
clash with another package that registers ``rpc.proto`` in the pool that all share.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "supreme.etcd"
_API = """
message ResponseHeader { uint64 cluster_id = 1; int64 revision = 3; uint64 raft_term = 4; }
message KeyValue {
    bytes key = 1; int64 create_revision = 2; int64 mod_revision = 3; int64 version = 4;
    bytes value = 5; int64 lease = 6;
}
message Event { int32 type = 1; KeyValue kv = 2; KeyValue prev_kv = 3; }

message RangeRequest {
    bytes key = 1; bytes range_end = 2; int64 limit = 3; int64 revision = 4; bool serializable = 7;
    bool count_only = 9;
}
message RangeResponse { ResponseHeader header = 1; repeated KeyValue kvs = 2; bool more = 3; }
message PutRequest { bytes key = 1; bytes value = 2; int64 lease = 3; }
message PutResponse { ResponseHeader header = 1; }
message DeleteRangeRequest { bytes key = 1; bytes range_end = 2; }
message DeleteRangeResponse { ResponseHeader header = 1; int64 deleted = 2; }
message RequestOp { oneof { RangeRequest request_range = 1; PutRequest request_put = 2;
                            DeleteRangeRequest request_delete_range = 3; } }
message ResponseOp { oneof { RangeResponse response_range = 1; PutResponse response_put = 2;
                             DeleteRangeResponse response_delete_range = 3; } }
message Compare { int32 result = 1; int32 target = 2; bytes key = 3;
                  oneof { int64 create_revision = 5; int64 mod_revision = 6; bytes value = 7; } }
message TxnRequest {
    repeated Compare compare = 1; repeated RequestOp success = 2; repeated RequestOp failure = 3;
}
message TxnResponse {
    ResponseHeader header = 1; bool succeeded = 2; repeated ResponseOp responses = 3;
}
message CompactionRequest { int64 revision = 1; }
message CompactionResponse { ResponseHeader header = 1; }

message WatchCreateRequest {
    bytes key = 1; bytes range_end = 2; int64 start_revision = 3; bool progress_notify = 4; bool fragment = 8;
}
message WatchProgressRequest { }
message WatchRequest {
    oneof { WatchCreateRequest create_request = 1; WatchProgressRequest progress_request = 3; }
}
message WatchResponse {
    ResponseHeader header = 1; int64 watch_id = 2; bool created = 3; bool canceled = 4;
    int64 compact_revision = 5; string cancel_reason = 6; bool fragment = 7; repeated Event events = 11;
}

message LeaseGrantRequest { int64 TTL = 1; int64 ID = 2; }
message LeaseGrantResponse { ResponseHeader header = 1; int64 ID = 2; int64 TTL = 3; }
message LeaseRevokeRequest { int64 ID = 1; }
message LeaseRevokeResponse { ResponseHeader header = 1; }
message LeaseKeepAliveRequest { int64 ID = 1; }
message LeaseKeepAliveResponse { ResponseHeader header = 1; int64 ID = 2; int64 TTL = 3; }

message AuthenticateRequest { string name = 1; string password = 2; }
message AuthenticateResponse { ResponseHeader header = 1; string token = 2; }
message StatusRequest { }
message StatusResponse { ResponseHeader header = 1; string version = 2; }
message MemberListRequest { }
message Member { uint64 ID = 1; string name = 2; repeated string clientURLs = 4; }
message MemberListResponse { ResponseHeader header = 1; repeated Member members = 2; }
"""

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "bool": _Field.TYPE_BOOL,
    "bytes": _Field.TYPE_BYTES,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "string": _Field.TYPE_STRING,
    "uint64": _Field.TYPE_UINT64,
}
_FIELD = re.compile(r"(repeated )?(\w+) (\w+) = (\d+);")


def _build() -> Any:
    """Return a namespace of the message classes that `_API` describes."""
    file = descriptor_pb2.FileDescriptorProto(name="supreme/etcd.proto", package=_PACKAGE, syntax="proto3")
    for part in re.split(r"^message ", _API, flags=re.MULTILINE)[1:]:
        name, body = part.split(" ", 1)
        _describe(file.message_type.add(name=name), body)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    classes = {
        message.name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{message.name}"))
        for message in file.message_type
    }
    return type("Messages", (), classes)


def _describe(message: descriptor_pb2.DescriptorProto, body: str) -> None:
    before, _, choices = body.partition("oneof {")
    if choices:
        message.oneof_decl.add(name="choice")
    for text, chosen in ((before, False), (choices, True)):
        for repeated, kind, name, number in _FIELD.findall(text):
            field = message.field.add(name=name, number=int(number))
            field.label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
            field.type = _SCALARS.get(kind, _Field.TYPE_MESSAGE)
            if kind not in _SCALARS:
                field.type_name = f".{_PACKAGE}.{kind}"
            if chosen:
                field.oneof_index = 0


messages: Any = _build()
"""The classes, by name: ``messages.PutRequest(key=b"a")``."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method of the API, and whether sending it twice does what sending it once does."""

    path: str
    request: Any
    response: Any
    repeatable: bool = True

    @classmethod
    def named(cls, service: str, name: str, *, repeatable: bool = True, kind: str = "") -> Method:
        """Return the method whose messages are called after it, or after `kind`."""
        stem = kind or name
        request, response = getattr(messages, f"{stem}Request"), getattr(messages, f"{stem}Response")
        return cls(f"/etcdserverpb.{service}/{name}", request, response, repeatable)


RANGE = Method.named("KV", "Range")
PUT = Method.named("KV", "Put", repeatable=False)
DELETE = Method.named("KV", "DeleteRange", repeatable=False)
TXN = Method.named("KV", "Txn", repeatable=False)
COMPACT = Method.named("KV", "Compact", kind="Compaction")
GRANT = Method.named("Lease", "LeaseGrant")  # a lease granted twice is one that nobody uses, and ends
REVOKE = Method.named("Lease", "LeaseRevoke")
KEEP_ALIVE = Method.named("Lease", "LeaseKeepAlive")
AUTHENTICATE = Method.named("Auth", "Authenticate")
STATUS = Method.named("Maintenance", "Status")
MEMBERS = Method.named("Cluster", "MemberList")
WATCH = Method.named("Watch", "Watch")
