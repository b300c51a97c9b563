"""Spark Structured Streaming from a Kafka topic to Parquet: what is there now, then the end.

Runs under PySpark's own Python. One micro-batch of everything is Spark's best case. Its columns are the lake's: the
envelope and the typed ones.
"""

import argparse

from pyspark.sql import SparkSession
from pyspark.sql.functions import col, from_json

options = argparse.ArgumentParser(description=__doc__)
for name in ("bootstrap", "topic", "columns", "jars", "out"):
    options.add_argument(f"--{name}", required=True)
asked = options.parse_args()

settings = {
    "spark.jars": asked.jars,
    "spark.ui.enabled": "false",
    "spark.log.level": "WARN",
    "spark.driver.memory": "4g",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}
builder = SparkSession.builder.master("local[2]").appName("bench")
for name, value in settings.items():
    builder = builder.config(name, value)
session = builder.getOrCreate()
messages = (
    session.readStream.format("kafka")
    .option("kafka.bootstrap.servers", asked.bootstrap)
    .option("subscribe", asked.topic)
    .option("startingOffsets", "earliest")
    .load()
)
envelope = [col(name).alias(f"_{name}") for name in ("topic", "partition", "offset", "timestamp", "key")]
rows = messages.select(*envelope, from_json(col("value").cast("string"), asked.columns).alias("event")).select(
    *[f"_{name}" for name in ("topic", "partition", "offset", "timestamp", "key")], "event.*"
)
rows.writeStream.format("parquet").option("path", f"{asked.out}/rows").option(
    "checkpointLocation", f"{asked.out}/checkpoint"
).trigger(availableNow=True).start().awaitTermination()
session.stop()
