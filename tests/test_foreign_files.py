"""Records, archives and parts from elsewhere that are damaged or malicious: one line, and nothing
of them stays."""

import contextlib
import errno
import hashlib
import http.server
import io
import json
import lzma
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
from small_clone import RUNS, STUDY, TINY, contents, small_clone
from snakemake.persistence.file import FilePersistence
from workflow_copy import ROOT

from squareloss.errors import UserError
from squareloss.share import archive as packing
from squareloss.share import fetch as fetching
from squareloss.share import limited, prune
from squareloss.share import merge as merging
from squareloss.share import snakemake_records as records
from squareloss.share.check import refuse_damaged

RUN = RUNS[0]
RECORD = f"{STUDY}/runs/{RUN}/run.json"


@pytest.fixture
def clones(tmp_path):
    small_clone(tmp_path / "source")
    (tmp_path / "target").mkdir()
    return merging.Clones(tmp_path / "source", tmp_path / "target")


@pytest.fixture
def published(clones, tmp_path):
    packing.archive(TINY, clones.source, tmp_path / "archive")
    return tmp_path / "archive"


def taken(clone):
    """The runs of which a clone has anything: part or record."""
    names = [*records.outputs(clone), *(str(path) for path in (clone / "results").rglob("*"))]
    return {run for run in RUNS if any(run in name for name in names)}


# Records

NESTED = "[" * 100_000
RECORDS = {
    "no text": lambda _: b"\xff\xfe{",
    "no JSON": lambda _: b"{",
    "a list": lambda _: b"[1, 2]",
    "deep": lambda _: NESTED.encode(),
    "empty": lambda _: b"",
    "too large": lambda r: json.dumps(r | {"log": ["x" * (1 << 24)]}).encode(),
    "no command": lambda r: json.dumps(r | {"shellcmd": None}).encode(),
    "open quote": lambda r: json.dumps(r | {"shellcmd": "a 'b"}).encode(),
    "params that are none": lambda r: json.dumps(r | {"params": None}).encode(),
    "params of numbers": lambda r: json.dumps(r | {"params": [1, 2]}).encode(),
    "params in lists": lambda r: json.dumps(r | {"params": [["a"]]}).encode(),
    "params that are no literals": lambda r: json.dumps(r | {"params": ["a b", "("]}).encode(),
    "deep params": lambda r: json.dumps(r | {"params": [NESTED]}).encode(),
    "params of nothing": lambda r: json.dumps(r | {"params": []}).encode(),
    "a command to run": lambda r: json.dumps(r | {"params": ["__import__('os')"]}).encode(),
    "no checksums": lambda r: json.dumps(r | {"input_checksums": None}).encode(),
    "checksums of numbers": lambda r: json.dumps(r | {"input_checksums": {"a/data/b": 1}}).encode(),
    "input in one": lambda r: json.dumps(r | {"input": "a"}).encode(),
    "a rule that is none": lambda r: json.dumps(r | {"rule": {"a": 1}}).encode(),
    "another rule": lambda r: json.dumps(r | {"rule": "figure5"}).encode(),
    "an earlier form": lambda r: json.dumps(r | {"record_format_version": 5}).encode(),
    "a form that is none": lambda r: json.dumps(r | {"record_format_version": "6"}).encode(),
    "incomplete": lambda r: json.dumps(r | {"incomplete": True}).encode(),
    "no spec": lambda r: json.dumps(r | {"shellcmd": "a", "params": r["params"][:1]}).encode(),
    "a spec that is none": lambda r: json.dumps(
        r | {"shellcmd": "a --spec x", "params": [r["params"][0], "'x'"]}
    ).encode(),
    "a spec of other things": lambda r: json.dumps(
        r
        | {"shellcmd": "a --spec '{\"point\": 1}'", "params": [r["params"][0], "'{\"point\": 1}'"]}
    ).encode(),
}


