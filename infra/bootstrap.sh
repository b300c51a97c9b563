#!/usr/bin/env bash
# Everything that assay needs on this machine, from nothing but Python, Java and Maven. Made once; a repeat takes no time.
#
#   .venv-uv   uv, which makes the others
#   .venv      assay with all it runs and is tested with (requirements/core.lock, dev.lock)
#   .venv-s3   the local object store (requirements/s3.lock), which pins other versions
#   .venv-chaos  the fault proxy of the tests (requirements/chaos.lock), which pins other versions too
#
# Exit code 2, with one line that says what to do, when the machine lacks something that only its owner can install.
set -euo pipefail
cd "$(dirname "$0")/.."

uv_version=0.13.9
unset VIRTUAL_ENV PYTHONPATH PYTHONHOME
export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1

lacking() {
    echo "assay: $1" >&2
    exit 2
}

[ "$(uname -s)" = Linux ] || lacking "the local stack runs on Linux; elsewhere use a container or a virtual machine"

# Java and Maven, for Kafka. As root on Debian or Ubuntu they are installed, else somebody is asked to.
packages=
command -v java >/dev/null || packages="default-jre-headless"
command -v mvn >/dev/null || packages="$packages maven"
if [ -n "$packages" ]; then
    how="install $packages (Debian, Ubuntu: sudo apt-get install $packages), then run this again"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "setup: apt-get install $packages (a minute or two)"
        export DEBIAN_FRONTEND=noninteractive
        { apt-get -qq update && apt-get -qq install -y --no-install-recommends $packages; } >/dev/null </dev/null &&
            command -v java >/dev/null && command -v mvn >/dev/null ||
            lacking "Kafka needs Java 17 and Maven, and apt-get could not install them: $how"
    else
        lacking "Kafka needs Java 17 and Maven: $how"
    fi
fi

# A Python that the locks were made for.
python=
for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || lacking "Python 3.11, 3.12 or 3.13 is needed: install one, or name it: PYTHON=/path/to/python make setup"

if ! [ -x .venv-uv/bin/uv ]; then
    echo "setup: .venv-uv (5 s)"
    rm -rf .venv-uv
    "$python" -m venv .venv-uv >/dev/null ||
        lacking "$python cannot make environments: install its venv module (Debian, Ubuntu: sudo apt-get install python3-venv)"
    .venv-uv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$uv_version"
fi
uv=.venv-uv/bin/uv

# environment DIR TIME LOCK...: what the locks name and nothing else, compiled now, so that no later start pays for it.
environment() {
    local directory=$1 took=$2 stamp
    shift 2
    stamp=$(cat "$@" pyproject.toml | sha256sum)
    if [ "$(cat "$directory/.installed" 2>/dev/null)" = "$stamp" ] && "$directory/bin/python" -c '' 2>/dev/null; then
        return
    fi
    echo "setup: $directory ($took)"
    "$directory/bin/python" -c '' 2>/dev/null || "$uv" venv --quiet --clear --python "$python" "$directory"
    rm -f "$directory/.installed"
    "$uv" pip sync --quiet --python "$directory/bin/python" --compile-bytecode --require-hashes "$@"
    if [ "$directory" = .venv ]; then
        "$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e .
    fi
    echo "$stamp" >"$directory/.installed"
}

environment .venv 'half a minute, with downloads two' requirements/core.lock requirements/dev.lock
environment .venv-s3 'seconds' requirements/s3.lock
environment .venv-chaos 'seconds' requirements/chaos.lock
