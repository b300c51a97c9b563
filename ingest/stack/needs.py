"""What the machine must bring, looked at before anything starts: a wrong machine costs one line, not a half stack."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from ingest.errors import DependencyFailed, Misconfigured
from ingest.settings import ROOT, Settings
from ingest.stack.parts import LOOPBACK, Part, classpath_file

JAVA = 17


def check_machine(settings: Settings, parts: list[Part]) -> None:
    """Raises Misconfigured with the next step when this machine cannot run these parts."""
    if sys.platform != "linux":
        raise Misconfigured("the local stack runs on Linux; elsewhere start it in a container or a virtual machine")
    names = {part.name for part in parts}
    if "kafka" in names:
        check_java()
        if not has_classpath(settings) and shutil.which("mvn") is None:
            raise Misconfigured(
                "Maven is missing (`mvn` is not on the PATH): it fetches Kafka's jars. "
                "Install it (Debian, Ubuntu: `apt-get install maven`), or set ASSAY_KAFKA_BOOTSTRAP"
            )
    for part in parts:
        if part.command[0].startswith(str(ROOT)) and shutil.which(part.command[0]) is None:
            raise Misconfigured(f"{part.title} is not installed ({part.command[0]} is missing). Run `make setup`")


def check_java() -> None:
    """Raises Misconfigured when there is no Java, or one that is too old for Kafka."""
    how = "Install it (Debian, Ubuntu: `apt-get install openjdk-17-jre-headless`), or set ASSAY_KAFKA_BOOTSTRAP"
    try:
        said = subprocess.run(["java", "-version"], capture_output=True, text=True, timeout=60, check=True).stderr
    except FileNotFoundError:
        raise Misconfigured(f"Java {JAVA} is missing (`java` is not on the PATH): Kafka runs on it. {how}") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise Misconfigured(f"`java -version` fails ({error}): Kafka needs Java {JAVA} or newer. {how}") from error
    version = re.search(r'version "(?:1\.)?(\d+)', said)
    if version and int(version[1]) < JAVA:
        raise Misconfigured(f"Java is version {version[1]}: Kafka needs {JAVA} or newer. {how}")


def check_ports(parts: list[Part]) -> None:
    """Raises Misconfigured naming the first port that somebody else listens on, and the setting that moves ours."""
    seen: dict[int, str] = {}
    for part in parts:
        for name, port in part.ports.items():
            variable = f"ASSAY_{name.upper()}"
            if port in seen:
                raise Misconfigured(f"{variable}={port} is the same port as {seen[port]}. Give each part its own")
            seen[port] = variable
            if not is_free(port):
                raise Misconfigured(
                    f"port {port} on {LOOPBACK} is taken, and {part.title} needs it. "
                    f"Stop what listens there (`ss -ltnp 'sport = :{port}'`), or set {variable} to a free port"
                )


def is_free(port: int) -> bool:
    """Whether we could listen on the port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def has_classpath(settings: Settings) -> bool:
    """Whether Kafka's jars were resolved for this pom.xml and are still there."""
    file, pom = classpath_file(settings), ROOT / "infra" / "kafka" / "pom.xml"
    if not file.exists() or file.stat().st_mtime < pom.stat().st_mtime:
        return False
    return all(Path(jar).exists() for jar in file.read_text().strip().split(":"))


def resolve_classpath(settings: Settings) -> None:
    """Let Maven fetch Kafka's jars (43 MB, once) and write their class path. Raises DependencyFailed with its words."""
    file = classpath_file(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f"{file.name}.{os.getpid()}")
    command = ["mvn", "-q", "-B", "-f", str(ROOT / "infra" / "kafka" / "pom.xml"), "dependency:build-classpath"]
    done = subprocess.run([*command, f"-Dmdep.outputFile={beside}"], capture_output=True, text=True, check=False)
    if done.returncode != 0 or not beside.exists():
        words = "\n".join(f"  {line}" for line in (done.stdout + done.stderr).splitlines()[:10])
        raise DependencyFailed(f"Maven could not fetch Kafka's jars (network, or Maven's settings.xml):\n{words}")
    beside.rename(file)
