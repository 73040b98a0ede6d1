"""What a test itself asks of the API server, with all rights and by another way than ours."""

import json
import os
import ssl
import urllib.request
from pathlib import Path

CORE, RIGHTS = "/api/v1/namespaces/default", "/apis/rbac.authorization.k8s.io/v1/namespaces/default"


def config():
    """Return what KUBECONFIG says."""
    return json.loads(Path(os.environ["KUBECONFIG"]).read_text())


def server():
    return config()["clusters"][0]["cluster"]["server"]


def certificate():
    return Path(os.environ["KUBE_LAB"]) / "pki" / "ca.crt"


def ask(method, path, body=None):
    """Return what the API server answers."""
    request = urllib.request.Request(
        ADDRESS + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": "Bearer lab-admin", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(
        request, context=ssl.create_default_context(cafile=certificate()), timeout=10
    ) as answer:
        return json.load(answer)


def pods(system):
    """Return the pods of the workers of a system."""
    return ask("GET", f"{CORE}/pods?labelSelector=supreme-dask/system={system}")["items"]


def account(name, rules=()):
    """Make a service account that has these rights; return a token."""
    kind = {"kind": "Role", "apiGroup": "rbac.authorization.k8s.io", "name": name}
    subject = {"kind": "ServiceAccount", "name": name, "namespace": "default"}
    ask("POST", f"{CORE}/serviceaccounts", {"metadata": {"name": name}})
    if rules:
        ask("POST", f"{RIGHTS}/roles", {"metadata": {"name": name}, "rules": rules})
        ask("POST", f"{RIGHTS}/rolebindings", {"metadata": {"name": name}, "roleRef": kind, "subjects": [subject]})
    return ask("POST", f"{CORE}/serviceaccounts/{name}/token", {"spec": {}})["status"]["token"]


ADDRESS = server() if "KUBE_LAB" in os.environ else ""
