#!/bin/sh
# airflow-api.sh AIRFLOW MIGRATED POOLS: metadata brought up to date, pools made, then Airflow's API server.
# The other components wait for the file MIGRATED. Everything else is in the environment (ingest/stack/airflow.py).
set -eu
airflow=$1 migrated=$2 pools=$3
"$airflow" db migrate
touch "$migrated"
"$airflow" pools import "$pools"
exec "$airflow" api-server
