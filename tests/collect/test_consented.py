"""A creator's grant from `assay connect` to the events that only it allows, against the sandbox."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

from ingest.collect.grants import Grants
from ingest.settings import ROOT

NOW = "2026-11-22T10:00:00Z"


def connect(settings, *options, **query):
    """Run the command, open the address that it prints as a browser would, and return how it ended."""
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "assay"), "connect", "youtube", "--now", NOW, "--json", *options],
        env=os.environ | settings.as_environment(),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    address = next((line.strip() for line in process.stderr if line.startswith("http")), None)
    if address:
        address += "".join(f"&{name}={value}" for name, value in query.items())
        request = urllib.request.Request(address, headers={"X-Sandbox-Now": NOW})
        with urllib.request.urlopen(request, timeout=20) as page:
            assert b"close this page" in page.read()
    out, error = process.communicate(timeout=60)
    return process.returncode, out, error


def revoke_at_google(settings, token):
    with urllib.request.urlopen(f"{settings.sandbox}/revoke", f"token={token}".encode(), timeout=20) as answer:
        assert answer.status == 200


def test_a_granted_channel_s_own_figures_are_collected_until_consent_is_withdrawn(
    watch, everybody, truth, on_kafka, assay
):
    found = {one["account"]: one["account_id"] for one in truth("accounts", platform="youtube", at=NOW)}
    granted, other = [name for name in everybody("youtube") if name in found][:2]
    account_id = found[granted]
    settings = watch("youtube", granted, other)

    code, out, error = connect(settings, "--account", account_id, sandbox_account=account_id)
    assert code == 0, error
    [row] = json.loads(out)
    assert (row["account"], row["state"]) == (account_id, "active")

    done = assay(settings, "collect", "youtube", "--now", NOW, "--run-id", "r1")
    assert done.returncode == 0, done.stderr
    events = on_kafka("posts")
    own = [event for event in events if event.authorisation == "consent"]
    assert {event.account_id for event in own} == {account_id}, "and nothing of the other's"
    assert {event.consent_id for event in own} == {row["consent_id"]}
    assert all(event.watch_seconds > 0 and event.shares is not None and event.views is None for event in own)
    public = {event.post_id for event in events if event.account_id == account_id and event.authorisation == "app"}
    assert {event.post_id for event in own} <= public
    assert len(own) > len(public) * 0.8, "all but the newest, whose figures are not there yet"

    grant = Grants(settings).get("youtube", account_id)
    revoke_at_google(settings, grant.refresh_token)
    done = assay(settings, "collect", "youtube", "--now", "2026-11-23T11:00:00Z", "--run-id", "r2")
    assert done.returncode == 0, done.stderr
    assert "the creator withdrew it" in done.stderr
    assert Grants(settings).get("youtube", account_id).state == "withdrawn"
    later = [event for event in on_kafka("posts") if event.run_id == "r2"]
    assert {event.authorisation for event in later} <= {"app"}

    told = on_kafka("consents")
    assert [(event.account_id, event.consent_id, event.state) for event in told] == [
        (account_id, row["consent_id"], "granted"), (account_id, row["consent_id"], "withdrawn")
    ], "each once: by the command and by the run that noticed"  # fmt: skip
    assert told[1].observed_at > told[0].observed_at == told[1].granted_at

    shown = assay(settings, "grants", "--json")
    assert [one["state"] for one in json.loads(shown.stdout)] == ["withdrawn"]
    for text in (out, error, done.stderr, shown.stdout):
        assert not any(token in text for token in grant.secrets)


def test_a_denied_consent_ends_the_command_with_1_and_keeps_nothing(watch, everybody):
    settings = watch("youtube", everybody("youtube")[0])
    code, _, error = connect(settings, sandbox_deny="1")
    assert (code, Grants(settings).all()) == (1, [])
    assert "consent was denied" in error
    assert "Traceback" not in error
