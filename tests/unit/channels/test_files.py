"""Folders: whole files, whole lines, whatever else writes there and however full the disk is."""

import asyncio
import fcntl
import json
import multiprocessing
import resource
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from channels.configure import channel_from_urls
from config.machine_time import Deadline
from domain.message import Answer, Channel, Message, Result

EMAIL = Message(
    "key-1",
    Channel.EMAIL,
    "bob@example.com",
    "a@example.org",
    "Subject",
    "0123456789\n" * 300,
    None,
)
SMS = Message("key-1", Channel.SMS, "+491711234567", "Layby", None, "ä " * 500 + "\u2028\n", None)


def hand_over(folder: Path, *messages: Message, more: str = "", seconds: float = 5) -> list[Result]:
    async def scenario() -> list[Result]:
        adapter = channel_from_urls(f"file://{folder}{more}", messages[0].channel)
        return [await adapter.hand_over(it, Deadline.after(seconds)) for it in messages]

    return asyncio.run(scenario())


def lines(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "sms.jsonl").read_bytes().split(b"\n")[:-1]]


def write_many(folder: Path, writer: int, count: int, start: Barrier) -> None:
    messages = [SMS._replace(key=f"{writer}-{number}") for number in range(count)]
    start.wait()
    assert {it.answer for it in hand_over(folder, *messages)} == {Answer.ACCEPTED}


def fill_disk(folder: Path, message: Message, limit_bytes: int) -> None:
    """In a process of its own: the kernel cuts a write at the limit and then refuses, as ENOSPC."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, resource.RLIM_INFINITY))
    [refused] = hand_over(folder, message)
    assert refused.answer is Answer.TEMPORARY
    assert "Move the file away" in refused.detail
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    [accepted] = hand_over(folder, message)
    assert accepted.answer is Answer.ACCEPTED


def run(*processes: multiprocessing.process.BaseProcess) -> None:
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
        assert process.exitcode == 0


def test_lines_of_many_processes_do_not_mix(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(4)
    run(*(spawn.Process(target=write_many, args=(tmp_path, it, 200, start)) for it in range(4)))
    written = lines(tmp_path)
    assert len({line["key"] for line in written}) == len(written) == 800
    assert {line["text"] for line in written} == {SMS.text}


def test_line_that_no_longer_fits_leaves_nothing_behind(tmp_path: Path) -> None:
    hand_over(tmp_path, SMS)
    size = (tmp_path / "sms.jsonl").stat().st_size
    spawn = multiprocessing.get_context("spawn")
    run(spawn.Process(target=fill_disk, args=(tmp_path, SMS._replace(key="key-2"), size + 100)))
    assert [line["key"] for line in lines(tmp_path)] == ["key-1", "key-2"]


def test_email_that_no_longer_fits_leaves_nothing_behind(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    run(spawn.Process(target=fill_disk, args=(tmp_path, EMAIL, 1000)))
    assert len(list((tmp_path / "email" / "new").iterdir())) == 1
    assert list((tmp_path / "email" / "tmp").iterdir()) == []


def test_line_that_a_crash_cut_short_does_not_spoil_the_next(tmp_path: Path) -> None:
    (tmp_path / "sms.jsonl").write_text('{"key": "cut sho')
    hand_over(tmp_path, SMS)
    cut, whole = (tmp_path / "sms.jsonl").read_bytes().splitlines()
    assert cut == b'{"key": "cut sho'
    assert json.loads(whole)["key"] == "key-1"


def test_process_stopped_in_the_middle_of_a_line_delays_no_one_past_the_deadline(
    tmp_path: Path,
) -> None:
    with (tmp_path / "sms.jsonl").open("a") as stopped:
        fcntl.flock(stopped, fcntl.LOCK_EX)
        [result] = hand_over(tmp_path, SMS, seconds=0.1)
    assert result.answer is Answer.NOT_HANDED_OVER
    assert (tmp_path / "sms.jsonl").read_bytes() == b""


def test_folder_removed_meanwhile_is_made_again(tmp_path: Path) -> None:
    outbox = tmp_path / "outbox"
    for message in (EMAIL, SMS):
        assert hand_over(outbox, message)[0].answer is Answer.ACCEPTED
    (outbox / "sms.jsonl").unlink()
    assert hand_over(outbox, SMS)[0].answer is Answer.ACCEPTED


@pytest.mark.parametrize("message", [EMAIL, SMS], ids=["email", "sms"])
def test_message_is_on_the_disk_before_the_answer_with_fsync(
    tmp_path: Path, message: Message
) -> None:
    assert hand_over(tmp_path, message, more="?fsync=yes")[0].answer is Answer.ACCEPTED


@pytest.mark.parametrize("message", [EMAIL, SMS], ids=["email", "sms"])
def test_deadline_that_passes_before_the_last_step_leaves_nothing_behind(
    tmp_path: Path, message: Message
) -> None:
    """Here the write waits for a free thread until it is too late."""

    async def scenario() -> Result:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        busy = threading.Event()
        adapter = channel_from_urls(f"file://{tmp_path}?fsync=yes", message.channel)
        deadline = Deadline.after(0.1)
        others = asyncio.create_task(asyncio.to_thread(busy.wait, 10))
        hand_over = asyncio.create_task(adapter.hand_over(message, deadline))
        await asyncio.wait([hand_over], timeout=deadline.remaining_seconds + 0.01)
        busy.set()
        await others
        return await hand_over

    assert asyncio.run(scenario()).answer is Answer.NOT_HANDED_OVER
    assert not any(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())


def test_email_is_in_its_place_whole_and_nowhere_else(tmp_path: Path) -> None:
    [result] = hand_over(tmp_path, EMAIL)
    [file] = (tmp_path / "email" / "new").iterdir()
    assert file.name == result.provider_id
    assert EMAIL.text in file.read_text()
    assert list((tmp_path / "email" / "tmp").iterdir()) == []
