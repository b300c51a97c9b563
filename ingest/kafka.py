"""How to reach Kafka: the one set of settings in the words of both clients, and why it could not be reached.

confluent-kafka publishes and reads, kafka-python administers, Airflow's trigger is confluent-kafka again. kafka-python
says only that it could not connect, and librdkafka is silent about some wrong protocols: the reason is looked for here.
"""

import socket
import ssl
import time
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient

from ingest.errors import DependencyFailed, Misconfigured
from ingest.settings import Settings

CONNECT_SECONDS = 3.0
REASON_SECONDS = 3.0
"""How long the search for a reason takes at most; the clients have already waited for an answer."""

Configuration = dict[str, str | int | float | bool]


def librdkafka(settings: Settings) -> Configuration:
    """The connection in librdkafka's names. Raises Misconfigured for a file that holds no certificate."""
    _read_certificates(settings)
    chosen: dict[str, str | Path | None] = {"bootstrap.servers": settings.kafka}
    chosen["security.protocol"] = settings.kafka_security_protocol
    if settings.kafka_username:
        chosen["sasl.mechanism"] = settings.kafka_sasl_mechanism
        chosen["sasl.username"] = settings.kafka_username
        chosen["sasl.password"] = settings.kafka_password.get_secret_value()
    chosen["ssl.ca.location"] = settings.kafka_ca_file
    chosen["ssl.certificate.location"] = settings.kafka_certificate_file
    chosen["ssl.key.location"] = settings.kafka_key_file
    return {name: str(value) for name, value in chosen.items() if value is not None}


def kafka_python(settings: Settings) -> dict[str, object]:
    """The connection in kafka-python's names. Raises Misconfigured for a file that holds no certificate."""
    _read_certificates(settings)
    chosen: dict[str, object] = {"bootstrap_servers": settings.kafka.split(",")}
    chosen["security_protocol"] = settings.kafka_security_protocol
    if settings.kafka_username:
        chosen["sasl_mechanism"] = settings.kafka_sasl_mechanism
        chosen["sasl_plain_username"] = settings.kafka_username
        chosen["sasl_plain_password"] = settings.kafka_password.get_secret_value()
    files = {"ssl_cafile": settings.kafka_ca_file, "ssl_certfile": settings.kafka_certificate_file}
    files["ssl_keyfile"] = settings.kafka_key_file
    return chosen | {name: str(file) for name, file in files.items() if file is not None}


def unreachable(settings: Settings, said: object) -> DependencyFailed | Misconfigured:
    """What to raise when a client could not connect, and `said` so: asks the brokers for the reason, within seconds.

    Wrong credentials, an unknown authority and the wrong protocol are Misconfigured: no retry helps.
    """
    fault = _protocol_fault(settings) or _refusal(settings)
    if fault:
        return Misconfigured(f"Kafka at {settings.kafka} does not take us: {fault}")
    return DependencyFailed(
        f"Kafka at {settings.kafka} failed: {said}. Is it up? `assay status`; then run the same again, nothing is lost"
    )


def _protocol_fault(settings: Settings) -> str:
    """Whether a server speaks TLS to somebody who was told that there is none."""
    if settings.kafka_security_protocol.endswith("SSL"):
        return ""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # only whether it is TLS at all
    for server in settings.kafka.split(","):
        host, _, port = server.rpartition(":")
        try:
            with socket.create_connection((host.strip("[] "), int(port)), CONNECT_SECONDS) as plain:
                context.wrap_socket(plain).close()
        except (OSError, ValueError):  # nobody there, or no TLS
            continue
        meant = "SASL_SSL" if settings.kafka_username else "SSL or SASL_SSL"
        return f"{server} speaks TLS, but ASSAY_KAFKA_SECURITY_PROTOCOL={settings.kafka_security_protocol}; set {meant}"
    return ""


def _refusal(settings: Settings) -> str:
    """What a broker has against our credentials or we against its certificate, in librdkafka's words."""
    if settings.kafka_security_protocol == "PLAINTEXT":
        return ""
    told: list[KafkaError] = []
    configuration: dict[str, Any] = librdkafka(settings) | {"error_cb": told.append, "log_level": 0}
    client = AdminClient(configuration)
    end = time.monotonic() + REASON_SECONDS
    while time.monotonic() < end:
        client.poll(0.1)
        for error in told:
            text = error.str().partition("/bootstrap: ")[2] or error.str()
            if error.code() == KafkaError._AUTHENTICATION:
                return f"{text}. Check ASSAY_KAFKA_USERNAME, ASSAY_KAFKA_PASSWORD and ASSAY_KAFKA_SASL_MECHANISM"
            if "certificate verify failed" in text:
                where = settings.kafka_ca_file or "this machine's authorities"
                return f"its certificate is by none of the authorities of {where}. Check ASSAY_KAFKA_CA_FILE"
            if "PLAINTEXT broker listener" in text:
                return (
                    f"it speaks no TLS, but ASSAY_KAFKA_SECURITY_PROTOCOL={settings.kafka_security_protocol}. "
                    "Check the port and the protocol"
                )
            if error.code() == KafkaError._SSL:
                return f"{text}. Check ASSAY_KAFKA_CA_FILE, ASSAY_KAFKA_CERTIFICATE_FILE and ASSAY_KAFKA_KEY_FILE"
    return ""


def _read_certificates(settings: Settings) -> None:
    """The clients' own messages about a bad file name neither the file nor the setting."""
    files = settings.kafka_ca_file, settings.kafka_certificate_file, settings.kafka_key_file
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if files[0]:
            context.load_verify_locations(files[0])
        if files[1]:
            context.load_cert_chain(files[1], files[2])
    except (ssl.SSLError, PermissionError) as error:
        names = ", ".join(str(file) for file in files if file)
        raise Misconfigured(f"ASSAY_KAFKA_…_FILE: one of {names} is not what it should be in PEM: {error}") from error
