"""A broker behind SASL and TLS: the project's own Kafka once more, with certificates and users of the test's own."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion
from places import free_ports

from ingest.settings import Settings
from ingest.stack.parts import LOCAL, LOOPBACK, classpath_file, is_open, kafka_properties

USER, PASSWORD = "lander", "s3cret, with $igns"
LISTENER = """
listeners=SASL_SSL://127.0.0.1:$SECURE,SSL://127.0.0.1:$MUTUAL,PLAINTEXT://127.0.0.1:$PORT,CONTROLLER://127.0.0.1:$CONTROLLER_PORT
advertised.listeners=SASL_SSL://127.0.0.1:$SECURE,SSL://127.0.0.1:$MUTUAL,PLAINTEXT://127.0.0.1:$PORT,CONTROLLER://127.0.0.1:$CONTROLLER_PORT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config=$LOGIN.plain.PlainLoginModule required user_$USER="$PASSWORD";
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=$LOGIN.scram.ScramLoginModule required;
listener.name.ssl.ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location=$KEYSTORE
ssl.truststore.type=PEM
ssl.truststore.location=$TRUSTED
"""


def certificate(directory: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, which is its own authority, and its key: two PEM files."""
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    subprocess.run(
        (
            "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -addext subjectAltName=IP:127.0.0.1 "
            f"-subj /CN={name} -keyout {key} -out {certificate}"
        ).split(),
        check=True,
        capture_output=True,
    )
    return certificate, key


@contextmanager
def secure_broker(stack: Settings, directory: Path) -> Iterator[dict[str, object]]:
    """What to set to reach the broker as its user over SASL_SSL; ports of its other listeners under `ports`."""
    if not is_open(stack.kafka_port):
        pytest.fail("the stack that has resolved Kafka's jars is not up")
    server, server_key = certificate(directory, "broker")
    client, client_key = certificate(directory, "client")
    keystore = directory / "keystore.pem"
    keystore.write_text(server_key.read_text() + server.read_text())
    free = list(free_ports().values())
    ours = stack.model_copy(
        update={"var_dir": directory, "kafka_port": free[0], "kafka_controller_port": free[1], "kafka_bootstrap": ""}
    )
    text = LISTENER
    words = {"$SECURE": free[2], "$MUTUAL": free[3], "$PORT": free[0], "$CONTROLLER_PORT": free[1]}
    words["$LOGIN"] = "org.apache.kafka.common.security"
    words |= {"$KEYSTORE": keystore, "$TRUSTED": client, "$USER": USER, "$PASSWORD": PASSWORD}
    for word, value in words.items():
        text = text.replace(word, str(value))
    set_here = {line.partition("=")[0] for line in text.splitlines()}
    kept = [line for line in kafka_properties(ours).splitlines() if line.partition("=")[0] not in set_here]
    properties = directory / "kafka.properties"
    properties.write_text("\n".join(kept) + text)
    start = [LOCAL / "kafka.sh", directory / "kafka", properties, classpath_file(stack), LOCAL / "log4j2.properties"]
    keep = [sys.executable, str(LOCAL / "keep.py"), "--", "sh", *map(str, start)]
    with (directory / "kafka.log").open("wb") as log:
        broker = subprocess.Popen(
            keep,
            stdout=log,
            stderr=log,
        )
    try:
        end = time.monotonic() + 60
        while not is_open(free[0]):
            assert broker.poll() is None, (directory / "kafka.log").read_text()
            assert time.monotonic() < end, (directory / "kafka.log").read_text()
            time.sleep(0.1)
        _add_user(free[0])
        yield {
            "kafka_bootstrap": f"{LOOPBACK}:{free[2]}",
            "kafka_security_protocol": "SASL_SSL",
            "kafka_sasl_mechanism": "SCRAM-SHA-512",
            "kafka_username": USER,
            "kafka_password": PASSWORD,
            "kafka_ca_file": server,
            "ports": {"PLAINTEXT": free[0], "SSL": free[3]},
            "client": (client, client_key),
        }
    finally:
        broker.terminate()
        try:
            broker.wait(20)
        except subprocess.TimeoutExpired:
            broker.kill()
            broker.wait()


def _add_user(port: int) -> None:
    admin = AdminClient({"bootstrap.servers": f"{LOOPBACK}:{port}"})
    user = UserScramCredentialUpsertion(
        USER, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), PASSWORD.encode()
    )
    for future in admin.alter_user_scram_credentials([user]).values():
        future.result(20)
