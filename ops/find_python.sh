#!/bin/sh
# Prints the Python interpreter to build the environment with: $PYTHON when set, else the first that works of
# python3.11, python3.12, python3.13 and python3. It is run, not only looked up: a pyenv shim exists without working.
works() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}
if [ -n "$PYTHON" ]; then
    works "$PYTHON" && echo "$PYTHON" && exit 0
    echo "PYTHON=$PYTHON is not a working Python 3.11, 3.12 or 3.13." >&2
    exit 1
fi
for candidate in python3.11 python3.12 python3.13 python3; do
    works "$candidate" && echo "$candidate" && exit 0
done
echo "No Python 3.11, 3.12 or 3.13 found. Install one (Debian, Ubuntu: apt-get install python3)," \
    "or name yours: make PYTHON=/path/to/python" >&2
exit 1
