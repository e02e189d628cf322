#!/bin/sh
# Runs the image's steps without a container engine: a clean Debian below FOLDER, the steps of the Dockerfile in it, then the
# entry point as its user with a read-only root. As root, with debootstrap. Usage: container/try-in-root.sh FOLDER [MIRROR]
set -eu
root=$1
mirror=${2:-http://deb.debian.org/debian}
here=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd -P)
step() { echo "== $*"; }

step "a clean Debian 12"
[ -e "$root/etc/os-release" ] || debootstrap --variant=minbase bookworm "$root" "$mirror" >/dev/null
cp /etc/resolv.conf "$root/etc/resolv.conf"
# As this machine reaches its mirror.
for file in /etc/apt/apt.conf.d/*proxy* /etc/apt/apt.conf.d/99*; do [ ! -e "$file" ] || cp "$file" "$root/etc/apt/apt.conf.d/"; done

step "container/install.sh"
cp "$here/container/install.sh" "$root/tmp/install.sh"
chroot "$root" sh -c 'id holdfast >/dev/null 2>&1 || sh /tmp/install.sh'
rm "$root/tmp/install.sh"

step "the package, packed and installed as the build stage does"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$here" && npm pack --silent --pack-destination "$work" >/dev/null)
rm -rf "$root/opt/holdfast"
mkdir -p "$root/opt/holdfast"
cp "$here/container/package.json" "$root/opt/holdfast/"
(cd "$root/opt/holdfast" && npm install --omit=dev --no-audit --no-fund --silent "$work"/holdfast-*.tgz)
cp "$here/node_modules/node/bin/node" "$root/usr/local/bin/node"
ln -sf /opt/holdfast/node_modules/holdfast/dist/cli/main.js "$root/usr/local/bin/holdfast"

step "the entry point, as 10001, on a read-only root"
mkdir -p "$root/data" "$root/data/source"
echo content > "$root/data/source/file"
chown -R 10001:10001 "$root/data"
run() {
  unshare --mount --pid --fork --kill-child sh -c '
    root=$1; shift
    mount --bind "$root" "$root" && mount -o remount,ro,bind "$root"
    mount --bind "$root/data" "$root/data" && mount -o remount,rw,bind "$root/data"
    mount -t tmpfs tmpfs "$root/tmp" && mount -t proc proc "$root/proc"
    exec chroot --userspec=10001:10001 "$root" /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin \
      NODE_OPTIONS=--disable-warning=ExperimentalWarning HOLDFAST_SERVER__DATA_DIR=/data "$@"
  ' sh "$root" "$@"
}
run holdfast --version
run HOLDFAST_MODE=once BACKUP_PATHS=/data/source BACKUP_TARGET=/data/vault holdfast
run holdfast list --vault /data/vault
run sh -c 'touch /opt/x 2>/dev/null && echo "the root can be written" && exit 1 || echo "the root is read-only"; id -u; ls /usr/lib/postgresql'
step "SIGTERM within the time that engines grant"
run HOLDFAST_MODE=all BACKUP_PATHS=/data/source BACKUP_TARGET=/data/vault BACKUP_SCHEDULE='*/2 * * * * *' \
  sh -c 'holdfast & pid=$!; sleep 6; kill -TERM $pid; wait $pid; echo "ended with $?"'
du -sm "$root" | sed 's/\t.*/ MiB in all/'
