"""Workers as pods of Kubernetes: what a pod is and says, what is asked of the API server, and the provisioner."""

from supreme_dask.errors import MissingExtraError

try:
    import kr8s as _kr8s  # noqa: F401
except ImportError as error:
    raise MissingExtraError("kubernetes", "Workers on Kubernetes") from error
