"""A hub on this machine: datasets laid out as on the Hugging Face Hub, and the API that `datasets` asks for."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import datasets
import PIL.Image

# The columns of the official datasets.
TEXT, TEXTS, PICTURE = datasets.Value("string"), datasets.List(datasets.Value("string")), datasets.Image()
DOCVQA = {
    "questionId": TEXT,
    "question": TEXT,
    "question_types": TEXTS,
    "image": PICTURE,
    "docId": datasets.Value("int64"),
    "ucsf_document_id": TEXT,
    "ucsf_document_page_no": TEXT,
    "answers": TEXTS,
    "data_split": TEXT,
}
STANDARD = {
    **dict.fromkeys(("id", "question", "options", "explanation"), TEXT),
    **{f"image_{number}": PICTURE for number in range(1, 8)},
    **dict.fromkeys(("img_type", "answer", "topic_difficulty", "subject"), TEXT),
}
VISION = {"id": TEXT, "image": PICTURE, "options": TEXT, "answer": TEXT, "subject": TEXT}
CHARTQA = {"type": TEXT, "question": TEXT, "answer": TEXT, "image": PICTURE}
OCRBENCH = {"dataset": TEXT, "question": TEXT, "question_type": TEXT, "answer": TEXTS, "image": PICTURE}
AI2D = {"question": TEXT, "options": TEXTS, "answer": TEXT, "image": PICTURE}
LABELLED = {"image": PICTURE, "query": TEXT, "label": TEXTS, "half": datasets.ClassLabel(names=["human", "machine"])}


def png(seed: int, side: int = 6) -> bytes:
    stream = io.BytesIO()
    noise = hashlib.shake_128(seed.to_bytes(2, "big")).digest(side * side * 3)
    PIL.Image.frombytes("RGB", (side, side), noise).save(stream, "PNG")
    return stream.getvalue()


def cell(data: bytes, name: str | None = None) -> dict[str, object]:
    return {"bytes": data, "path": name}


def publish(root: Path, repo: str, files: Mapping[str, tuple[Mapping[str, Any], list[dict[str, Any]]]]) -> Path:
    """Lay a dataset as the hub has it: files by `subset/split`, and the README.md that declares them."""
    folder = root / repo
    subsets: dict[str, list[dict[str, str]]] = {}
    for name, (features, rows) in files.items():
        subset, split = name.split("/")
        place = "data" if subset == "default" else subset
        subsets.setdefault(subset, []).append({"split": split, "path": f"{place}/{split}-*"})
        (folder / place).mkdir(parents=True, exist_ok=True)
        columns = {field: [row.get(field) for row in rows] for field in features}
        table = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
        table.to_parquet(folder / place / f"{split}-00000-of-00001.parquet")
    configs = [{"config_name": subset, "data_files": splits} for subset, splits in subsets.items()]
    # JSON is YAML.
    (folder / "README.md").write_text(f"---\nconfigs: {json.dumps(configs)}\n---\n# A dataset\n", encoding="utf-8")
    return folder


def publish_docvqa(root: Path, first: str = "1") -> Path:
    page = cell(png(1, side=60), "page.png")
    questions: list[dict[str, Any]] = [
        {"questionId": first, "image": page, "answers": ["a", "A"], "docId": 5},
        {"questionId": "2", "image": page},
    ]
    blind = [{"questionId": "9", "image": page, "answers": None}]
    other = [{"questionId": "7", "image": page, "answers": ["x"]}]
    files = {"DocVQA/validation": questions, "DocVQA/test": blind, "InfographicVQA/validation": other}
    return publish(root, "lmms-lab/DocVQA", {name: (DOCVQA, rows) for name, rows in files.items()})


@contextmanager
def serve(folder: Path, commit: str) -> Iterator[int]:
    """Serve the datasets `folder/<owner>/<name>/`, all at one commit that is also `main`, and yield the port."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    server.folder, server.commit = folder, commit
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Hub(BaseHTTPRequestHandler):
    """Answers from the folder and with the commit that the server carries."""

    server: Any

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def answer(self, status: int, body: bytes = b"{}", **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        folder, commit = self.server.folder, self.server.commit
        match unquote(urlparse(self.path).path).split("/")[1:]:
            case ["api", "datasets", owner, name, *_] if not (folder / owner / name).is_dir():
                self.answer(404, X_Error_Code="RepoNotFound")
            case ["api", "datasets", _, _, "revision", revision] if revision not in ("main", commit):
                self.answer(404, X_Error_Code="RevisionNotFound")
            case ["api", "datasets", owner, name] | ["api", "datasets", owner, name, "revision", _]:
                self.answer(200, json.dumps({"id": f"{owner}/{name}", "sha": commit, "siblings": []}).encode())
            case ["api", "datasets", owner, name, "tree", _, *path]:
                root = folder / owner / name
                entries = [
                    {"path": entry.relative_to(root).as_posix(), "oid": entry.name, "size": entry.stat().st_size}
                    | {"type": "directory" if entry.is_dir() else "file"}
                    for entry in root.joinpath(*path).iterdir()
                ]
                self.answer(200, json.dumps(entries).encode())
            case ["datasets", owner, name, "resolve", _, *path] if (folder / owner / name).joinpath(*path).is_file():
                body = (folder / owner / name).joinpath(*path).read_bytes()
                self.answer(200, body, X_Repo_Commit=commit, ETag=f'"{hashlib.sha256(body).hexdigest()}"')
            case _:
                self.answer(404, X_Error_Code="EntryNotFound", X_Repo_Commit=commit)
