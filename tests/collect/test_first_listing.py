"""The first listing of an account goes back to the ladder's horizon, over as many runs as that takes."""

from collections import Counter
from datetime import timedelta

import pytest

from tests.collect import conformance as must
from tests.collect.stage import NOW, accounts, sandbox, set_up


@pytest.mark.parametrize(
    ("platform", "listing"),
    [("youtube", "playlistItems"), ("mastodon", "accounts/:id/statuses")],  # without figures, and with them
)
@pytest.mark.parametrize("kind", ["html", "reset"])  # one page that nobody can read, and none at all from then on
def test_one_that_breaks_off_after_a_page_is_read_to_its_end_by_the_next_run(
    platform, listing, kind, tmp_path, monkeypatch
):
    since, most = (NOW - timedelta(days=90)).timestamp(), Counter()
    for post in must.world_posts(platform).values():
        most[post.account.account_id] += since < post.published_at < NOW.timestamp()
    names = {row["account_id"]: row["account"] for row in accounts(platform) if not row["flags"]}
    busiest = next(names[one] for one, _ in most.most_common() if one in names)
    stage = set_up(platform, [busiest], tmp_path, monkeypatch)
    clean = stage.run("collect", "clean")
    stage.store.objects = {}
    stage.fault(kind=kind, endpoint=listing, after=1, times=1 if kind == "html" else 100)
    rough = stage.run("collect", "rough")
    assert len(rough.visible) < len(clean.visible)
    sandbox().faults.clear()
    after = stage.run("collect", "after")
    assert clean.visible == rough.visible | after.visible
