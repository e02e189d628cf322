#!/bin/sh
# The system's part of the image: client programs, time zones, certificates, the user. Run as root in Debian 12.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends ca-certificates tzdata libstdc++6
# PostgreSQL's own repository has all majors; where it cannot be reached Debian's one has to do.
. /etc/os-release
key=/usr/share/keyrings/pgdg.asc
list=/etc/apt/sources.list.d/pgdg.list
if /usr/lib/apt/apt-helper download-file https://www.postgresql.org/media/keys/ACCC4CF8.asc "$key" >/dev/null 2>&1; then
  echo "deb [signed-by=$key] https://apt.postgresql.org/pub/repos/apt $VERSION_CODENAME-pgdg main" > "$list"
  apt-get update -qq || true
fi
if apt-cache show postgresql-client-17 >/dev/null 2>&1; then
  for major in 14 15 16 17 18; do
    apt-get install -y -qq --no-install-recommends "postgresql-client-$major"
  done
else
  echo "install.sh: apt.postgresql.org cannot be reached: only the client of $PRETTY_NAME" >&2
  rm -f "$list" "$key"
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends postgresql-client
fi
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /usr/share/doc /usr/share/man /usr/share/locale
groupadd --gid 10001 holdfast
useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin holdfast
install -d -o 10001 -g 10001 -m 0700 /data
