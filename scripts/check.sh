#!/bin/sh
# Every check that needs no running cloud: format, lint, types, layers, generated pages. Stops at the first failure.
set -eu
cd "$(dirname "$0")/.."
PATH="$(pwd)/.venv/bin:$PATH"
export PATH

step() {
    echo "== $*"
    "$@"
}

# bench and docs come and go with the code; what is there is checked.
typed=kilonova
for folder in tests scripts bench; do
    if [ -n "$(git ls-files "$folder/*.py")" ]; then
        typed="$typed $folder"
    fi
done

step ruff format --check --quiet .
step ruff check --quiet .
# shellcheck disable=SC2086  # a list of folders
step mypy $typed
step lint-imports --no-logo --no-cache
if [ -e scripts/generate_docs.py ]; then
    step python -m scripts.generate_docs --check
else
    echo "== generated pages: skipped, there is no scripts/generate_docs.py"
fi
