"""The compiled modules run only where they were made from these sources, and the list of them is whole."""

import runpy
import shutil
import sys
import sysconfig
from pathlib import Path

import pytest

from komainu import compiled

SOURCE = Path(compiled.__file__).parent
TOOL = runpy.run_path(str(SOURCE.parent.parent / "tools" / "compiled.py"), run_name="tool")
FITTING = sysconfig.get_config_var("SOABI")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package with one source in each room that counts, and a folder of compiled modules."""
    for room in compiled.RESTS_ON:
        (tmp_path / room).mkdir()
        (tmp_path / room / "words.py").write_text("ONE = 1\n")
    (tmp_path / compiled.FOLDER).mkdir()
    (tmp_path / compiled.FOLDER / "komainu.scheduler.words.so").write_bytes(b"")
    return tmp_path


def tell(package: Path, python: str = FITTING) -> None:
    compiled.tell(package, python)


def test_each_module_of_the_scheduler_is_compiled_or_left_plain() -> None:
    found = {path.stem for path in (SOURCE / "scheduler").glob("*.py")} - {"__init__"}
    listed = {name.rpartition(".")[2] for name in compiled.COMPILED if ".scheduler." in name}
    assert listed | compiled.LEFT_PLAIN == found
    assert not listed & compiled.LEFT_PLAIN


def test_what_is_compiled_needs_nothing_that_is_left_plain_but_to_hand_it_on() -> None:
    """A phase of planning that used a plain module would run at the speed of that."""
    for name in compiled.COMPILED:
        text = SOURCE.parent.joinpath(*name.split(".")).with_suffix(".py").read_text(encoding="utf-8")
        used = {
            word for word in compiled.LEFT_PLAIN if f"import {word}\n" in text or f"scheduler.{word} " in text
        }
        assert used <= ({"explain"} if name.endswith(".plan") else set()), name


def test_modules_made_from_these_sources_are_led_to(package: Path) -> None:
    tell(package)
    finder = compiled.Finder(package)
    spec = finder.find_spec("komainu.scheduler.words", None)
    assert spec is not None
    assert spec.origin == str(package / compiled.FOLDER / "komainu.scheduler.words.so")
    assert finder.find_spec("komainu.scheduler.other", None) is None
    assert finder.find_spec("words", None) is None


@pytest.mark.parametrize("room", compiled.RESTS_ON)
def test_one_byte_changed_and_the_sources_run(package: Path, room: str) -> None:
    tell(package)
    (package / room / "words.py").write_text("ONE = 2\n")
    finder = compiled.Finder(package)
    assert finder.find_spec("komainu.scheduler.words", None) is None
    assert finder.reason() == "it was made from other sources"


def test_a_source_more_and_the_sources_run(package: Path) -> None:
    tell(package)
    (package / "cib" / "new.py").write_text("")
    assert compiled.Finder(package).reason() == "it was made from other sources"


def test_modules_of_another_python_are_left_alone(package: Path) -> None:
    tell(package, "cpython-399-x86_64-linux-gnu")
    assert compiled.Finder(package).reason() == "it was made for cpython-399-x86_64-linux-gnu"


def test_an_administrator_can_have_the_sources_run(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(package)
    monkeypatch.setenv(compiled.PLAIN, "1")
    assert compiled.Finder(package).reason() == "KOMAINU_PLAIN is set"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"python": 3}'])
def test_a_list_that_cannot_be_read_has_the_sources_run(package: Path, text: str) -> None:
    (package / compiled.FOLDER / compiled.LIST).write_text(text)
    assert compiled.Finder(package).find_spec("komainu.scheduler.words", None) is None


def test_what_runs_is_told(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [])
    compiled.offer(package)
    assert compiled.told() == ""
    tell(package)
    compiled.offer(package)
    assert compiled.told() == "the compiled scheduler is used"
    monkeypatch.setattr(sys, "meta_path", [])
    (package / "model" / "words.py").write_text("")
    compiled.offer(package)
    assert compiled.told() == "the compiled scheduler is not used: it was made from other sources"


def test_the_tool_says_what_is_missing_for_building(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CC", "no-such-compiler -O2")
    assert "no C compiler no-such-compiler" in TOOL["obstacle"]()
    monkeypatch.setenv("CC", sys.executable)
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    assert f"headers are missing ({tmp_path / 'Python.h'})" in TOOL["obstacle"]()
    (tmp_path / "Python.h").touch()
    assert TOOL["obstacle"]() == ""


def test_the_tool_says_whether_what_was_built_is_of_these_sources(tmp_path: Path) -> None:
    assert "nothing is built" in TOOL["misfit"](tmp_path)
    package = tmp_path / "stage" / "src" / "komainu"
    for room in compiled.RESTS_ON:
        shutil.copytree(SOURCE / room, package / room, ignore=shutil.ignore_patterns("__pycache__"))
    (package / compiled.FOLDER).mkdir()
    tell(package)
    assert TOOL["misfit"](tmp_path) == ""
    tell(package, "cpython-399-x86_64-linux-gnu")
    assert "would not be used: it was made for cpython-399" in TOOL["misfit"](tmp_path)
    (package / "cib" / "state.py").write_text("")
    assert "other sources" in TOOL["misfit"](tmp_path)
