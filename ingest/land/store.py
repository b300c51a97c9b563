"""The object store, as five methods: put, head, get, list, delete. One implementation: any S3 API through boto3.

Reads may be tried again, and are when an answer was cut short: botocore takes headers that end early for all of them,
and with them half a number for the whole, or nothing for an empty listing. Writes are tried exactly once: a
conditional PUT that the client repeats by itself would meet its own first attempt and report it as somebody else's.
Who writes decides what a retry means.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ResponseStreamingError,
    SSLError,
)
from botocore.parsers import ResponseParserError

from ingest.errors import DependencyFailed, Misconfigured
from ingest.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListObjectsV2OutputTypeDef, PutObjectRequestTypeDef

Answer = TypeVar("Answer")

READS = 4
"""How often a read is tried, by the client while the store answers with an error, by us while answers are cut short."""
CUT_SHORT = (IncompleteReadError, ResponseStreamingError, ResponseParserError, ValueError, KeyError)
"""What comes of an answer that is not whole; half a date is a ValueError, a header that is not there a KeyError."""


NO_CREDENTIALS = (
    "ASSAY_S3_ACCESS_KEY is empty, and the AWS chain (environment, profile, role of the machine) has no credentials"
)


class Put(Enum):
    """What became of a PUT that the store answered."""

    WRITTEN = "written"
    REFUSED = "refused"
    """The condition does not hold. 412: something (perhaps our own earlier attempt) is there already, or the etag is
    another; 404: the object with that etag is gone."""
    CONFLICT = "conflict"
    """409: another conditional write to the key was under way; try again."""


@dataclass(frozen=True)
class Entry:
    """One object, without its body."""

    key: str
    size: int
    etag: str
    metadata: Mapping[str, str]
    """By its names in lower case."""


@dataclass(frozen=True)
class Object:
    """One object, whole."""

    body: bytes
    etag: str


class Store(Protocol):
    """What assay needs of an object store. Every method raises DependencyFailed when the store cannot answer."""

    def put(
        self,
        key: str,
        body: bytes,
        *,
        metadata: Mapping[str, str] | None = None,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> Put:
        """Write one object; with a condition, only if there is none yet, or if its etag is still `if_match`."""

    def head(self, key: str) -> Entry | None:
        """The object's entry with its metadata; None when there is none."""

    def get(self, key: str) -> Object | None:
        """The object; None when there is none."""

    def list(self, prefix: str, *, delimiter: str = "") -> Iterator[str]:
        """Keys that begin with `prefix` in order; with a delimiter, each group once, as its common prefix."""

    def delete(self, key: str) -> None:
        """Remove one object, if it is there."""


def credentials(settings: Settings) -> tuple[str, str, str]:
    """Key, secret and session token ("" where there is none) for readers that are not boto3.

    Those of the settings, or what the AWS chain finds now: environment, profile, role. Raises Misconfigured for none.
    """
    if settings.s3_access_key:
        return settings.s3_access_key, settings.s3_secret_key.get_secret_value(), ""
    found = boto3.Session().get_credentials()
    if found is None:
        raise Misconfigured(NO_CREDENTIALS)
    now = found.get_frozen_credentials()
    return now.access_key or "", now.secret_key or "", now.token or ""


