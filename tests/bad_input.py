"""Hostile and broken files, made on the spot, and what every command must do with them."""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import PIL.Image
import pytest

from evalkit.cli import main
from evalkit.store import RunDir, read_json, read_lines
from evalkit.types import Score

ROW: Mapping[str, object] = {"questionId": "1", "question": "What is it?", "image": "page.png", "answers": ["a page"]}


def docvqa(tmp_path: Path, rows: Iterable[Mapping[str, object]], files: Mapping[str, bytes] | None = None) -> Path:
    """Write a folder for data=local with one good page and the files, and return it."""
    folder = tmp_path / "data" / "docvqa"
    (folder / "images").mkdir(parents=True)
    for name, content in {"page.png": png(), **(files or {})}.items():
        (folder / "images" / name).write_bytes(content)
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def evaluate(folder: Path, *more: str) -> tuple[int, RunDir]:
    """Run the untrained model on a folder of docvqa."""
    results = folder.parents[1] / "results"
    words = [
        "run",
        "task=docvqa",
        "model=untrained",
        "data=local",
        f"data.path={folder.parent}",
        f"results_dir={results}",
        *more,
    ]
    return main(words), RunDir(results / "runs" / "untrained" / "docvqa")


def statuses(run: RunDir) -> dict[str, tuple[str, str]]:
    """Return each sample's status and rule."""
    return {score.sample_id: (score.status, score.rule) for score in read_lines(run.scores, Score)}


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was printed: one sentence and nothing else, and nothing that a terminal would obey."""
    out, err = capsys.readouterr()
    assert err.startswith("evalkit: "), err
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    assert_plain(out + err)
    return err


def assert_plain(printed: str) -> None:
    assert not [sign for sign in printed if (ord(sign) < 32 and sign not in "\n\t") or 0x7F <= ord(sign) < 0xA0]
    assert not {"\u202e", "\u2066"} & set(printed)


def statuses_of(path: Path) -> Mapping[str, int]:
    found: dict[str, Mapping[str, int]] = {"statuses": read_json(path, dict)["statuses"]}
    return found["statuses"]


def image(mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> PIL.Image.Image:
    noise = PIL.Image.effect_noise(size, 50)
    return noise.convert("I").convert("I;16") if mode == "I;16" else noise.convert(mode)


def encode(picture: PIL.Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def png(mode: str = "RGB", size: tuple[int, int] = (40, 30), **options: object) -> bytes:
    return encode(image(mode, size), "PNG", **options)


def animated(kind: str) -> bytes:
    return encode(image(), kind, save_all=True, append_images=[image(), image()])


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def png_of_size(width: int, height: int) -> bytes:
    """A few bytes whose header promises a picture of one bit a pixel."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([1, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def png_with_text_bomb() -> bytes:
    good = png()
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80_000_000), 9))
    return good[:33] + bomb + good[33:]


def rotated() -> bytes:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    return encode(image(), "JPEG", exif=exif)


def zipped(names: Sequence[str] = ("a.txt",), content: bytes = b"x") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names:
            file.writestr(name, content)
    return buffer.getvalue()


def pdf(pages: int = 1, box: str = "0 0 100 100", trailer: str = "") -> bytes:
    """A PDF of empty pages, all the same object, so that thousands are small."""
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {pages} /Kids [{' '.join(f'{number + 3} 0 R' for number in range(pages))}] >>",
        *[f"<< /Type /Page /Parent 2 0 R /MediaBox [{box}] >>"] * pages,
    ]
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, text in enumerate(objects, start=1):
        places.append(len(out))
        out += f"{number} 0 obj\n{text}\nendobj\n".encode()
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}".encode()
    out += f"trailer << /Size {len(objects) + 1} /Root 1 0 R {trailer}>>\nstartxref\n{start}\n%%EOF".encode()
    return bytes(out)


def encrypted_pdf() -> bytes:
    secret = "<" + "ab" * 32 + ">"
    lock = f"/Encrypt << /Filter /Standard /V 1 /R 2 /O {secret} /U {secret} /P -4 >> /ID [{secret} {secret}] "
    return pdf(trailer=lock)


def link(path: Path, target: str) -> None:
    path.symlink_to(target)


def pipe(path: Path) -> None:
    os.mkfifo(path)
