#!/usr/bin/env bash
# Run the tests of this directory inside a Kubernetes of their own, which ends with them.
#
#   run.sh KUBE [PYTEST OPTIONS]     KUBE: a directory with lab/lab.sh and the packed programs of a control plane
#   run.sh --check KUBE              say what is missing here, if anything is
set -euo pipefail
check=false
if [ "${1:-}" = --check ]; then check=true; shift; fi
kube=$(realpath -m "${1:?directory of the lab}"); shift
here=$(dirname "$(realpath "$0")")
root=$(realpath "$here/../..")

missing=()
[ -x "$kube/lab/lab.sh" ] || missing+=("the lab in $kube")
[ "$(id -u)" = 0 ] || missing+=("the rights of root, for namespaces")
for program in unshare nsenter ip zstd; do command -v "$program" > /dev/null || missing+=("$program: apt-get install util-linux iproute2 zstd"); done
unshare --net --mount --propagation private --pid --fork --mount-proc true 2> /dev/null || missing+=("the right to make namespaces")
if [ ${#missing[@]} != 0 ]; then printf 'The tests on Kubernetes need %s\n' "${missing[@]}" >&2; exit 1; fi
if $check; then exit 0; fi

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
mkdir "$place/bin"
tar --use-compress-program='zstd -d --long=27' -xf "$kube"/kube-*.tar.zst -C "$place/bin"
zstd -dqo "$place/etcd" "$kube"/etcd-*.zst
chmod +x "$place/etcd"

export KUBE_LAB="$place/lab" KUBE_BIN="$place/bin" ETCD="$place/etcd" LAB_PYTHON="$root/.venv/bin/python"
export LAB_IMAGES="{\"supreme-dask:dev\": \"$root/.venv/bin\"}" # what the node runs for this image
export NODES=2 LAB_CONTROL="$kube/lab"
export NFT=true # nothing here goes to a service, which is all that it is for
cd "$root"
"$kube/lab/lab.sh" run "$LAB_PYTHON" -m pytest -m "" tests/kubernetes "$@"
