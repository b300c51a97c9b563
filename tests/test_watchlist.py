"""The watch list: one line an account; a fault is named with file, line and value."""

import pytest

from ingest import watchlist
from ingest.errors import Misconfigured
from ingest.settings import ROOT

HEADER = "creator_id,creator_name,platform,account,market,tags\n"


@pytest.fixture
def written(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "watchlist.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_the_project_s_own_watch_list_is_read():
    watched = watchlist.read(ROOT / "dbt_project" / "seeds" / "watchlist.csv")
    assert len(watched) >= 48
    assert len({one.creator_id for one in watched}) >= 40
    assert {one.platform for one in watched} >= {"youtube", "bluesky", "mastodon"}


def test_every_column_is_read_and_the_last_two_may_be_absent(written):
    path = written(HEADER + 'c1,"Ann, the baker",bluesky,@ann.example,DE,bread; rye;\n\nc2,Bob,youtube,@bob,,\n')
    ann, bob = watchlist.read(path)
    assert (ann.creator_name, ann.account, ann.market, ann.tags) == (
        "Ann, the baker",
        "@ann.example",
        "DE",
        ("bread", "rye"),
    )
    assert (bob.market, bob.tags, bob.line) == (None, (), 4)
    short = written("creator_id,creator_name,platform,account\nc1,Ann,bluesky,ann.example\n")
    assert watchlist.read(short)[0].market is None


def test_a_spreadsheet_s_byte_order_mark_and_line_ends_do_no_harm(written):
    path = written("\ufeff" + (HEADER + "c1,Ann,bluesky,ann.example,,\n").replace("\n", "\r\n"))
    assert [one.account for one in watchlist.read(path)] == ["ann.example"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("c1,Ann,myspace,ann,,", "watchlist.csv:2: unknown platform 'myspace'"),
        ("c1,Ann,,ann,,", "watchlist.csv:2: platform empty"),
        ("c1,Ann,bluesky, ,,", "watchlist.csv:2: account empty"),
        ("c1,Ann,bluesky,ann.example,DE,a,b", "watchlist.csv:2: more values than the header"),
        ('c1,"Ann,bluesky,ann.example,,', "no CSV"),
    ],
)
def test_a_fault_is_named_with_its_line(written, line, message):
    with pytest.raises(Misconfigured, match=message.replace(".", r"\.")):
        watchlist.read(written(HEADER + line + "\n"))


def test_all_faults_are_named_at_once(written):
    with pytest.raises(Misconfigured, match=r"(?s)csv:2: .*csv:4: "):
        watchlist.read(written(HEADER + "c1,Ann,x2,a,,\nc2,Bob,bluesky,b.example,,\nc3,Eve,bluesky,,,\n"))


def test_an_account_listed_twice_is_found_in_any_case_and_with_or_without_its_at(written):
    with pytest.raises(Misconfigured, match=r"csv:3: '@Ann\.Example' stands on line 2 too"):
        watchlist.read(written(HEADER + "c1,Ann,bluesky,ann.example,,\nc2,Ann,bluesky,@Ann.Example,,\n"))


def test_channel_ids_that_differ_only_in_case_are_two_accounts(written):
    ids = ["UC" + "a" * 22, "UC" + "A" * 22]
    path = written(HEADER + "".join(f"c{n},Ann,youtube,{one},,\n" for n, one in enumerate(ids)))
    assert [one.account for one in watchlist.read(path)] == ids
    with pytest.raises(Misconfigured, match="line 2 too"):
        watchlist.read(written(HEADER + f"c1,Ann,youtube,{ids[0]},,\nc2,Ann,youtube,{ids[0]},,\n"))


def test_a_line_break_within_quotes_does_not_shift_the_lines(written):
    path = written(HEADER + 'c1,"Ann\nthe baker",bluesky,ann.example,,\nc2,Bob,nowhere,b,,\n')
    with pytest.raises(Misconfigured, match="csv:4: unknown platform"):
        watchlist.read(path)


@pytest.mark.parametrize(
    ("text", "encoding"), [("", "utf-8"), ("a,b\n1,2\n", "utf-8"), (HEADER + "c1,Ännchen,x,y\n", "latin-1")]
)
def test_a_file_that_is_no_watch_list_says_so(written, text, encoding):
    with pytest.raises(Misconfigured, match=r"watchlist\.csv"):
        watchlist.read(written(text, encoding))


def test_a_missing_file_says_how_to_name_another(tmp_path):
    with pytest.raises(Misconfigured, match="ASSAY_WATCHLIST_PATH"):
        watchlist.read(tmp_path / "none.csv")
    with pytest.raises(Misconfigured, match="cannot be read"):
        watchlist.read(tmp_path)
