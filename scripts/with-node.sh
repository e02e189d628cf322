#!/bin/sh
# Runs a TypeScript file of this checkout with Node 24 or newer, after installing the dependencies when they are
# missing or older than package-lock.json. Prints nothing unless it fails.
set -e
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd -P)
stamp="$root/node_modules/.holdfast-installed"
if ! [ "$stamp" -nt "$root/package-lock.json" ]; then
  command -v npm >/dev/null || { echo "holdfast: npm is needed to install the dependencies; install Node.js first" >&2; exit 1; }
  log=$(mktemp)
  # One installer at a time; mkdir is atomic, and a lock whose owner is gone is taken over.
  lock="$root/.install-lock"
  until mkdir "$lock" 2>/dev/null; do
    owner=$(cat "$lock/pid" 2>/dev/null || true)
    if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then rm -rf "$lock"; else sleep 1; fi
  done
  echo $$ > "$lock/pid"
  trap 'rm -rf "$lock" "$log"' EXIT
  if ! [ "$stamp" -nt "$root/package-lock.json" ]; then
    # `npm ci` refuses a lock file that lacks the binaries of other platforms, as registries that do not carry them
    # make it; `npm install` takes the same versions from it.
    if ! (cd "$root" && { npm ci --no-audit --no-fund --loglevel=error ||
      npm install --no-save --no-audit --no-fund --loglevel=error; } >"$log" 2>&1); then
      cat "$log" >&2
      echo "holdfast: the dependencies could not be installed (see above)" >&2
      exit 1
    fi
    : > "$stamp"
  fi
  rm -rf "$lock" "$log"
  trap - EXIT
fi
# Less memory, and no helpers of the collector; a Node that does not know these words goes without.
for flags in "--max-semi-space-size=4 --heap-growing-percent=50 --no-parallel-scavenge" ""; do
  for node in "$root/node_modules/node/bin/node" "$(command -v node || true)"; do
    [ -x "$node" ] && "$node" $flags -e 'process.exit(+process.versions.node.split(".")[0] >= 24 ? 0 : 1)' 2>/dev/null && break 2
    node=
  done
done
[ -n "$node" ] || { echo "holdfast: Node.js 24 or newer is needed, and npm did not bring it" >&2; exit 1; }
file=$1
shift
case "$file" in /*) ;; *) file="$root/$file" ;; esac
PATH="$root/node_modules/.bin:$PATH"
export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-2}" MALLOC_MMAP_THRESHOLD_="${MALLOC_MMAP_THRESHOLD_:-1048576}"
export PATH NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-$root/node_modules/.cache/compile}"
exec "$node" --disable-warning=ExperimentalWarning $flags "$file" "$@"