def spoil(path, how):
    path.write_bytes(RECORDS[how](json.loads(path.read_text(encoding="utf-8"))))


@pytest.mark.parametrize("how", RECORDS)
def test_a_run_whose_record_cannot_be_relied_on_is_not_merged(clones, how, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)  # what `shlex` reads of a command that is none
    spoil(records.record_path(clones.source, RECORD), how)
    merging.merge(clones)
    assert taken(clones.target) == {RUNS[1]}
    assert_snakemake_reads(clones.target)


@pytest.mark.parametrize("how", RECORDS)
def test_a_run_whose_record_cannot_be_relied_on_is_not_fetched(clones, published, tmp_path, how):
    spoil(records.record_path(clones.source, RECORD), how)
    repack(published, clones.source)
    fetch_fails(published, tmp_path, "record")


def assert_snakemake_reads(clone):
    """Snakemake reads every record with its own code when it plans."""
    persistence = FilePersistence(path=clone / ".snakemake")
    for output in records.outputs(clone):
        assert isinstance(set(persistence._read_record(output).params), set)


def repack(published, clone, edit=None, run=RUN):
    """Write the file of a run again from what lies in a clone, and its size and checksum."""
    path = published / packing.file_of(run)
    manifest = json.loads((published / packing.MANIFEST).read_text(encoding="utf-8"))
    if edit is None:
        packing.pack(clone, manifest["runs"][run]["parts"], path)
    else:
        path.write_bytes(edit(path.read_bytes()))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest["runs"][run] |= {"sha256": digest, "size": path.stat().st_size}
    (published / packing.MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def fetch_fails(source, tmp_path, words):
    clone = tmp_path / "clone"
    clone.mkdir(exist_ok=True)
    with pytest.raises(UserError, match=words) as caught:
        fetching.fetch(str(source), clone, TINY)
    assert "\n" not in str(caught.value)
    assert contents(clone) == {}
    assert not list((clone / ".snakemake").glob("fetch-*"))
    return str(caught.value)


# Files of an archive, with the right size and checksum


def tar_of(*members, compressed=True):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz" if compressed else "w") as tar:
        for member, text in members:
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    return data.getvalue()


def linked(kind, to):
    member = tarfile.TarInfo(RECORD)
    member.type, member.linkname = kind, to
    return lambda _: tar_of((member, b""))


def sparse(_):
    """A member that claims 1 TB, of which no byte is in the file."""
    member = tarfile.TarInfo(RECORD)
    member.pax_headers = {
        "GNU.sparse.major": "0",
        "GNU.sparse.minor": "1",
        "GNU.sparse.size": str(1 << 40),
        "GNU.sparse.map": f"{1 << 40},0",
    }
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(member)
    return data.getvalue()


def bomb(_):
    """160 MB of nothing in some kB."""
    member = tarfile.TarInfo("zeros")
    member.size = 10 << 24
    compressor = lzma.LZMACompressor(preset=0)
    pieces = [compressor.compress(member.tobuf())]
    pieces += [compressor.compress(bytes(1 << 24)) for _ in range(10)]
    return b"".join([*pieces, compressor.flush()])


FILES = {
    "nothing": lambda _: b"",
    "text": lambda _: b"no archive",
    "a cut xz": lambda data: data[: len(data) // 2],
    "xz of a text": lambda _: lzma.compress(b"no archive" * 1000),
    "a cut tar": lambda data: lzma.compress(lzma.decompress(data)[:2000]),
    "a flipped byte": lambda data: data[:40] + bytes([data[40] ^ 255]) + data[41:],
    "not compressed": lambda data: lzma.decompress(data),
    "a link to itself": linked(tarfile.SYMTYPE, RECORD),
    "a hard link to itself": linked(tarfile.LNKTYPE, RECORD),
    "a link elsewhere": linked(tarfile.SYMTYPE, "/etc/passwd"),
    "a folder": linked(tarfile.DIRTYPE, ""),
    "a device": linked(tarfile.CHRTYPE, ""),
    "a pipe": linked(tarfile.FIFOTYPE, ""),
    "a sparse file": sparse,
    "a bomb": bomb,
}


@pytest.mark.parametrize("how", FILES)
def test_a_file_that_is_no_archive_is_one_line(clones, published, tmp_path, how):
    repack(published, clones.source, edit=FILES[how])
    fetch_fails(published, tmp_path, "is damaged|lacks|larger than it should")


# Parts


def flip(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def fewer_rows(path, rows=0):
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table.slice(0, rows), path)


def with_table(edit):
    def edited(path):
        pq.write_table(edit(pq.read_table(path, partitioning=None)), path)

    return edited


def another_number(table):
    rho = pa.compute.add(table["rho"], 1.0)
    return table.set_column(table.column_names.index("rho"), "rho", rho)


def without(column, value):
    return with_table(lambda table: table.filter(pa.compute.not_equal(table[column], value)))


def with_run(**values):
    def edited(path):
        path.write_text(
            json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8"
        )

    return edited


WEIGHTS = f"runs/{RUN}/snapshots.safetensors"
RUN_JSON = f"runs/{RUN}/run.json"
MARGINS = f"metrics/margins/{RUN}.parquet"
HISTORY = f"metrics/history/{RUN}.parquet"
PARTS = {
    "cut weights": (WEIGHTS, lambda path: os.truncate(path, 100)),
    "a flipped bit of a weight": (WEIGHTS, flip),
    "weights of nothing": (WEIGHTS, lambda path: safetensors.numpy.save_file({}, path)),
    "a cut record": (RUN_JSON, lambda path: os.truncate(path, 100)),
    "a list for a record": (RUN_JSON, lambda path: path.write_text("[1, 2]")),
    "deep nesting": (RUN_JSON, lambda path: path.write_text(NESTED)),
    "a record without its spec": (RUN_JSON, with_run(spec=None)),
    "other replicates": (RUN_JSON, with_run(diverged_at={"5": None})),
    "a cut table": (MARGINS, lambda path: os.truncate(path, 100)),
    "an empty table": (MARGINS, fewer_rows),
    "a table without its last row": (MARGINS, lambda path: fewer_rows(path, 5)),
    "rows twice": (MARGINS, with_table(lambda t: pa.concat_tables([t, t]))),
    "a column less": (MARGINS, with_table(lambda t: t.drop_columns(["margin"]))),
    "a column more": (MARGINS, with_table(lambda t: t.append_column("x", t["margin"]))),
    "a history with another number": (HISTORY, with_table(another_number)),
    "a sample less of every snapshot": (MARGINS, without("sample", 39)),
    "an epoch less of every replicate": (MARGINS, without("epoch", 2)),
    "an empty history": (HISTORY, fewer_rows),
}


@pytest.mark.parametrize("how", PARTS)
def test_damaged_parts_are_not_merged(clones, how):
    name, damage = PARTS[how]
    damage(clones.source / STUDY / name)
    [line] = merging.merge(clones)
    assert RUN in line
    assert "\n" not in line
    assert taken(clones.target) == {RUNS[1]}


@pytest.mark.parametrize("how", PARTS)
def test_damaged_parts_are_not_archived_and_not_fetched(clones, published, tmp_path, how):
    name, damage = PARTS[how]
    damage(clones.source / STUDY / name)
    with pytest.raises(UserError, match=r"init=0\.9"):
        packing.archive(TINY, clones.source, tmp_path / "again")
    repack(published, clones.source)
    fetch_fails(published, tmp_path, r"init=0\.9")


def test_a_part_without_its_record_is_refused(clones):
    (clones.source / STUDY / RUN_JSON).unlink()
    with pytest.raises(UserError, match=r"comes without its run\.json"):
        refuse_damaged(clones.source, [f"{STUDY}/{MARGINS}"])


def test_parts_of_an_earlier_version_have_no_checksums_and_are_taken(clones):
    for run in RUNS:
        path = clones.source / STUDY / "runs" / run / "run.json"
        record = json.loads(path.read_text(encoding="utf-8"))
        del record["sha256"]
        path.write_text(json.dumps(record), encoding="utf-8")
    assert merging.merge(clones) == []
    assert taken(clones.target) == set(RUNS)


# Limits


@contextlib.contextmanager
def server(respond):
    """The address of a web server that answers every request by `respond(handler)`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            with contextlib.suppress(OSError):
                respond(self)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        serving.daemon_threads = True
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


def endless(handler):
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b" " * (1 << 20))


def test_a_list_without_an_end_is_not_read_into_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "LARGEST_LIST", 1 << 22)
    with server(endless) as address:
        fetch_fails(address, tmp_path, "archive.json is larger than it should be")


def test_a_file_without_an_end_is_not_written_to_the_disk(published, tmp_path):
    def respond(handler):
        if handler.path.endswith(packing.MANIFEST):
            handler.send_response(200)
            handler.end_headers()
            handler.wfile.write((published / packing.MANIFEST).read_bytes())
        else:
            endless(handler)

    with server(respond) as address:
        fetch_fails(address, tmp_path, "larger than it should be")


def test_a_server_that_drips_does_not_hold_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(limited, "PATIENCE", 0.5)
    monkeypatch.setattr(fetching, "LARGEST_LIST", 1 << 10)
    dripped = []

    def drip(handler):
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b" ")
            handler.wfile.flush()
            dripped.append(1)
            time.sleep(0.01)

    with server(drip) as address:
        fetch_fails(address, tmp_path, "broke off .slower than")
    assert len(dripped) < fetching.LARGEST_LIST


def reset(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"{")
    handler.wfile.flush()
    handler.connection.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0"
    )  # so that closing resets
    handler.connection.close()


def short(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"{")


def garbled(handler):
    handler.wfile.write(b"\x1b[2J\x1b]0;owned\x07 is no HTTP\r\n\r\n")


def told(handler):
    handler.wfile.write(b"HTTP/1.0 404 \x1b[2J\x1b]0;owned\x07\r\n\r\n")


def silent(_):
    time.sleep(5)


ANSWERS = {
    "reset": (reset, "broke off"),
    "short": (short, "broke off .999 bytes are missing"),
    "garbled": (garbled, "could not be read"),
    "told": (told, "404"),
    "silent": (silent, "timed out"),
}


@pytest.mark.parametrize("how", ANSWERS)
def test_a_transfer_that_goes_wrong_is_one_line_of_plain_letters(tmp_path, monkeypatch, how):
    monkeypatch.setattr(limited, "TIMEOUT", 1 if how == "silent" else 30)
    respond, words = ANSWERS[how]
    with server(respond) as address:
        assert fetch_fails(address, tmp_path, words).isprintable()


ADDRESSES = {
    "http://127.0.0.1:x/": "could not be read",
    "http://127.0.0.1:99999/": "could not be read",
    "http://[::1/": "could not be read",
    "http://": "could not be read",
    "http://a b/": "could not be read",
    f"http://{'x' * 70}.example/": "could not be read",
    "HTTP://127.0.0.1:1": "Connection refused",
    "ftp://127.0.0.1/x": "http://",
    "file:///etc": "http://",
    "s3://bucket/x": "http://",
    "/etc/passwd": "Not a directory",
    "/dev": "No such file",
    "a\0b": "could not be read",
}


@pytest.mark.parametrize("source", ADDRESSES, ids=repr)
def test_what_is_no_address_is_one_line(tmp_path, source):
    fetch_fails(source, tmp_path, ADDRESSES[source])


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_only_regular_files_of_a_folder_are_read(published, tmp_path, kind):
    path = published / packing.file_of(RUN)
    path.unlink()
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    fetch_fails(published, tmp_path, "no regular file|Is a directory")


@pytest.mark.parametrize("size", [0, 10, 10**30])
def test_the_size_in_the_list_is_compared(published, tmp_path, size):
    path = published / packing.MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["runs"][RUN]["size"] = size
    path.write_text(json.dumps(manifest), encoding="utf-8")
    fetch_fails(published, tmp_path, "larger than it should be|are free here")


# One at a time, and after a kill


def test_of_two_that_take_runs_the_second_waits(clones, published):
    (clones.target / ".snakemake").mkdir()
    with merging.only_one(clones.target):
        for command in (
            lambda: merging.merge(clones),
            lambda: fetching.fetch(str(published), clones.target, TINY),
            lambda: prune.prune(TINY, clones.target, {}),
        ):
            with pytest.raises(UserError, match="another job takes runs into this clone"):
                command()
    assert merging.merge(clones) == []


def test_what_a_killed_fetch_unpacked_goes_with_the_next(published, clones):
    left = clones.target / ".snakemake" / "fetch-killed" / "results"
    left.mkdir(parents=True)
    (left / "part").write_text("half", encoding="utf-8")
    fetching.fetch(str(published), clones.target, TINY)
    assert not list((clones.target / ".snakemake").glob("fetch-*"))


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from small_clone import TINY
from squareloss.share import archive
pack, packed = archive.pack, []
def dying(clone, parts, path):
    if len(packed) == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)
    packed.append(path)
    pack(clone, parts, path)
archive.pack = dying
archive.archive(TINY, Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("after", [0, 1])
def test_an_archive_that_was_killed_is_gone_on_with(clones, published, tmp_path, after):
    folder, tests = tmp_path / "killed", os.path.dirname(__file__)
    words = [sys.executable, "-c", KILLED, str(clones.source), str(folder), tests, str(after)]
    assert subprocess.run(words, check=False).returncode < 0
    assert folder.is_dir()
    packing.archive(TINY, clones.source, folder)
    assert contents(folder) == contents(published)


def test_an_archive_goes_on_after_a_full_disk(clones, published, tmp_path, monkeypatch):
    folder, pack = tmp_path / "full", packing.pack

    def full(clone, parts, path):
        raise UserError(f"{path} could not be written: No space left on device")

    monkeypatch.setattr(packing, "pack", full)
    with pytest.raises(UserError, match="No space left"):
        packing.archive(TINY, clones.source, folder)
    monkeypatch.setattr(packing, "pack", pack)
    packing.archive(TINY, clones.source, folder)
    assert contents(folder) == contents(published)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_not_the_fault_of_the_file_that_is_read(clones, monkeypatch, number):
    """`shutil` names the file that is read in errors of writing."""

    def full(source, _target):
        raise OSError(number, os.strerror(number), str(source))

    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(UserError, match="could not be written") as caught:
        merging.merge(clones)
    assert str(clones.source) not in str(caught.value)
    assert taken(clones.target) == set()


@pytest.mark.parametrize(
    ("word", "packs"), [("no", False), ("NO", False), ("No", False), ("yes", True), ("off", None)]
)
def test_weights_are_left_out_however_no_is_spelt(clones, tmp_path, monkeypatch, word, packs):
    config = [str(ROOT / "config.yaml"), str(ROOT / "tests" / "tiny.yaml")]
    words = ["archive", "--config", *config, "--target", str(tmp_path / "a"), "--weights", word]
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.chdir(clones.source)
    if packs is None:
        with pytest.raises(SystemExit):
            packing.main()
        assert not (tmp_path / "a").exists()
        return
    packing.main()
    with tarfile.open(tmp_path / "a" / packing.file_of(RUN)) as tar:
        assert any("snapshots" in name for name in tar.getnames()) == packs
