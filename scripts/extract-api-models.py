#!/usr/bin/env python3
"""Writes tests/aws/models/*.json: what the published models of AWS' APIs say of the operations that the fake has.

Run it with the Python of an emulator, which brings botocore and with it the models:

    "$(scripts/build-emulators.sh --print moto)/bin/python" scripts/extract-api-models.py

Kept is what the wire shows: the operations, their errors, and the shapes that they reach, without a word of description.
The models are Amazon's, published with botocore under the Apache License 2.0.
"""

import json
import pathlib
import sys

import botocore
import botocore.loaders

OPERATIONS = {
    "ec2": ["CreateNetworkAclEntry", "DeleteNetworkAclEntry", "DescribeNetworkAcls"],
    "rds": [
        "CopyDBClusterSnapshot",
        "CreateDBInstanceReadReplica",
        "DeleteDBInstance",
        "DescribeDBClusterSnapshots",
        "DescribeDBClusters",
        "DescribeDBInstances",
        "DescribeEvents",
        "DescribeGlobalClusters",
        "FailoverGlobalCluster",
        "ModifyDBInstance",
        "PromoteReadReplica",
        "RemoveFromGlobalCluster",
        "StartDBCluster",
        "StartDBInstance",
        "StopDBCluster",
        "StopDBInstance",
        "SwitchoverGlobalCluster",
    ],
    "route53": [
        "ChangeResourceRecordSets",
        "CreateHealthCheck",
        "DeleteHealthCheck",
        "GetChange",
        "GetHealthCheck",
        "GetHealthCheckStatus",
        "GetHostedZone",
        "ListHealthChecks",
        "ListResourceRecordSets",
        "UpdateHealthCheck",
    ],
    "route53-recovery-cluster": [
        "GetRoutingControlState",
        "ListRoutingControls",
        "UpdateRoutingControlState",
        "UpdateRoutingControlStates",
    ],
    "s3": [
        "CreateBucket",
        "DeleteObject",
        "GetBucketLocation",
        "GetBucketPolicy",
        "GetObject",
        "GetPublicAccessBlock",
        "HeadBucket",
        "HeadObject",
        "ListObjectsV2",
        "PutBucketPolicy",
        "PutObject",
        "PutPublicAccessBlock",
    ],
    "sts": ["AssumeRole"],
}
# What the wire shows of a member, and of its shape.
MEMBER = ["location", "locationName"]
SHAPE = ["type", "required", "enum", "min", "max", "flattened", "payload"]
# What no body of these operations has, and tests/aws/src/models would have to learn.
UNKNOWN = ["queryName", "xmlAttribute", "timestampFormat", "flattened"]


def kept(of, keys):
    # What is false is as if it were left out, and of limits the whole numbers are enough.
    return {key: of[key] for key in keys if of.get(key, False) is not False and not isinstance(of[key], float)}


def member(of):
    unknown = [key for key in UNKNOWN if key in of]
    if unknown and of.get("location") != "header":
        sys.exit(f"the check of the fake reads no {unknown[0]}: {of}")
    return {"shape": of["shape"], **kept(of, MEMBER)}


def trim_shape(of):
    trimmed = kept(of, SHAPE)
    if "members" in of:
        trimmed["members"] = {name: member(value) for name, value in of["members"].items()}
    if "member" in of:
        trimmed["member"] = member(of["member"])
    return trimmed


def reach(shapes, name, reached):
    if name in reached:
        return
    reached[name] = trim_shape(shapes[name])
    of = shapes[name]
    for part in [*of.get("members", {}).values(), of.get("member")]:
        if part:
            reach(shapes, part["shape"], reached)


def trim(model, wanted):
    shapes, reached, operations = model["shapes"], {}, {}
    for name in wanted:
        operation = model["operations"][name]
        http = operation["http"]
        trimmed = {"method": http["method"], "errors": {}}
        if "responseCode" in http:
            trimmed["status"] = http["responseCode"]
        # What names the operation in the query: `?list-type=2`.
        trimmed["query"] = [part.split("=")[0] for part in http["requestUri"].partition("?")[2].split("&") if part]
        for side in ("input", "output"):
            if side in operation:
                trimmed[side] = kept(operation[side], ["shape", "resultWrapper", "locationName"])
                reach(shapes, operation[side]["shape"], reached)
        for error in operation.get("errors", []):
            said = shapes[error["shape"]].get("error", {})
            trimmed["errors"][said.get("code", error["shape"])] = said.get("httpStatusCode")
        operations[name] = trimmed
    metadata = model["metadata"]
    head = {"protocol": metadata["protocol"], "from": f"botocore=={botocore.__version__}"}
    return {**head, "operations": operations, "shapes": dict(sorted(reached.items()))}


def write(model):
    """A line for each operation and shape, so that a newer model shows in a diff."""

    def section(of):
        return ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in of.items())

    parts = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in model.items() if isinstance(value, str)]
    parts += [f' "{key}": {{\n{section(model[key])}\n }}' for key in ("operations", "shapes")]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main():
    loader = botocore.loaders.create_loader()
    folder = pathlib.Path(__file__).resolve().parent.parent / "tests/aws/models"
    for service, wanted in OPERATIONS.items():
        model = loader.load_service_model(service, "service-2")
        (folder / f"{service}.json").write_text(write(trim(model, wanted)))


main()
