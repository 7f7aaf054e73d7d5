"""Recognizes kinds of clients by their User-Agent. Pure.

The most telling word comes first: podman and skopeo bring containers/image along, and
what is built on Go's libraries may name only those.
"""

UNKNOWN_CLIENT = "other"

KINDS = (  # part of User-Agent, lowercase -> kind
    ("berth", "berth"),
    ("docker/", "docker"),
    ("docker-client/", "docker"),
    ("upstream-client(docker", "docker"),
    ("podman", "podman"),
    ("libpod", "podman"),
    ("buildah", "buildah"),
    ("skopeo", "skopeo"),
    ("cri-o", "cri-o"),
    ("containers/", "containers"),
    ("buildkit", "buildkit"),
    ("nerdctl", "containerd"),
    ("containerd", "containerd"),
    ("helm", "helm"),
    ("oras", "oras"),
    ("cosign", "cosign"),
    ("crane", "crane"),
    ("ko/", "ko"),
    ("kaniko", "kaniko"),
    ("flux", "flux"),
    ("argocd", "argocd"),
    ("trivy", "trivy"),
    ("go-containerregistry", "crane"),
    ("regclient", "regctl"),
    ("regctl", "regctl"),
    ("mozilla/", "browser"),
    ("curl/", "curl"),
)


def client_kind(user_agent: str) -> str:
    """Return the kind of a client, at most 20 characters; ``other`` for the rest."""
    text = user_agent.lower()
    return next((kind for part, kind in KINDS if part in text), UNKNOWN_CLIENT)
