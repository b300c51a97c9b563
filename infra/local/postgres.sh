#!/bin/sh
# postgres.sh BIN DATA PORT: the local Postgres, on 127.0.0.1 only; the cluster is made at the first start.
#
# Postgres refuses to run as root. A user namespace makes root look like nobody to it; where namespaces are blocked, it
# runs as nobody indeed. (An ordinary user needs neither.) Nobody, because initdb wants a user that exists.
set -eu
bin=$1 data=$2 port=$3

as='' owner=''
if [ "$(id -u)" = 0 ]; then
    user=$(id -u nobody) group=$(id -g nobody)
    as="unshare --user --map-user=$user --map-group=$group" owner=0:0
    if ! $as true 2>/dev/null; then
        as="setpriv --reuid=$user --regid=$group --clear-groups" owner=$user:$group
    fi
fi
own() { [ -z "$owner" ] || [ "$(stat -c %u:%g "$1")" = "$owner" ] || chown -R "$owner" "$1"; }

if [ ! -f "$data/PG_VERSION" ]; then
    # Made beside and renamed: a start that was killed on the way leaves no half cluster.
    rm -rf "$data.new"
    mkdir -p "$data.new"
    own "$data.new"
    $as "$bin/initdb" -D "$data.new" -U assay -A trust -E UTF8 --locale=C --no-sync
    mv -T "$data.new" "$data" # refuses where something else stands
fi
own "$data"
exec $as "$bin/postgres" -D "$data" -h 127.0.0.1 -p "$port" -k '' -c max_connections=200
