"""An init for a whole cluster, without a head node."""

from __future__ import annotations

__version__ = "1.0.0"
__all__ = ["HA", "__version__"]

TYPE_CHECKING = False  # as in typing, which the fork server can do without
if TYPE_CHECKING:
    from mosha.ha import HA


def __getattr__(name: str) -> object:
    # HA brings the whole monitor along; clinit and the short commands do without it.
    if name == "HA":
        from mosha.ha import HA as ha  # noqa: N811, PLC0415

        return ha
    raise AttributeError(name)
