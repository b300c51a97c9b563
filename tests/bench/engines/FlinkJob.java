import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;

/**
 * Flink SQL from a Kafka topic to Parquet in a mini-cluster of this process: what is there now, then the end.
 *
 * <p>Arguments: bootstrap servers, topic, output directory, the event's columns as SQL. Its columns are the lake's: the
 * envelope and the typed ones.
 */
public class FlinkJob {
  public static void main(String[] arguments) throws Exception {
    String bootstrap = arguments[0], topic = arguments[1], out = arguments[2], event = arguments[3];
    Configuration configuration = new Configuration();
    configuration.setString("parallelism.default", "2");
    configuration.setString("execution.checkpointing.interval", "10 s");
    configuration.setString("execution.checkpointing.dir", "file://" + out + "/checkpoint");
    configuration.setString("table.local-time-zone", "UTC");
    configuration.setString("taskmanager.memory.network.max", "128m");
    TableEnvironment tables =
        TableEnvironment.create(
            EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(configuration).build());
    tables.executeSql(
        "CREATE TABLE messages (_topic STRING METADATA FROM 'topic' VIRTUAL, _partition INT METADATA FROM 'partition' VIRTUAL, "
            + "_offset BIGINT METADATA FROM 'offset' VIRTUAL, _timestamp TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL, "
            + "_key BYTES, " + event + ") WITH ('connector' = 'kafka', 'topic' = '" + topic + "', "
            + "'properties.bootstrap.servers' = '" + bootstrap + "', 'properties.group.id' = 'bench-flink', "
            + "'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset', "
            + "'key.format' = 'raw', 'key.fields' = '_key', 'value.fields-include' = 'EXCEPT_KEY', "
            + "'value.format' = 'json', 'value.json.timestamp-format.standard' = 'ISO-8601')");
    tables.executeSql(
        "CREATE TABLE written (_topic STRING, _partition INT, _offset BIGINT, _timestamp TIMESTAMP_LTZ(3), _key BYTES, "
            + event + ") WITH ('connector' = 'filesystem', 'path' = 'file://" + out + "/rows', 'format' = 'parquet', "
            + "'parquet.compression' = 'ZSTD', 'parquet.write.int64.timestamp' = 'true')");
    String names = event.replaceAll("(`\\w+`) [^,]*", "$1");
    tables
        .executeSql(
            "INSERT INTO written SELECT _topic, _partition, _offset, _timestamp, _key, " + names + " FROM messages")
        .await();
    System.exit(0);
  }
}
