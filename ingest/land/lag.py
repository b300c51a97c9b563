"""How far landing is behind its logs, as one worker has heard; asks nobody. Pure."""

from ingest.land.chain import Slot
from ingest.land.partition import Partition


class Lag:
    """Of the partitions that a worker holds: where their logs end, and since when records wait."""

    def __init__(self) -> None:
        self._highs: dict[Slot, int] = {}
        self._since: dict[Slot, int] = {}
        self._ends: dict[Slot, int] = {}

    def hold(self, slot: Slot, high: int) -> None:
        """A partition is taken on, or its head was found anew; `high` is where its log ends."""
        self._highs[slot] = high
        self._since.pop(slot, None)
        self._ends.pop(slot, None)

    def heard(self, slot: Slot, high: int) -> None:
        """The log has grown so far, at least."""
        self._highs[slot] = max(self._highs[slot], high)

    def end(self, slot: Slot, offset: int) -> None:
        """Kafka says that nothing lies before the offset any more: a log may end with offsets of no record."""
        self._ends[slot] = offset

    def ended(self, slot: Slot) -> int:
        """The offset that Kafka last named as a log's end; 0 when it named none."""
        return self._ends.get(slot, 0)

    def read(self, slot: Slot, timestamp: int) -> None:
        """Records wait to be landed, the oldest since a moment in Kafka's milliseconds."""
        self._since.setdefault(slot, timestamp)

    def landed(self, slot: Slot) -> None:
        """None wait any more."""
        self._since.pop(slot, None)

    def records(self, partition: Partition) -> int:
        """Records behind the head, as far as was heard."""
        slot = partition.slot
        # While a buffer is being landed, it is empty, but not done.
        reached = partition.head if slot in self._since else max(partition.head, self.ended(slot))
        return max(0, self._highs.get(slot, 0) - reached)

    def since(self, slot: Slot) -> int | None:
        """When the oldest record behind the head arrived, in Kafka's milliseconds; None while none was read."""
        return self._since.get(slot)
