"""The reference of the landing's bench: the fastest plain way from Kafka to the same Parquet columns, without promises.

librdkafka's batches, Arrow's JSON reader, zstd Parquet, one process. It checks nothing, commits nothing, writes files
anywhere, and dies of the first bad record: what it costs is what reading, parsing and writing cost at least.
"""

import argparse
from pathlib import Path

import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq
from confluent_kafka import Consumer, Message, TopicPartition

from ingest.land.columns import TIMESTAMP, lake_schema, typed_schema

ROWS_AT_ONCE = 50_000
ROWS_PER_FILE = 250_000


def table(messages: list[Message]) -> pa.Table:
    """The messages as rows of the lake's columns."""
    payloads = [message.value() for message in messages]
    typed = pj.read_json(
        pa.BufferReader(b"\n".join(payloads)),
        read_options=pj.ReadOptions(block_size=8 << 20),
        parse_options=pj.ParseOptions(explicit_schema=typed_schema("posts"), unexpected_field_behavior="ignore"),
    )
    envelope = [
        pa.repeat(pa.scalar("posts"), len(messages)),
        pa.array([message.partition() for message in messages], pa.int32()),
        pa.array([message.offset() for message in messages], pa.int64()),
        pa.array([message.timestamp()[1] for message in messages], TIMESTAMP),
        pa.array([message.key() for message in messages], pa.binary()),
        pa.nulls(len(messages), pa.binary()),
        pa.nulls(len(messages), pa.string()),
        pa.nulls(len(messages), pa.string()),
    ]
    return pa.Table.from_arrays([*envelope, *typed.columns], schema=lake_schema("posts"))


def main() -> None:
    """Read that many events of the topic and write them as Parquet files."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--bootstrap", required=True)
    options.add_argument("--topic", required=True)
    options.add_argument("--partitions", type=int, required=True)
    options.add_argument("--events", type=int, required=True)
    options.add_argument("--out", type=Path, required=True)
    asked = options.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    consumer = Consumer(
        {
            "bootstrap.servers": asked.bootstrap,
            "group.id": "reference",
            "enable.auto.commit": False,
            "queued.max.messages.kbytes": 131_072,
            "fetch.message.max.bytes": 4 << 20,
        }
    )
    consumer.assign([TopicPartition(asked.topic, partition, 0) for partition in range(asked.partitions)])
    done, files, in_file, writer = 0, 0, 0, None
    batch: list[Message] = []
    while done < asked.events:
        came = consumer.consume(min(10_000, asked.events - done), 1.0)
        for message in came:
            if message.error():
                raise SystemExit(str(message.error()))
        batch += came
        done += len(came)
        if len(batch) < ROWS_AT_ONCE and done < asked.events:
            continue
        if writer is None:
            writer = pq.ParquetWriter(asked.out / f"{files:05d}.parquet", lake_schema("posts"), compression="zstd")
            files += 1
        writer.write_table(table(batch))
        in_file += len(batch)
        batch.clear()
        if in_file >= ROWS_PER_FILE:
            writer.close()
            writer, in_file = None, 0
    if writer is not None:
        writer.close()
    consumer.close()


if __name__ == "__main__":
    main()
