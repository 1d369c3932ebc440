"""`id2face anonymize` with a stand-in for the networks: files, exit status, report, fail closed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from id2face_core.cli import anonymize as command
from id2face_core.cli import report
from id2face_core.cli.main import main
from id2face_core.errors import AssetMissingError
from id2face_core.options import AnonymizeOptions, FaceRecord, PictureResult

KEY = bytes(range(32)).hex()


class StandIn:
    """Inverts pictures. The red value of the first pixel tells what happens:

    10 withheld, 20 no face, 30 crash, 40 Ctrl-C, 50 skipped.
    """

    calls: list[tuple[int, AnonymizeOptions]] = []
    detectors: Any = None
    policy_withholds = False

    @classmethod
    def from_pretrained(cls, model_dir: Path | None = None, *, device: str = "auto", detectors: Any = ()) -> StandIn:
        if device == "nowhere":
            raise AssetMissingError("generator is not there; run: id2face setup")
        cls.calls, cls.detectors = [], detectors
        return cls()

    def anonymize(self, pictures: Any, options: AnonymizeOptions, *, progress: Any = None, interrupted: Any = None):
        self.calls.append((len(pictures), options))
        return [self._one(picture, options) for picture in pictures]

    def _one(self, picture: np.ndarray, options: AnonymizeOptions) -> PictureResult:
        code = int(round(int(picture[0, 0, 0]) / 10) * 10)
        if code == 30:
            raise RuntimeError("secret detail")
        if code == 40:
            raise KeyboardInterrupt
        mask = np.zeros(picture.shape[:2], np.float32)
        box = [1.0, 2.0, 3.333, 4.0]
        if code == 20:
            return PictureResult(picture, mask, "no_face", [])
        if code == 50:
            return PictureResult(picture, mask, "skipped", [FaceRecord(box, "skipped", "not selected")])
        if code == 10:
            kept = None if options.policy == "withhold" else 255 - picture
            return PictureResult(kept, mask, "withheld", [FaceRecord(box, "withheld", "profile")])
        return PictureResult(255 - picture, mask, "anonymized", [FaceRecord(box, "anonymized")])


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module = SimpleNamespace(Anonymizer=StandIn, AnonymizeOptions=AnonymizeOptions)
    monkeypatch.setattr(command, "load_pipeline", lambda: module)
    monkeypatch.setattr(report, "weights_digest", lambda: "0" * 64)
    monkeypatch.chdir(tmp_path)


def picture(path: Path, level: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((24, 32, 3), level, np.uint8)).save(path)
    return path


def run(*arguments: object) -> int:
    return main(["anonymize", *map(str, arguments)])


def test_files_and_folders_keep_their_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    single = picture(tmp_path / "one.png")
    picture(tmp_path / "album" / "a.JPG")
    picture(tmp_path / "album" / "trip" / "b.png")
    (tmp_path / "album" / "notes.txt").write_text("not a picture")
    before = single.read_bytes()
    assert run(single, tmp_path / "album", "--output", tmp_path / "out") == 0
    written = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert written == {"one.png", os.path.join("trip", "b.png"), "a.JPG"}
    assert np.asarray(Image.open(tmp_path / "out" / "one.png"))[0, 0, 0] == 155
    assert single.read_bytes() == before
    assert capsys.readouterr().err == ""


def test_one_bad_file_is_named_and_the_others_are_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, held = picture(tmp_path / "good.png"), picture(tmp_path / "held.png", 10)
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"")
    code = run(bad, tmp_path / "absent.png", held, good, "--output", "out", "--report", "r/report.json")
    assert code == 4  # before 3
    lines = capsys.readouterr().err.splitlines()
    for name, count in (("bad.jpg", 1), ("absent.png", 1), ("held.png", 1), ("good.png", 0)):
        assert sum(name in line for line in lines) == count
    document = json.loads((tmp_path / "r" / "report.json").read_text())
    assert document["schema"] == "id2face-report/1" and document["model"]["sha256"] == "0" * 64
    rows = {Path(row["input"]).name: row for row in document["images"]}
    assert {name: row["status"] for name, row in rows.items()} == {
        "bad.jpg": "unreadable", "absent.png": "unreadable", "held.png": "withheld", "good.png": "anonymized",
    }  # fmt: skip
    assert rows["bad.jpg"]["output"] is None and rows["good.png"]["output"] == os.path.join("out", "good.png")
    assert rows["held.png"]["faces"] == [{"box": [1.0, 2.0, 3.33, 4.0], "status": "withheld", "reason": "profile"}]
    assert not list(tmp_path.rglob("*.tmp")) and not list((tmp_path / "r").glob(".*"))


def test_withheld_faces_exit_3_and_the_policy_may_withhold_the_file(tmp_path: Path) -> None:
    held = picture(tmp_path / "held.png", 10)
    assert run(held, "--output", "out") == 3 and (tmp_path / "out" / "held.png").exists()
    assert run(held, "--output", "other", "--policy", "withhold") == 3
    assert not (tmp_path / "other" / "held.png").exists()


def test_a_crash_writes_nothing_and_tells_no_detail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(picture(tmp_path / "x.png", 30), picture(tmp_path / "y.png"), "--output", "out") == 3
    assert not (tmp_path / "out" / "x.png").exists() and (tmp_path / "out" / "y.png").exists()
    error = capsys.readouterr().err
    assert "x.png" in error and "secret detail" not in error and "Traceback" not in error


def test_no_face_is_said_and_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(picture(tmp_path / "x.png", 20), "--output", "out") == 0
    assert "no face" in capsys.readouterr().err


def test_options_arrive(tmp_path: Path) -> None:
    arguments = "--seed 7 --mode exact --steps 9 --preset strict --policy blur --faces 0,2 --keep age --keep sex"
    changes = ("--set", "age=40", "--set", "sex=female")
    code = run(picture(tmp_path / "x.png"), "--output", "out", *arguments.split(), *changes)
    assert code == 0
    assert StandIn.calls[0][1] == AnonymizeOptions(
        seed=7, mode="exact", steps=9, preset="strict", policy="blur", faces=(0, 2), keep=("age", "sex"),
        set={"age": 40.0, "sex": "female"},
    )  # fmt: skip


def test_a_key_takes_all_pictures_in_one_call_and_stays_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "key.txt"
    key.write_text(KEY + "\n")
    key.chmod(0o644)
    pictures = [picture(tmp_path / f"{i}.png") for i in range(3)]
    assert run(*pictures, "--output", "out", "--key-file", key, "--mode", "keyed", "--report", "r.json") == 0
    assert [count for count, _ in StandIn.calls] == [3] and StandIn.calls[0][1].key == bytes(range(32))
    output = capsys.readouterr()
    assert ("chmod 600" in output.err) == (os.name != "nt")
    assert KEY[:16] not in output.err + output.out + (tmp_path / "r.json").read_text()
    assert run(*pictures, "--output", "out") == 0
    assert [count for count, _ in StandIn.calls] == [1, 1, 1]


@pytest.mark.parametrize(
    "arguments",
    [
        "x.png",
        "x.png --output",
        "--output out",
        "x.png --output out --mode sideways",
        "x.png --output out --faces 1,a",
        "x.png --output out --set age",
        "x.png --output out --steps 0",
        "x.png --output out --steps 101",
        "x.png --output out --mode keyed",
        "x.png --output .",
        "x.png x.png --output out",
        "x.png sub/x.png --output out",
        "sub --output sub/out",
        "sub --output sub",
        "x.png --output out --key-file absent.key",
        "x.png --output out --report x.png",
        "x.png --output x.png",
        "x.png --output taken",
        "sub sub/x.png --output out",
    ],
)
def test_wrong_usage_is_2_with_a_reason_and_without_traces(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: str
) -> None:
    original = picture(tmp_path / "x.png").read_bytes()
    picture(tmp_path / "sub" / "x.png")
    (tmp_path / "taken" / "x.png").mkdir(parents=True)
    assert run(*arguments.split()) == 2
    error = capsys.readouterr().err
    assert error and "Traceback" not in error
    assert (tmp_path / "x.png").read_bytes() == original and not (tmp_path / "out" / "x.png").exists()


@pytest.mark.parametrize("other", ["X\u00c9.png", "xe\u0301.png"])
def test_names_that_some_systems_take_for_one_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], other: str
) -> None:
    one, two = picture(tmp_path / "a" / "x\u00e9.png"), picture(tmp_path / "b" / other)
    assert run(one, two, "--output", tmp_path / "out") == 2 and "both become" in capsys.readouterr().err


def test_an_output_that_is_a_link_to_the_input_is_refused(tmp_path: Path) -> None:
    source = picture(tmp_path / "in" / "x.png")
    (tmp_path / "out").mkdir()
    os.link(source, tmp_path / "out" / "x.png")
    before = source.read_bytes()
    assert run(source, "--output", tmp_path / "out") == 2 and source.read_bytes() == before


def test_an_unwritable_output_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert run(picture(tmp_path / "x.png"), "--output", tmp_path / "file" / "out") == 2
    assert "cannot write" in capsys.readouterr().err


def test_without_setup_the_command_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(picture(tmp_path / "x.png"), "--output", "out", "--device", "nowhere") == 1
    assert capsys.readouterr().err.strip().endswith("run: id2face setup")


def test_an_empty_folder_is_an_unreadable_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert run("empty", "--output", "out") == 4
    assert "no pictures" in capsys.readouterr().err


def test_the_detectors_arrive(tmp_path: Path) -> None:
    assert run(picture(tmp_path / "x.png"), "--output", "out") == 0 and StandIn.detectors == ("centerface",)
    wish = ("--detector", "centerface", "--detector", "insightface:buffalo_s")
    assert run(picture(tmp_path / "x.png"), "--output", "out", *wish) == 0
    assert StandIn.detectors == ("centerface", "insightface:buffalo_s")


@pytest.mark.parametrize("change,expected", [("age=+10", "+10"), ("age=-10", "-10"), ("age=40", 40.0), ("sex=male", "male")])
def test_a_sign_makes_a_change_relative(tmp_path: Path, change: str, expected: float | str) -> None:
    assert run(picture(tmp_path / "x.png"), "--output", "out", "--set", change) == 0
    assert dict(StandIn.calls[0][1].set) == {change.split("=")[0]: expected}


def bad_files(folder: Path) -> dict[str, str]:
    """Files that nothing can be made of, and what has to be said about each."""
    good = picture(folder / "good.png")
    whole = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(whole).save(folder / "truncated.jpg")
    data = (folder / "truncated.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(data[: len(data) // 2])
    (folder / "text.jpg").write_text("no picture")
    (folder / "empty.png").touch()
    frames = [Image.new("RGB", (8, 8), (i * 60, 0, 0)) for i in range(3)]
    frames[0].save(folder / "moving.webp", save_all=True, append_images=frames[1:])
    Image.new("1", (20000, 7000)).save(folder / "huge.png")
    frames[0].save(folder / "still.gif")
    (folder / "album").mkdir()
    os.symlink(folder / "nowhere.png", folder / "album" / "broken.png")
    os.symlink(good.parent, folder / "album" / "elsewhere")
    os.mkfifo(folder / "pipe.png")
    return {
        "truncated.jpg": "truncated", "text.jpg": "not a picture", "empty.png": "0 bytes", "moving.webp": "animated",
        "huge.png": "megapixels", "still.gif": "cannot write .gif", "broken.png": "No such file",
        "elsewhere": "link to a folder", "pipe.png": "neither a file nor a folder",
    }  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="links and pipes")
def test_each_bad_input_is_named_with_its_reason_and_the_good_one_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    reasons = bad_files(folder)
    files = [folder / name for name in reasons if name not in ("broken.png", "elsewhere")]
    assert run(*files, folder / "good.png", folder / "album", "--output", "out", "--report", "r.json") == 4
    lines = capsys.readouterr().err.splitlines()
    rows = {Path(row["input"]).name: row for row in json.loads((tmp_path / "r.json").read_text())["images"]}
    assert set(rows) == {*reasons, "good.png"} and rows["good.png"]["status"] == "anonymized"
    for name, reason in reasons.items():
        assert sum(name in line and reason in line for line in lines) == 1, name
        assert rows[name]["status"] == "unreadable" and reason in rows[name]["reason"] and rows[name]["output"] is None
    assert [p.name for p in (tmp_path / "out").rglob("*") if p.is_file()] == ["good.png"]


@pytest.mark.parametrize("kind", ["sixteen", "cmyk", "palette", "one", "upper", "unicode", "read-only", "mislabelled"])
def test_odd_pictures_are_done_like_any_other(tmp_path: Path, kind: str) -> None:
    grey = Image.fromarray(np.full((24, 32), 25700, np.uint16))
    colour = Image.new("RGB", (32, 24), (100, 100, 100))
    name, image, save_as = {
        "sixteen": ("a.png", grey, None), "cmyk": ("a.jpg", colour.convert("CMYK"), None),
        "palette": ("a.png", colour.quantize(4), None), "one": ("a.png", colour.resize((1, 1)), None),
        "upper": ("A.JPEG", colour, None), "unicode": ("\u00dc \u5199\u771f.png", colour, None),
        "read-only": ("a.png", colour, None), "mislabelled": ("a.jpg", colour, "PNG"),
    }[kind]  # fmt: skip
    (tmp_path / "in").mkdir()
    image.save(tmp_path / "in" / name, save_as)
    if kind == "read-only":
        (tmp_path / "in" / name).chmod(0o444)
    assert run(tmp_path / "in", "--output", "out") == 0
    done = np.asarray(Image.open(tmp_path / "out" / name))
    assert done.shape[:2] == ((1, 1) if kind == "one" else (24, 32)) and abs(int(done[0, 0, 0]) - 155) <= 2


def test_ctrl_c_leaves_finished_files_whole_and_no_original(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [picture(tmp_path / "a.png"), picture(tmp_path / "b.png", 40), picture(tmp_path / "c.png")]
    assert run(*paths, "--output", "out") == 130
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a.png"]
    assert capsys.readouterr().err.splitlines() == ["id2face: interrupted"]


def test_a_full_disk_leaves_no_part_of_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = picture(tmp_path / "a.png")

    def full(self: Image.Image, file: Any, **_: object) -> None:
        file.write(b"half a picture")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    assert run(source, "--output", "out") == 1
    assert not list((tmp_path / "out").iterdir()) and "No space left" in capsys.readouterr().err


def test_a_face_that_was_not_selected_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(picture(tmp_path / "x.png", 50), "--output", "out", "--faces", "7") == 0
    assert "none of its 1 faces was selected" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"short", b"\x00" * 31, b"zz" * 40])
def test_a_key_file_that_is_none_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    assert run(picture(tmp_path / "x.png"), "--output", "out", "--key-file", "key") == 2
    error = capsys.readouterr().err
    assert "key" in error and "zzzz" not in error and not (tmp_path / "out").exists()
