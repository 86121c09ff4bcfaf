"""A log that is rotated while its writers go on."""

from __future__ import annotations

from pathlib import Path

from mosha.cli.logs.files import FileSource


def test_what_is_still_written_into_a_rotated_file_is_read_too(tmp_path: Path) -> None:
    path, rotated = tmp_path / "log", tmp_path / "log.1"
    path.write_bytes(b"one\n")
    source = FileSource(path, follow=True)
    found = source.read()
    path.rename(rotated)
    path.write_bytes(b"three\n")
    while len(found) < 2:
        found += source.read()
    with rotated.open("ab") as late:
        late.write(b"two\n")
    while len(found) < 3:
        found += source.read()
    source.close()
    assert found == [b"one", b"three", b"two"]
