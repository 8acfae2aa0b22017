#!/bin/sh
# Installs logrelay into a virtual environment of its own, in the two steps that the image keeps as separate layers:
#
#     sh deploy/install.sh dependencies <environment>
#     sh deploy/install.sh application <environment>
#
# To be run from the root of the source tree. The first step reads setup.cfg and deploy/constraints.txt only, so that
# a change of logrelay's own code leaves the layer of its dependencies alone. The environment gets no pip: whatever
# runs from it cannot install anything. PYTHON names the interpreter (with pip) to build from.
set -eu

usage() {
    echo "usage: $0 dependencies|application <environment>" >&2
    exit 2
}

[ $# -eq 2 ] || usage
step=$1
environment=$2
python=${PYTHON:-python3}

pip() {
    command=$1
    shift
    "$python" -m pip --python "$environment/bin/python" --no-input --disable-pip-version-check "$command" "$@"
}

case $step in
dependencies)
    "$python" -m venv --without-pip "$environment"
    # Those of logrelay[jwt]: every mode of authentication works in the image. Read into a variable first: a fault on
    # the left of a pipe would pass unseen.
    requirements=$("$python" -c '
import configparser
settings = configparser.ConfigParser(interpolation=None)
settings.read_file(open("setup.cfg", encoding="utf-8"))
print(settings["options"]["install_requires"].strip())
print(settings["options.extras_require"]["jwt"].strip())
')
    # Wheels only: a dependency that would need a compiler fails here, by name.
    printf '%s\n' "$requirements" |
        pip install --no-cache-dir --only-binary :all: --constraint deploy/constraints.txt --requirement /dev/stdin
    ;;
application)
    pip install --no-cache-dir --no-deps '.[jwt]'
    pip check
    "$environment/bin/logrelay" --version
    ;;
*)
    usage
    ;;
esac
