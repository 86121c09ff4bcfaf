"""The size of a log file and the number of old ones: bounds and defaults.

A separate module: the help of `clinit` needs no more of the settings than this.
"""

from __future__ import annotations

LOG_FILE_MIN_BYTES = 4 << 10
"""A single line can be twice as long; a smaller file would be rotated at every line."""

LOG_FILE_MAX_BYTES_DEFAULT = 10 << 20
"""Some days of a quiet cluster, and an editor still opens it."""

LOG_FILE_KEEP_DEFAULT = 5

LOG_FILE_MAX_BYTES = 1 << 40
LOG_FILES_MAX = 1000
