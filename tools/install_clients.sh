#!/bin/sh
# Install the clients that tests/clients/, tests/browser/ and `make conformance` want.
#
#   Debian's packages    as root, where there is apt-get; no service is started
#   programs in Go       into .tools/bin, at the versions below, where there is Go
#
# What cannot be had is said and left out; the tests skip it, or fail it with CI=true.
# Running this again installs only what is missing or has another version.

set -u
project=$(cd "$(dirname "$0")/.." && pwd)
tools=$project/.tools

debian_packages='docker.io skopeo podman buildah strace docker-registry chromium fonts-dejavu-core'

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

install_go_program() {
    name=$1
    wanted=$2
    stamp=$tools/stamps/$name
    if [ -x "$tools/bin/$name" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        say "$name is installed: $wanted"
        return
    fi
    rm -f "$stamp"
    started=$(date +%s)
    if GOBIN=$tools/bin GOFLAGS='-p=2' CGO_ENABLED=0 \
        "$go" install -trimpath -ldflags '-s -w' "$wanted"; then
        printf '%s\n' "$wanted" >"$stamp"
        say "installed $name in $(($(date +%s) - started)) s: $wanted"
    else
        say "could not install $name: $wanted"
    fi
}

install_go_programs() {
    go=$(find_go)
    if [ -z "$go" ]; then
        say 'no Go here: conformance, crane, oras, regctl, helm and cosign are left out'
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
}

install_debian_packages
install_go_programs
exit 0
