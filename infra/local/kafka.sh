#!/bin/sh
# kafka.sh DATA PROPERTIES CLASSPATH_FILE LOG4J: the local broker, one node; its storage is formatted at the first start.
set -eu
data=$1 properties=$2 classpath=$(cat "$3") log4j=$4

if [ ! -f "$data/meta.properties" ]; then
    # A Kafka id: 16 random bytes in URL-safe base64, which may not begin with a dash.
    id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=' | sed 's/^-/A/')
    java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dlog4j2.configurationFile="$log4j" -cp "$classpath" \
        kafka.tools.StorageTool format --standalone -t "$id" -c "$properties"
fi
exec java -Xms256m -Xmx512m -XX:+UseSerialGC -Dlog4j2.configurationFile="$log4j" -cp "$classpath" kafka.Kafka "$properties"
