#!/bin/sh
# postgres.sh BIN DATA PORT: the local Postgres, on 127.0.0.1 only; the cluster is made at the first start.
#
# Postgres refuses to run as root. A user namespace makes root look like somebody else to it, with no second user on
# the machine; where namespaces are blocked, it runs as nobody. (An ordinary user needs neither.)
set -eu
bin=$1 data=$2 port=$3

as=
if [ "$(id -u)" = 0 ]; then
    if unshare --user --map-user=1000 --map-group=1000 true 2>/dev/null; then
        as='unshare --user --map-user=1000 --map-group=1000'
    else
        as='setpriv --reuid=65534 --regid=65534 --clear-groups'
    fi
fi

if [ ! -f "$data/PG_VERSION" ]; then
    # Made beside and renamed: a start that was killed on the way leaves no half cluster.
    rm -rf "$data.new"
    mkdir -p "$data.new"
    case $as in setpriv*) chown 65534:65534 "$data.new" ;; esac
    $as "$bin/initdb" -D "$data.new" -U assay -A trust -E UTF8 --locale=C --no-sync
    mv -T "$data.new" "$data" # refuses where something else stands
fi
case $as in setpriv*) chown -R 65534:65534 "$data" ;; esac
exec $as "$bin/postgres" -D "$data" -h 127.0.0.1 -p "$port" -k '' -c max_connections=200
