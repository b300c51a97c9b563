"""Airflow's four components as the local stack runs them: their environment, their log-in, their health.

Not `airflow standalone`: it never restarts a dead component and leaves children behind.
"""

import json
from pathlib import Path
from typing import Any

import httpx2

from ingest.kafka import librdkafka
from ingest.platforms import PLATFORMS
from ingest.settings import ROOT, Settings
from ingest.stack import secret

API = "airflow-api"
COMPONENTS = {
    API: "api-server",
    # Their log servers would listen on every interface, on ports that no setting changes.
    "airflow-scheduler": "scheduler --skip-serve-logs",
    "airflow-dag-processor": "dag-processor",
    "airflow-triggerer": "triggerer --skip-serve-logs",
}
"""By the part's name, the arguments of `airflow`."""

USERS = {"admin": "admin", "analyst": "viewer"}
"""Roles of Airflow's simple log-in, by user."""

KAFKA_CONNECTION = "kafka_default"


def pools() -> dict[str, dict[str, object]]:
    """Airflow's pools by name, as `airflow pools import` takes them.

    A platform has one slot: a run keeps the pace and the budget of its credential, and two at once would be twice as
    fast as the platform allows.
    """
    wanted = {f"api_{name}": f"Calls to {name}: one run at a time keeps its pace" for name in PLATFORMS}
    wanted["warehouse"] = "The DuckDB file has one writer"
    return {name: {"slots": 1, "description": text, "include_deferred": False} for name, text in wanted.items()}


def url(settings: Settings) -> str:
    """Where a browser finds Airflow."""
    return f"http://127.0.0.1:{settings.airflow_port}"


def database(settings: Settings, name: str, driver: str = "postgresql") -> str:
    """DSN of a database of the local Postgres."""
    return f"{driver}://assay@127.0.0.1:{settings.postgres_port}/{name}"


def logs(settings: Settings) -> Path:
    """Where the components write the logs of tasks and of DAG files."""
    return settings.var_dir / "airflow" / "logs"


def kafka_connection(settings: Settings) -> str:
    """The connection of the notices' trigger, as JSON. It commits an offset itself, after the event is stored."""
    extra = {
        "group.id": f"{settings.topic_prefix}airflow-notices",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "reconnect.backoff.ms": 500,
        "reconnect.backoff.max.ms": 5000,
        "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 1500,
    }
    return json.dumps({"conn_type": "kafka", "extra": librdkafka(settings) | extra})


def passwords(settings: Settings) -> dict[str, str]:
    """Password by user; made once, kept in `var/secrets/airflow_passwords.json`."""
    made = json.dumps({user: secret.token() for user in USERS})
    kept: dict[str, str] = json.loads(secret.make_once(settings, "airflow_passwords.json", made))
    return kept


def environment(settings: Settings) -> dict[str, str]:
    """The same for all four components; makes the secrets in it at the first call."""
    passwords(settings)
    values = {
        "CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "CORE__EXECUTION_API_SERVER_URL": f"{url(settings)}/execution/",
        "CORE__EXECUTOR": "infra.local.executor.WarmExecutor",
        "CORE__FERNET_KEY": secret.make_once(settings, "airflow_fernet_key", secret.fernet_key()),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__PARALLELISM": "4",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(secret.path(settings, "airflow_passwords.json")),
        "CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in USERS.items()),
        "DATABASE__SQL_ALCHEMY_CONN": database(settings, "airflow", "postgresql+psycopg2"),
        "API__BASE_URL": url(settings),
        "API__HOST": "127.0.0.1",
        "API__PORT": str(settings.airflow_port),
        "API__SECRET_KEY": secret.make_once(settings, "airflow_api_secret", secret.token()),
        "API_AUTH__JWT_SECRET": secret.make_once(settings, "airflow_jwt_secret", secret.token()),
        "DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "LOGGING__BASE_LOG_FOLDER": str(logs(settings)),
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    return {f"AIRFLOW__{name}": value for name, value in values.items()} | {
        "AIRFLOW_HOME": str(logs(settings).parent),
        f"AIRFLOW_CONN_{KAFKA_CONNECTION.upper()}": kafka_connection(settings),
    }


def health(settings: Settings) -> dict[str, bool]:
    """By the part's name, whether Airflow says that it is healthy; empty when the API does not answer."""
    try:
        said = httpx2.get(f"{url(settings)}/api/v2/monitor/health", timeout=5, trust_env=False).json()
    except (httpx2.HTTPError, json.JSONDecodeError):
        return {}
    of = {API: "metadatabase", "airflow-scheduler": "scheduler"}
    of |= {"airflow-dag-processor": "dag_processor", "airflow-triggerer": "triggerer"}
    return {part: (said.get(name) or {}).get("status") == "healthy" for part, name in of.items()}


def ask(settings: Settings, path: str, user: str = "admin") -> Any:
    """A GET of Airflow's API (`/api/v2/…`) as this user. Raises httpx2.HTTPError when it is refused or unanswered."""
    with httpx2.Client(base_url=url(settings), timeout=10, trust_env=False) as client:
        log_in = {"username": user, "password": passwords(settings)[user]}
        token = client.post("/auth/token", json=log_in).raise_for_status().json()["access_token"]
        return client.get(path, headers={"Authorization": f"Bearer {token}"}).raise_for_status().json()
