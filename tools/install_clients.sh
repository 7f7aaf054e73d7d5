#!/bin/sh
# Install the clients that tests/clients/, tests/browser/ and `make conformance` want.
#
#   Debian's packages    as root, where there is apt-get; no service is started
#   programs in Go       into .tools/bin, at the versions below, where there is Go
#   a current docker     into .tools/docker, so that Debian's docker stays the usual one
#   clients in Python    into .tools/python, as requirements/clients.txt pins them
#   Jib                  into .tools/maven, as tests/clients/java/pom.xml pins it
#
# What cannot be had is said and left out; the tests skip it, or fail it with CI=true.
# Running this again installs only what is missing or has another version.

set -u
project=$(cd "$(dirname "$0")/.." && pwd)
tools=$project/.tools

debian_packages='docker.io skopeo podman buildah strace docker-registry chromium-headless-shell fonts-dejavu-core nginx caddy'
if ! command -v mvn >/dev/null || ! command -v javac >/dev/null; then
    debian_packages="$debian_packages default-jdk-headless maven"
fi

say() {
    printf 'clients: %s\n' "$*"
}

is_installed() {
    dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q ' installed$'
}

# --- Debian's packages

policy=/usr/sbin/policy-rc.d # Debian asks it before it starts a service

forbid_services() {
    # One that is kept already is from a run that was killed; it stays the right one.
    if [ -e "$policy" ] && [ ! -e "$policy.before-clients" ]; then
        mv "$policy" "$policy.before-clients"
    fi
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap allow_services EXIT
    trap 'exit 130' INT TERM
}

allow_services() {
    rm -f "$policy"
    if [ -e "$policy.before-clients" ]; then
        mv "$policy.before-clients" "$policy"
    fi
    trap - EXIT
}

install_debian_packages() {
    if ! command -v apt-get >/dev/null; then
        say "no apt-get here: Debian's packages are left out"
        return
    fi
    missing=
    for package in $debian_packages; do
        is_installed "$package" || missing="$missing $package"
    done
    if [ -z "$missing" ]; then
        say "Debian's packages are installed"
        return
    fi
    if [ "$(id -u)" -ne 0 ]; then
        say "not root, so these of Debian's packages are left out:$missing"
        return
    fi
    export DEBIAN_FRONTEND=noninteractive
    forbid_services
    apt-get -qq update || say 'apt-get update failed; trying with the lists at hand'
    for package in $missing; do # one by one: one that is unknown keeps no other away
        if apt-get -qq install -y --no-install-recommends "$package" >/dev/null; then
            say "installed $package"
        else
            say "could not install $package"
        fi
    done
    allow_services
}

# --- programs in Go

find_go() {
    for candidate in "$(command -v go)" /usr/local/go/bin/go /usr/lib/go/bin/go \
        "$HOME"/go/bin/go "$HOME"/sdk/go*/bin/go /opt/go/bin/go; do
        if [ -n "$candidate" ] && [ -x "$candidate" ]; then
            printf '%s\n' "$candidate"
            return
        fi
    done
}

install_go_program() { # name, package@version, and another folder than bin
    name=$1
    wanted=$2
    folder=$tools/${3:-bin}
    stamp=$tools/stamps/${3:+$3-}$name
    if [ -x "$folder/$name" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        say "$name is installed: $wanted"
        return
    fi
    rm -f "$stamp"
    started=$(date +%s)
    if GOBIN=$folder GOFLAGS='-p=2' CGO_ENABLED=0 \
        "$go" install -trimpath -ldflags '-s -w' "$wanted"; then
        printf '%s\n' "$wanted" >"$stamp"
        say "installed $name in $(($(date +%s) - started)) s: $wanted"
    else
        say "could not install $name: $wanted"
    fi
}

build_fetch() { # of tests/clients/go, whose go.sum pins the clients in it
    wanted=$(cat "$project"/tests/clients/go/*.go "$project"/tests/clients/go/go.* | cksum)
    stamp=$tools/stamps/fetch
    if [ -x "$tools/bin/fetch" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        say 'fetch is installed'
        return
    fi
    rm -f "$stamp"
    if (cd "$project/tests/clients/go" && GOFLAGS='-p=2' CGO_ENABLED=0 \
        "$go" build -trimpath -ldflags '-s -w' -o "$tools/bin/fetch" .); then
        printf '%s\n' "$wanted" >"$stamp"
        say 'built fetch (oras-go, containerd, stargz-snapshotter)'
    else
        say 'could not build fetch'
    fi
}

install_go_programs() {
    go=$(find_go)
    if [ -z "$go" ]; then
        say 'no Go here: conformance and all clients in Go are left out'
        return
    fi
    say "$("$go" version)"
    mkdir -p "$tools/bin" "$tools/stamps"
    install_go_program conformance \
        github.com/opencontainers/distribution-spec/conformance@v0.0.0-20260831232431-97274622c111
    install_go_program crane github.com/google/go-containerregistry/cmd/crane@v0.22.1
    install_go_program oras oras.land/oras/cmd/oras@v1.3.6
    install_go_program regctl github.com/regclient/regclient/cmd/regctl@v0.11.7
    install_go_program helm helm.sh/helm/v4/cmd/helm@v4.3.1
    install_go_program cosign github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3
    install_go_program ko github.com/google/ko@v0.19.1
    build_fetch
    # A current docker: its engine keeps images in containerd, and builds by buildx.
    install_go_program dockerd github.com/moby/moby/v2/cmd/dockerd@v2.0.0-beta.24 docker
    install_go_program containerd \
        github.com/containerd/containerd/v2/cmd/containerd@v2.4.2 docker
    install_go_program containerd-shim-runc-v2 \
        github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2@v2.4.2 docker
    install_go_program buildx github.com/docker/buildx/cmd/buildx@v0.38.2 docker
}

# --- clients in Python

install_python_clients() {
    wanted=$(cksum <"$project/requirements/clients.txt")
    stamp=$tools/stamps/python
    if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        say 'clients in Python are installed'
        return
    fi
    mkdir -p "$tools/stamps"
    rm -rf "$stamp" "$tools/python"
    if "${PYTHON:-python3}" -m venv "$tools/python" &&
        "$tools/python/bin/python" -m pip install -q --disable-pip-version-check \
            --require-hashes -r "$project/requirements/clients.txt"; then
        printf '%s\n' "$wanted" >"$stamp"
        say 'installed clients in Python (oras, python-dxf)'
    else
        say 'could not install clients in Python'
    fi
}

# --- Jib, a plugin of Maven

install_jib() { # with all that it needs, so that the test asks no server for it
    java=$project/tests/clients/java
    wanted=$(cat "$java/pom.xml" "$java"/src/main/java/*/*.java | cksum)
    stamp=$tools/stamps/jib
    if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        say 'Jib is installed'
        return
    fi
    if ! command -v mvn >/dev/null; then
        say 'no Maven here: Jib is left out'
        return
    fi
    mkdir -p "$tools/stamps"
    rm -rf "$stamp" "$tools/java"
    started=$(date +%s)
    if mvn --batch-mode --quiet -f "$java/pom.xml" "-Dmaven.repo.local=$tools/maven" \
        "-DbuildFolder=$tools/java" \
        -Djib.from.image=scratch -Djib.to.image=hello compile jib:buildTar; then
        rm -rf "$tools"/java/jib-*
        printf '%s\n' "$wanted" >"$stamp"
        say "installed Jib in $(($(date +%s) - started)) s"
    else
        say 'could not install Jib'
    fi
}

install_debian_packages
install_python_clients
install_jib
install_go_programs
exit 0
