import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from doctor_machines import write

from komainu.network.doctor.checkup import check_up
from komainu.network.doctor.evidence import Evidence, File
from komainu.node.survey.files import FILE_BYTES_MAX, Tree, read_file, read_files

HOSTS = "/etc/hosts"


def test_files_are_read_below_the_root_with_their_mode(tmp_path: Path) -> None:
    write(tmp_path, HOSTS, b"127.0.0.1 localhost\n")
    (tmp_path / "etc/hosts").chmod(0o640)
    os.utime(tmp_path / "etc/hosts", (7, 7))
    came_s = (tmp_path / "etc/hosts").stat().st_ctime
    expected = File(HOSTS, "127.0.0.1 localhost\n", mode=0o640, owner=os.getuid(), changed_s=came_s)
    assert read_files(str(tmp_path)) == {HOSTS: expected}, (
        "a package's file is as old as the package, and new here"
    )


def test_an_absolute_link_begins_at_the_root_of_the_tree(tmp_path: Path) -> None:
    write(tmp_path, "/usr/lib/hosts", b"inside\n")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hosts").symlink_to("/usr/lib/hosts")
    assert read_files(str(tmp_path))[HOSTS].text == "inside\n"
    (tmp_path / "etc/hosts").unlink()
    (tmp_path / "etc/hosts").symlink_to("../../../../../../../../usr/lib/hosts")
    assert read_files(str(tmp_path))[HOSTS].text == "inside\n"


def test_a_link_to_nothing_is_no_file_and_a_circle_is_told(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hosts").symlink_to("/nowhere")
    assert HOSTS not in read_files(str(tmp_path))
    (tmp_path / "etc/hosts").unlink()
    (tmp_path / "etc/hosts").symlink_to("/etc/hosts")
    assert "symbolic links" in read_files(str(tmp_path))[HOSTS].problem
    with pytest.raises(OSError, match="symbolic links"):
        Tree(str(tmp_path)).real(HOSTS)


def test_a_fifo_is_never_waited_for(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    os.mkfifo(tmp_path / "etc/hosts")
    assert read_files(str(tmp_path))[HOSTS].problem == "no plain file"


def test_what_is_too_long_or_no_text_is_told(tmp_path: Path) -> None:
    write(tmp_path, HOSTS, b"x" * (FILE_BYTES_MAX + 1))
    assert "longer than" in read_files(str(tmp_path))[HOSTS].problem
    write(tmp_path, HOSTS, b"\xff\xfe")
    assert read_files(str(tmp_path))[HOSTS].problem == "no UTF-8 text"


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_told(tmp_path: Path) -> None:
    write(tmp_path, HOSTS, b"")
    (tmp_path / "etc/hosts").chmod(0)
    assert read_files(str(tmp_path))[HOSTS].problem == "Permission denied"


def test_a_folder_that_may_not_be_looked_into_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = "/etc/NetworkManager/system-connections"
    write(tmp_path, f"{folder}/one", b"")
    look = Path.iterdir

    def refuse(path: Path) -> Iterator[Path]:
        if str(path).endswith(folder):
            raise PermissionError(13, "Permission denied")
        return look(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    found = read_files(str(tmp_path))
    assert found == {folder: File(folder, problem="Permission denied")}
    assert f"{folder}: could not be" in check_up(Evidence(found)).text()


def test_of_keys_only_the_mode_and_a_short_sum_are_kept(tmp_path: Path) -> None:
    write(tmp_path, "/etc/corosync/authkey", b"secret")
    found = read_files(str(tmp_path))["/etc/corosync/authkey"]
    assert found.text == ""
    assert found.mode == 0o644
    assert len(found.digest) == 8


def test_of_a_key_that_was_replaced_only_the_one_that_seals_counts(tmp_path: Path) -> None:
    sums = []
    for content in (b"new\naccept old\n", b"new\n", b"old\n"):
        write(tmp_path, "/etc/komainu/cluster.key", content)
        sums.append(read_files(str(tmp_path))["/etc/komainu/cluster.key"].digest)
    assert sums[0] == sums[1] != sums[2]


def test_the_kernel_s_own_files_are_read_in_pieces() -> None:
    """Asked for megabytes at once, /proc/sys refuses: "Cannot allocate memory"."""
    found = read_file(Tree("/"), "/proc/sys/kernel/hostname", 32 * 1024 * 1024)
    assert found is not None
    assert (found.text.strip(), found.problem) == (os.uname().nodename, "")


def test_the_running_machine_s_links_are_followed_by_the_kernel(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to("file")
    found = read_file(Tree("/"), str(tmp_path / "link"), 100)
    assert found is not None
    assert (found.text, found.target) == ("text", "file")