class S3Store:
    """A bucket behind an S3 API."""

    def __init__(self, settings: Settings) -> None:
        self.bucket = settings.lake_bucket
        self._endpoint = settings.s3
        self._reads = self._client(settings, attempts=READS)
        self._writes = self._client(settings, attempts=1)

    @staticmethod
    def _client(settings: Settings, attempts: int) -> "S3Client":
        return boto3.client(
            "s3",
            endpoint_url=settings.s3,
            region_name=settings.s3_region,
            # Without a key, boto3 looks for credentials itself, and renews those that expire.
            aws_access_key_id=settings.s3_access_key or None,
            aws_secret_access_key=settings.s3_secret_key.get_secret_value() if settings.s3_access_key else None,
            verify=str(settings.s3_ca_file) if settings.s3_ca_file else None,
            config=Config(
                retries={"total_max_attempts": attempts, "mode": "standard"},
                connect_timeout=5,
                read_timeout=settings.s3_timeout_seconds,
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def create_bucket(self) -> None:
        """Make the bucket unless it is there."""
        try:
            self._reads.head_bucket(Bucket=self.bucket)
        except ClientError as error:
            if _status(error) != 404:
                raise self._failure("looking for", "", error) from error
            try:
                self._writes.create_bucket(Bucket=self.bucket)
            except (ClientError, BotoCoreError) as refusal:
                raise self._failure("making", "", refusal) from refusal
        except BotoCoreError as error:
            raise self._failure("looking for", "", error) from error

    def put(
        self,
        key: str,
        body: bytes,
        *,
        metadata: Mapping[str, str] | None = None,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> Put:
        request: PutObjectRequestTypeDef = {
            "Bucket": self.bucket,
            "Key": key,
            "Body": body,
            "Metadata": dict(metadata or {}),
        }
        if if_absent:
            request["IfNoneMatch"] = "*"
        if if_match:
            request["IfMatch"] = if_match
        try:
            self._writes.put_object(**request)
        except ClientError as error:
            if _status(error) == 412:
                return Put.REFUSED
            if _status(error) == 409:
                return Put.CONFLICT
            if if_match and _code(error) == "NoSuchKey":
                return Put.REFUSED
            raise self._failure("writing", key, error) from error
        except (BotoCoreError, *CUT_SHORT) as error:
            raise self._failure("writing", key, error) from error
        return Put.WRITTEN

    def head(self, key: str) -> Entry | None:
        def look() -> Entry | None:
            try:
                # A HEAD's answer cannot be told from the beginning of one; a byte of the body proves that it is whole.
                found = self._reads.get_object(Bucket=self.bucket, Key=key, Range="bytes=0-0")
            except ClientError as error:
                if _status(error) == 404 and _code(error) != "NoSuchBucket":
                    return None
                if _status(error) == 416:  # empty: nothing that the chain rests on is
                    found_empty = self._reads.head_object(Bucket=self.bucket, Key=key)
                    return Entry(key, 0, found_empty["ETag"], _names(found_empty["Metadata"]))
                raise
            begin = found["Body"].read()
            if not begin:
                raise IncompleteReadError(actual_bytes=0, expected_bytes=1)
            size = int(found.get("ContentRange", f"/{len(begin)}").rpartition("/")[2])
            return Entry(key, size, found["ETag"], _names(found["Metadata"]))

        return self._whole("looking at", key, look)

    def get(self, key: str) -> Object | None:
        def read() -> Object | None:
            try:
                found = self._reads.get_object(Bucket=self.bucket, Key=key)
            except ClientError as error:
                if _status(error) == 404 and _code(error) != "NoSuchBucket":
                    return None
                raise
            body = found["Body"].read()
            if len(body) != found.get("ContentLength"):
                raise IncompleteReadError(actual_bytes=len(body), expected_bytes=found.get("ContentLength", "unknown"))
            return Object(body, found["ETag"])

        return self._whole("reading", key, read)

    def list(self, prefix: str, *, delimiter: str = "") -> Iterator[str]:
        after: dict[str, str] = {}

        def read() -> "ListObjectsV2OutputTypeDef":
            page = self._reads.list_objects_v2(Bucket=self.bucket, Prefix=prefix, Delimiter=delimiter, **after)  # type: ignore[arg-type]
            if "IsTruncated" not in page:
                raise IncompleteReadError(actual_bytes=0, expected_bytes="unknown")
            return page

        while True:
            page = self._whole("listing", prefix, read)
            names = [entry["Key"] for entry in page.get("Contents", [])]
            names += [group["Prefix"] for group in page.get("CommonPrefixes", [])]
            yield from sorted(names)
            if not page["IsTruncated"]:
                return
            after = {"ContinuationToken": page["NextContinuationToken"]}

    def expiring(self) -> tuple[str, ...]:
        """Prefixes under which lifecycle rules of the store delete objects by themselves; "" is the whole bucket."""
        try:
            rules = self._reads.get_bucket_lifecycle_configuration(Bucket=self.bucket).get("Rules", [])
        except ClientError as error:
            if _code(error) == "NoSuchLifecycleConfiguration":
                return ()
            raise self._failure("asking for the lifecycle rules of", "", error) from error
        except BotoCoreError as error:
            raise self._failure("asking for the lifecycle rules of", "", error) from error
        return tuple(
            rule.get("Filter", {}).get("Prefix", rule.get("Prefix", ""))
            for rule in rules
            if rule["Status"] == "Enabled" and "Expiration" in rule
        )

    def delete(self, key: str) -> None:
        """Remove one object; only upkeep of our own does (landing rule 11)."""
        try:
            self._writes.delete_object(Bucket=self.bucket, Key=key)
        except (ClientError, BotoCoreError) as error:
            raise self._failure("deleting", key, error) from error

    def _whole(self, verb: str, key: str, read: Callable[[], Answer]) -> Answer:
        """A read's whole answer. Raises what `_failure` makes of the last fault."""
        fault: Exception | None = None
        for _ in range(READS):
            try:
                return read()
            except CUT_SHORT as error:
                fault = error
            except (ClientError, BotoCoreError) as error:
                raise self._failure(verb, key, error) from error
        assert fault is not None
        raise self._failure(verb, key, fault) from fault

    def _failure(self, verb: str, key: str, error: Exception) -> DependencyFailed | Misconfigured:
        where = f"s3://{self.bucket}/{key} at {self._endpoint}"
        if isinstance(error, NoCredentialsError | PartialCredentialsError):
            return Misconfigured(NO_CREDENTIALS)
        if isinstance(error, SSLError) and "certificate" in str(error):
            return Misconfigured(f"{self._endpoint} is not who it says it is: {error}. Check ASSAY_S3_CA_FILE")
        if isinstance(error, ClientError) and _status(error) in {400, 401, 403}:
            return Misconfigured(
                f"{verb} {where} was refused: {error}. Check ASSAY_S3_ACCESS_KEY, ASSAY_S3_SECRET_KEY, "
                "ASSAY_S3_REGION and the bucket's policy"
            )
        if isinstance(error, ClientError) and _code(error) == "NoSuchBucket":
            return Misconfigured(f"{verb} {where} failed: there is no bucket {self.bucket!r}. Make it, or `assay up`")
        return DependencyFailed(f"{verb} {where} failed: {error}. Is the store up? `assay status`")


def _names(metadata: Mapping[str, str]) -> dict[str, str]:
    """S3 keeps names in lower case; servers and proxies written in Go capitalise the headers they travel in."""
    return {name.lower(): value for name, value in metadata.items()}


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
