"""All settings of assay, in one typed object. Nothing else in the project reads the environment.

Each field is `ASSAY_<NAME>` in the environment or in a `.env` file of the working directory. Ports give the addresses
of the local stack; an address set by itself points anywhere else.
"""

import json
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, FilePath, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ingest.errors import Misconfigured

ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Where everything is, and the few choices that a person makes."""

    model_config = SettingsConfigDict(env_prefix="ASSAY_", env_file=".env", extra="ignore", frozen=True)

    # The local stack: ports on 127.0.0.1, and the directory of all its state.
    var_dir: Path = ROOT / "var"
    cache_dir: Path = Field(default=ROOT / "var" / "cache", description="what any stack may use again: where jars are")
    kafka_port: int = 29092
    kafka_controller_port: int = 29093
    s3_port: int = 24566
    postgres_port: int = 25432
    sandbox_port: int = 28000
    airflow_port: int = 28080

    # Kafka
    kafka_bootstrap: str = ""
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_username: str = ""
    kafka_password: SecretStr = SecretStr("")
    kafka_ca_file: FilePath | None = Field(default=None, description="PEM; absent: the machine's authorities")
    kafka_certificate_file: FilePath | None = Field(default=None, description="PEM, for brokers that ask clients too")
    kafka_key_file: FilePath | None = Field(default=None, description="PEM, the key of the certificate")
    kafka_replication: int = 1
    topic_prefix: str = Field(default="", description="put before every topic's name, for a shared cluster")

    # Object storage
    s3_endpoint: str = ""
    s3_region: str = "us-east-1"
    s3_access_key: str = Field(default="assay", description="empty: the AWS chain finds one (profile, role, instance)")
    s3_secret_key: SecretStr = SecretStr("assay-local-only")
    s3_ca_file: FilePath | None = Field(default=None, description="PEM; absent: the machine's authorities")
    s3_timeout_seconds: float = Field(default=60.0, gt=0, description="how long the store may take to answer")
    lake_bucket: str = "lake"

    # Landing
    land_object_rows: int = Field(default=250_000, ge=1, description="rows of one object at most")
    land_object_seconds: float = Field(default=60.0, gt=0, description="age at which a service lands what it has")
    land_session_seconds: float = Field(default=10.0, ge=1, description="silence after which Kafka gives a service up")
    land_poll_seconds: float = Field(default=600.0, ge=1, description="longest pause between reads; more than silence")
    land_memory_mb: int = Field(default=256, ge=16, description="budget of all partitions' buffers together")
    land_metrics_host: str = Field(default="127.0.0.1", description="where a service shows metrics and health")
    land_metrics_port: int | None = Field(
        default=None, ge=0, le=65535, description="0: nowhere; absent: the usual port, if it is free"
    )

    # Lake
    lake_raw_days: int | None = Field(
        default=None, ge=1, description="for how long checked and loaded raw objects are kept; absent: for good"
    )

    # Warehouse and serving
    warehouse_path: Path | None = None
    warehouse_wait_seconds: float = 600.0
    postgres_dsn: SecretStr = SecretStr("")
    bi_role: str = "bi_reader"

    # Collectors
    source: Literal["sandbox", "live"] = "sandbox"
    sandbox_shorten: float = Field(default=1.0, ge=1, description="by what the sandbox divides its rate windows")
    watchlist_path: Path = ROOT / "dbt_project" / "seeds" / "watchlist.csv"
    youtube_api_key: SecretStr = SecretStr("")
    youtube_daily_units: int = Field(default=10_000, ge=0)
    google_client_id: str = ""
    google_client_secret: SecretStr = SecretStr("")
    instagram_app_id: str = ""
    instagram_app_secret: SecretStr = SecretStr("")
    instagram_access_token: SecretStr = Field(default=SecretStr(""), description="of one's own professional account")
    instagram_user_id: str = Field(default="", description="that account, in whose name others are discovered")
    tiktok_client_key: str = ""
    tiktok_client_secret: SecretStr = SecretStr("")
    tiktok_research_eligibility: str = Field(default="", description="reference of the approval; empty: off")
    tiktok_daily_units: int = Field(default=1_000, ge=0, description="requests of the Research API in a UTC day")
    x_bearer_token: SecretStr = SecretStr("")
    x_daily_units: int = Field(default=10_000, ge=0, description="of a UTC day, a unit being a tenth of a cent")
    x_monthly_units: int | None = Field(default=None, ge=0, description="of a calendar month of UTC, besides")
    x_audience_units: int = Field(default=0, ge=0, description="for a sample of one account's followers, 10 each; or 0")
    x_client_id: str = ""
    x_client_secret: SecretStr = SecretStr("")
    reddit_client_id: str = ""
    reddit_client_secret: SecretStr = SecretStr("")
    twitch_client_id: str = ""
    twitch_client_secret: SecretStr = SecretStr("")
    grants_dir: Path | None = Field(default=None, description="where creators' grants are; absent: var/secrets/grants")
    grants_key: SecretStr = Field(default=SecretStr(""), description="encrypts the grants; absent: one is made once")
    audience_sample_size: int = Field(default=300, ge=0)
    member_key: SecretStr = Field(default=SecretStr(""), description="secret of the members' HMAC; `make up` makes one")
    contact: str = Field(default="", description="address shown to platforms in the User-Agent")

    # Operation
    alert_webhook: SecretStr = SecretStr("")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["logfmt", "json"] = "logfmt"

    @field_validator(
        "var_dir",
        "cache_dir",
        "watchlist_path",
        "warehouse_path",
        "grants_dir",
        "kafka_ca_file",
        "kafka_certificate_file",
        "kafka_key_file",
        "s3_ca_file",
    )
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        """The parts of the stack run in directories of their own."""
        return path and path.absolute()

    @model_validator(mode="after")
    def _kafka_is_whole(self) -> Self:
        """A password without SASL would be ignored, and a file without TLS: nobody means that."""
        protocol = self.kafka_security_protocol
        named = bool(self.kafka_username), bool(self.kafka_password.get_secret_value())
        if protocol.startswith("SASL_") and not all(named):
            raise ValueError(f"ASSAY_KAFKA_SECURITY_PROTOCOL={protocol} needs ASSAY_KAFKA_USERNAME and …_PASSWORD")
        if not protocol.startswith("SASL_") and any(named):
            raise ValueError(f"ASSAY_KAFKA_USERNAME and …_PASSWORD need SASL, not {protocol}")
        files = (self.kafka_ca_file, self.kafka_certificate_file, self.kafka_key_file)
        if any(files) and not protocol.endswith("SSL"):
            raise ValueError(f"ASSAY_KAFKA_…_FILE needs SSL or SASL_SSL, not {protocol}")
        if (files[1] is None) != (files[2] is None):
            raise ValueError("ASSAY_KAFKA_CERTIFICATE_FILE and ASSAY_KAFKA_KEY_FILE go together")
        return self

    def credential(self, name: str) -> str:
        """A platform's key, id, secret or token, by its field; empty when there is none.

        The sandbox takes the word `sandbox` for each that is not set.
        """
        value = getattr(self, name)
        text: str = value.get_secret_value() if isinstance(value, SecretStr) else value
        return text or ("sandbox" if self.source == "sandbox" else "")

    def as_environment(self) -> dict[str, str]:
        """What is set, as the `ASSAY_` variables that give a process which we start the same settings."""
        texts = {}
        for name in self.model_fields_set:
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                value = value.get_secret_value()
            if value is not None:
                texts[f"ASSAY_{name.upper()}"] = json.dumps(value) if isinstance(value, dict) else str(value)
        return dict(sorted(texts.items()))

    @cached_property
    def kafka(self) -> str:
        """Bootstrap servers, `host:port,…`."""
        return self.kafka_bootstrap or f"127.0.0.1:{self.kafka_port}"

    @cached_property
    def s3(self) -> str:
        """URL of the S3 API."""
        return self.s3_endpoint or f"http://127.0.0.1:{self.s3_port}"

    @cached_property
    def shorten(self) -> float:
        """By what stated rate windows are shorter than the platforms say."""
        return self.sandbox_shorten if self.source == "sandbox" else 1.0

    @cached_property
    def sandbox(self) -> str:
        """URL of the sandbox of the local stack."""
        return f"http://127.0.0.1:{self.sandbox_port}"

    @cached_property
    def postgres(self) -> str:
        """DSN of the database that marts are published to, `postgresql://…`."""
        return self.postgres_dsn.get_secret_value() or f"postgresql://assay@127.0.0.1:{self.postgres_port}/assay"

    @cached_property
    def warehouse(self) -> Path:
        """The DuckDB file that dbt writes."""
        return self.warehouse_path or self.var_dir / "warehouse" / "assay.duckdb"

    @cached_property
    def docs_dir(self) -> Path:
        """Where Data Docs and dbt docs are written."""
        return self.var_dir / "docs"

    def topic(self, name: str) -> str:
        """The Kafka topic that carries the events of the lake's topic `name`."""
        return self.topic_prefix + name

    @cached_property
    def bi_dsn(self) -> str:
        """DSN for BI tools, with the SELECT-only role; a password, where wanted, is the administrator's."""
        return f"postgresql://{self.bi_role}@{self.postgres.rpartition('@')[2]}"


def load(**overrides: object) -> Settings:
    """Settings from the environment, with `overrides` on top.

    Raises Misconfigured with the variable's name, value and what is wrong with it.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = []
        for fault in error.errors():
            name = "ASSAY_" + "_".join(str(part) for part in fault["loc"]).upper()
            field = Settings.model_fields.get(str(fault["loc"][0])) if fault["loc"] else None
            is_secret = field is not None and field.annotation is SecretStr
            if not fault["loc"]:  # several settings together; the input is all of them
                lines.append(fault["msg"])
                continue
            lines.append(f"{name}={'(hidden)' if is_secret else repr(fault['input'])}: {fault['msg']}")
        raise Misconfigured("settings are wrong:\n  " + "\n  ".join(lines)) from None
