"""What one answer says, as events: who saw it, when, by which call, under which id. Pure."""

from datetime import datetime
from typing import Any, Literal

from ingest.collect.call import Call
from ingest.collect.members import MemberKey
from ingest.collect.platform import Listed, Member, Platform, Reading
from ingest.collect.values import normalised
from ingest.events import CONTRACT, AccountObserved, FollowerObserved, PostObserved, event_id, instant

UNKNOWN = ""
"""Stands for the account of something whose account is not known; such an event is never published."""


class Observation:
    """The events of one answer. `at` is the answer's moment; `key` hashes members, where any can be among them."""

    def __init__(
        self, platform: Platform, call: Call, at: datetime, run_id: str, key: MemberKey | None,
        *, consent_id: str | None = None
    ) -> None:  # fmt: skip
        self.at = at
        self.reading = Reading()
        self._call = call
        self._run_id = run_id
        self._key = key
        self._endpoint = call.endpoint.name if call.endpoint else ""
        self._platform = platform.name
        self._common: dict[str, Any] = {
            "contract": CONTRACT,
            "platform": platform.name,
            "observed_at": instant(at),
            "run_id": run_id,
            "endpoint": self._endpoint,
            "collector": platform.collector,
            "authorisation": "consent" if call.grant or self._asks_owner(call) else platform.authorisation,
            "consent_id": consent_id,
        }

    @staticmethod
    def _asks_owner(call: Call) -> bool:
        return call.endpoint is not None and call.endpoint.consent

    def listed(self, post_id: str, published_at: datetime | None) -> bool:
        """Note that a listing shows a post; whether it is to be read, not only listed."""
        self.reading.listed.append(Listed(post_id, published_at))
        since = self._call.since
        return post_id not in self._call.unasked and not (since and published_at and published_at <= since)

    def post(self, account_id: str | None, post_id: str, **fields: Any) -> None:
        """Add a post. Whose it is comes from the answer, else from the work list."""
        owner = account_id or self._call.owners.get(post_id) or self._call.account_id
        event = PostObserved(
            event_id=self._id(PostObserved, owner or UNKNOWN, post_id),
            account_id=owner or UNKNOWN,
            post_id=post_id,
            **self._common,
            **fields,
        )
        if owner:
            self.reading.posts.append(event)
        else:
            self.reading.unowned.append(event)

    def account(self, account_id: str, **fields: Any) -> None:
        """Add an account."""
        self.reading.accounts.append(
            AccountObserved(
                event_id=self._id(AccountObserved, account_id), account_id=account_id, **self._common, **fields
            )
        )

    def member(
        self,
        account_id: str | None,
        native_id: str,
        *,
        relation: Literal["follower", "commenter"],
        comment: tuple[str, str | None] | None = None,
        fallback_account: str = UNKNOWN,
        **fields: Any,
    ) -> None:
        """Add a member of an audience: the id and the comment are hashed here, and nothing else of them is kept.

        `fallback_account` names the audience where its account is not known; such an event is never published.
        """
        if self._key is None:
            raise ValueError("members are only read under a key")
        owner = account_id or self._call.account_id
        member_id = self._key.digest(self._platform, native_id)
        if comment:
            comment_id, written = comment
            fields["comment_key"] = self._key.digest(self._platform, "comment", comment_id)
            fields["comment_length"] = None if written is None else len(written)
            same = normalised(written or "")
            fields["comment_fingerprint"] = self._key.digest(self._platform, "text", same) if same else None
        event = FollowerObserved(
            event_id=self._id(FollowerObserved, owner or UNKNOWN, member_id, relation, fields.get("comment_key") or ""),
            account_id=owner or fallback_account,
            member_id=member_id,
            member_key_id=self._key.key_id,
            relation=relation,
            sample="newest",
            position=len(self.reading.members) + 1,
            **self._common,
            **fields,
        )
        self.reading.members.append(Member(native_id, event))
        if not owner:
            self.reading.unowned.append(event)

    def _id(self, kind: Any, *subject: str) -> str:
        return event_id(kind, self._platform, subject, self._endpoint, self._run_id)
