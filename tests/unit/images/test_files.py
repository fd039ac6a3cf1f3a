import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from kilonova.domain.errors import NotFound, TooLarge
from kilonova.images.files import ImageFiles


@pytest.fixture
def files(tmp_path: Path) -> ImageFiles:
    return ImageFiles(tmp_path / "images")


def write(files: ImageFiles, image_id: str, data: bytes) -> None:
    part = files.begin(image_id)
    part.write(data)
    part.finish()


def test_data_has_no_name_until_all_of_it_is_there(files: ImageFiles) -> None:
    part = files.begin("a")
    part.write(b"one")
    assert not files.path("a").exists()
    part.write(b"two")
    part.finish()
    assert files.path("a").read_bytes() == b"onetwo"
    assert [path.name for path in files.path("a").parent.iterdir()] == ["a"]


def test_size_and_hashes_are_counted_on_the_way(files: ImageFiles) -> None:
    part = files.begin("a")
    part.write(b"one")
    part.write(b"two")
    assert part.size == 6
    assert part.checksum == hashlib.md5(b"onetwo").hexdigest()  # noqa: S324  Glance's checksum is MD5
    assert part.hash_value == hashlib.sha512(b"onetwo").hexdigest()
    part.abort()


def test_an_aborted_upload_leaves_nothing(files: ImageFiles) -> None:
    part = files.begin("a")
    part.write(b"one")
    part.abort()
    assert list(files.path("a").parent.iterdir()) == []


def test_aborting_what_was_finished_takes_nothing_away(files: ImageFiles) -> None:
    part = files.begin("a")
    part.write(b"one")
    part.finish()
    part.abort()
    assert files.path("a").read_bytes() == b"one"


def test_a_full_disk_is_told_as_such(files: ImageFiles) -> None:
    files.path("full.part").symlink_to("/dev/full")
    part = files.begin("full")
    with pytest.raises(TooLarge, match="no room left"):
        part.write(bytes(1 << 20))
    part.abort()
    assert list(files.path("full").parent.iterdir()) == []


def test_fetched_data_is_whole_and_outlives_the_image(files: ImageFiles, tmp_path: Path) -> None:
    write(files, "a", b"data")
    files.fetch("a", tmp_path / "copy")
    files.remove("a")
    assert (tmp_path / "copy").read_bytes() == b"data"


def test_data_is_copied_to_another_file_system(files: ImageFiles) -> None:
    memory = Path("/dev/shm")  # noqa: S108  a file system of its own on Linux
    if not memory.is_dir() or memory.stat().st_dev == files.path("a").parent.stat().st_dev:
        pytest.skip("there is no second file system here")
    write(files, "a", b"data")
    with TemporaryDirectory(dir=memory) as elsewhere:
        files.fetch("a", Path(elsewhere) / "copy")
        assert (Path(elsewhere) / "copy").read_bytes() == b"data"
        assert len(list(Path(elsewhere).iterdir())) == 1


def test_what_is_not_there_cannot_be_opened_or_fetched(files: ImageFiles, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        files.open("a")
    with pytest.raises(NotFound):
        files.fetch("a", tmp_path / "copy")


def test_a_sweep_removes_what_belongs_to_no_image(files: ImageFiles) -> None:
    write(files, "kept", b"1")
    write(files, "stray", b"2")
    files.path("half.part").write_bytes(b"3")
    assert files.sweep({"kept"}) == ["half.part", "stray"]
    with files.open("kept") as data:
        assert data.read() == b"1"
