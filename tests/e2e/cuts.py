"""Takes from real nodes what they see of each other: a cable, a switch, the file system."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cluster import Cluster


class Cuts:
    """Lets each node see all directories through links of its own, which can be cut.

    Made before the nodes are started.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._base = cluster.base
        self._nodes = tuple(cluster.nodes)
        for number, node in cluster.nodes.items():
            self._seen(number).mkdir()
            self.return_file_system(number)
            for other in self._nodes:
                self._link(number, other)
            text = node.config.read_text()
            assert f"{self._base}/mfs" in text
            node.config.write_text(text.replace(f"{self._base}/mfs", str(self._view(number))))

    def _view(self, number: int) -> Path:
        return self._base / f"view{number}"

    def _seen(self, number: int) -> Path:
        return self._base / f"seen{number}"

    def _link(self, number: int, other: int) -> None:
        (self._seen(number) / str(other)).symlink_to(self._base / "mfs" / str(other))

    def cut(self, one: int, other: int) -> None:
        """Let two nodes see each other no more."""
        (self._seen(one) / str(other)).unlink()
        (self._seen(other) / str(one)).unlink()

    def heal(self, one: int, other: int) -> None:
        """Let them see each other again."""
        self._link(one, other)
        self._link(other, one)

    def cut_all(self) -> None:
        """Let no node see any other: the switch between them is started again."""
        for pair in combinations(self._nodes, 2):
            self.cut(*pair)

    def heal_all(self, *numbers: int) -> None:
        """Let each of these nodes see each of the others again."""
        for pair in combinations(numbers, 2):
            self.heal(*pair)

    def take_file_system(self, number: int) -> None:
        """Leave a node no file system, not even its own directory."""
        self._view(number).unlink()
        self._view(number).symlink_to(self._base / "nowhere")

    def return_file_system(self, number: int) -> None:
        """Let a node see all that it saw before."""
        self._view(number).unlink(missing_ok=True)
        self._view(number).symlink_to(self._seen(number))
