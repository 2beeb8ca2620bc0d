# SPDX-License-Identifier: MIT
"""The showcase's tools, called as plain methods and through a worker."""

import base64
import hashlib
import json
import math
import os
import statistics
import sys
import threading
import zlib

import pytest
from conftest import DEADLINE, Failed

from snakepit_bridge import BadArguments
from snakepit_bridge.adapters.showcase import ShowcaseAdapter
from snakepit_bridge.adapters.showcase.tool import StreamChunk, Tool


@pytest.fixture
def adapter():
    return ShowcaseAdapter()


# ---- basic ----


def test_ping_is_answered_with_pong(adapter):
    assert adapter.ping()["status"] == "pong"
    assert adapter.ping("hi")["message"] == "hi"
    assert isinstance(adapter.ping()["timestamp"], str)


def test_echo_and_add_answer_as_the_readme_shows(adapter):
    assert adapter.echo(message="hello", n=1) == {
        "echoed": {"message": "hello", "n": 1}
    }
    assert adapter.add(5, 3) == {"result": 8}
    assert adapter.add(2**100, 1) == {"result": 2**100 + 1}


@pytest.mark.parametrize("a, b", [("5", 3), (None, 1), (True, 1), ([], 0)])
def test_add_takes_numbers_only(adapter, a, b):
    with pytest.raises(BadArguments, match="must be a number"):
        adapter.add(a, b)


@pytest.mark.parametrize(
    "operation, a, b, result",
    [
        ("add", 5, 3, 8),
        ("subtract", 5, 3, 2),
        ("multiply", 5, 3, 15),
        ("divide", 5, 2, 2.5),
        ("power", 2, 10, 1024),
        ("modulo", 7, 4, 3),
        ("sqrt", 16, 0, 4.0),
        ("log", math.e, 0, 1.0),
        ("exp", 0, 0, 1.0),
        ("max", 1, 2, 2),
    ],
)
def test_compute_calculates(adapter, operation, a, b, result):
    answer = adapter.compute(operation, a, b)
    assert answer["result"] == pytest.approx(result)
    assert answer["inputs"] == {"a": a, "b": b}


def test_compute_refuses_what_it_cannot_do(adapter):
    with pytest.raises(BadArguments, match="known: add"):
        adapter.compute("integrate", 1, 2)
    with pytest.raises(ValueError, match="division by zero"):
        adapter.compute("divide", 1, 0)


def test_the_worker_describes_itself(adapter):
    info = adapter.info()
    assert info["system_info"]["pid"] == os.getpid()
    assert info["bridge_info"]["name"] == "snakepit_bridge"
    about = adapter.adapter_info()
    assert about["adapter_name"] == "ShowcaseAdapter"
    assert "ping" in about["handlers"] and "ping_stream" in about["streams"]
    stats = adapter.get_stats()
    assert stats["success"] and stats["adapter"]["name"] == "ShowcaseAdapter"
    assert stats["adapter"]["registered_tools"] == len(about["handlers"])
    assert stats["system"]["memory_usage_mb"] > 1
    assert stats["system"]["pid"] == os.getpid()


@pytest.mark.parametrize(
    "kind, exception",
    [
        ("value", ValueError),
        ("runtime", RuntimeError),
        ("key", KeyError),
        ("x", Exception),
    ],
)
def test_error_demo_raises(adapter, kind, exception):
    with pytest.raises(exception):
        adapter.error_demo(kind)


def test_a_host_without_functions_is_told_of(adapter):
    answer = adapter.call_elixir_demo("parse_json", text="{}")
    assert set(answer) == {"error", "available_tools", "hint"}


def test_execute_tool_finds_tools_by_name(adapter):
    assert adapter.execute_tool("add", {"a": 1, "b": 2}, None) == {"result": 3}
    with pytest.raises(ValueError, match="unknown tool: absent"):
        adapter.execute_tool("absent", {}, None)
    with pytest.raises(ValueError, match="unknown tool"):
        adapter.execute_tool("execute_tool", {}, None)


def test_tool_and_stream_chunk_are_where_adapters_look():
    double = Tool(lambda x: 2 * x)
    assert double.name == "<lambda>" and double(4) == 8
    assert StreamChunk({"a": 1}, True).is_final is True


# ---- text ----


@pytest.mark.parametrize(
    "operation, result",
    [("upper", "HELLO YOU"), ("lower", "hello you"), ("reverse", "uoy olleH"),
     ("length", 9), ("words", 2), ("title", "Hello You")],
)  # fmt: skip
def test_process_text(adapter, operation, result):
    answer = adapter.process_text("Hello you", operation)
    assert answer == {
        "original": "Hello you", "operation": operation, "result": result,
        "success": True,
    }  # fmt: skip


def test_process_text_names_its_operations(adapter):
    answer = adapter.process_text("x", "shout")
    assert answer["success"] is False and "upper" in answer["available_operations"]


@pytest.mark.parametrize(
    "text, label",
    [
        ("What a wonderful day, I love this excellent library!", "positive"),
        ("This is terrible. It crashed and I hate the awful errors.", "negative"),
        ("The box is on the table.", "neutral"),
        ("It is not good.", "negative"),
        ("It is not bad at all.", "positive"),
    ],
)
def test_sentiment_is_judged(adapter, text, label):
    assert adapter.ml_analyze_text(text)["sentiment"]["label"] == label


def test_texts_are_measured(adapter):
    told = adapter.ml_analyze_text("Snakes eat mice. Do mice eat snakes? Mice do not!")
    assert told["word_count"] == 10
    assert told["sentence_count"] == 3
    assert told["unique_words"] == 5
    assert told["keywords"][0] == {"word": "mice", "count": 3, "frequency": 0.3}
    assert told["average_sentence_length"] == pytest.approx(10 / 3, abs=1e-4)
    assert told["reading_ease"] > 80
    empty = adapter.ml_analyze_text("")
    assert empty["word_count"] == 0 and empty["sentence_count"] == 0


# ---- binary ----


@pytest.mark.parametrize("form", [bytes, lambda b: base64.b64encode(b).decode(), list])
def test_process_binary_checks_bytes_in_any_form(adapter, form):
    data = b"hello \x00\xff"
    answer = adapter.process_binary(form(data))
    assert answer["sha256"] == hashlib.sha256(data).hexdigest()
    assert answer["crc32"] == f"{zlib.crc32(data):08x}"
    assert answer["size"] == 8


def test_process_binary_examines(adapter):
    assert adapter.process_binary(bytes(range(256)), "entropy")["entropy"] == 8.0
    assert adapter.process_binary(b"", "entropy")["entropy"] == 0.0
    assert adapter.process_binary(b"aab", "histogram")["histogram"] == {
        "97": 2,
        "98": 1,
    }
    assert adapter.process_binary(b"\x89PNG\r\n\x1a\n", "info")["kind"] == "png image"
    assert adapter.process_binary(b"", "other")["success"] is False
    with pytest.raises(BadArguments, match="base64"):
        adapter.process_binary("not base64!")


def test_tensors_and_embeddings_are_real(adapter):
    small = adapter.create_tensor("small", [10, 10])
    assert (small["elements"], small["size_bytes"], small["encoding"]) == (
        100,
        800,
        "json",
    )
    assert adapter.create_tensor("large", [100, 100])["encoding"] == "binary"
    one = adapter.create_embedding("the quick brown fox", 64)
    assert one["norm"] == pytest.approx(1.0) and len(one["embedding"]) == 64

    def likeness(other):
        vector = adapter.create_embedding(other, 64)["embedding"]
        return sum(a * b for a, b in zip(one["embedding"], vector))

    assert likeness("the quick brown dog") > likeness("zzz 123")
    rows = adapter.benchmark_encoding(1, 11, 10)["results"]
    assert [r["size_kb"] for r in rows] == [1, 11]
    assert all(r["json_time_ms"] > 0 for r in rows)


# ---- sessions ----


def test_counters_belong_to_sessions(start):
    client = start("showcase").client

    def call(session, tool, **args):
        response = client.execute(tool, args, session=session)
        return json.loads(response.result.value)

    assert call("a", "set_counter", value=5) == {"value": 5}
    assert call("b", "increment_counter") == {"value": 1}
    assert call("a", "increment_counter") == {"value": 6}
    assert call("a", "get_counter") == {"value": 6}
    assert call("a", "get_worker_info", call_number=3)["session_id"] == "a"
    assert call("a", "init_session", name="x")["settings"] == {"name": "x"}
    assert call("a", "session_cleanup")["command_count"] >= 2
    assert call("a", "get_counter") == {"value": 0}
    assert call("b", "get_counter") == {"value": 1}


# ---- streams ----


def test_streams_count_and_mark_their_last_chunk(adapter):
    for chunks in (
        list(adapter.stream_data(3, 0)),
        list(adapter.ping_stream(3, 0)),
        list(adapter.stream_progress(3, 0)),
        list(adapter.generate_dataset(25, 10)),
        list(adapter.stream_fibonacci(3)),
    ):
        assert [c["is_final"] for c in chunks] == [False, False, True]
    assert [c["index"] for c in adapter.stream_data(3, 0)] == [1, 2, 3]
    assert [c["ping_number"] for c in adapter.ping_stream(2, 0)] == [1, 2]
    assert [c["rows_in_chunk"] for c in adapter.generate_dataset(25, 10)] == [10, 10, 5]
    assert list(adapter.stream_fibonacci(101))[-1]["value"] == 354224848179261915075
    assert next(adapter.infinite_stream(0))["index"] == 1


def test_streams_refuse_nonsense_at_once(adapter):
    with pytest.raises(BadArguments, match="count"):
        adapter.stream_data("three")
    with pytest.raises(BadArguments, match="delay"):
        adapter.stream_data(3, -1)


# ---- data ----


@pytest.fixture
def table(tmp_path):
    """10,000 rows, and what their statistics must be."""
    import csv
    import random

    source = random.Random(1)
    path = tmp_path / "table.csv"
    x, y = [], []
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "x", "y", "name"])
        for i in range(10_000):
            x.append(source.gauss(1e6, 1.0))  # a large mean: naive sums lose here
            missing = i % 10 == 0
            y.append(None if missing else source.uniform(-1, 1))
            writer.writerow(
                [i, repr(x[-1]), "" if missing else repr(y[-1]), 'a "b",\nc']
            )
    return path, x, [v for v in y if v is not None]


def test_a_csv_file_is_read_in_chunks_and_summed_up(adapter, table):
    path, x, y = table
    *chunks, final = adapter.process_large_dataset(str(path), 3000)
    assert [c["processed_rows"] for c in chunks] == [3000, 6000, 9000, 10_000]
    percents = [c["progress_percent"] for c in chunks]
    assert percents == sorted(percents) and percents[-1] == 100.0
    for chunk in chunks:
        assert chunk["progress"] == chunk["progress_percent"]
        assert chunk["records_processed"] == chunk["processed_rows"]
        assert abs(chunk["total_rows"] - 10_000) < 100  # estimated
    assert final["is_final"] and final["total_processed"] == 10_000
    columns = final["final_stats"]["columns"]
    assert columns["x"]["mean"] == pytest.approx(statistics.fmean(x), rel=1e-12)
    assert columns["x"]["std"] == pytest.approx(statistics.stdev(x), rel=1e-6)
    assert columns["x"]["min"] == min(x) and columns["x"]["max"] == max(x)
    assert columns["y"]["missing"] == 1000 and columns["y"]["count"] == len(y)
    assert columns["y"]["mean"] == pytest.approx(statistics.fmean(y))
    assert columns["name"]["distinct"] == 1 and columns["name"]["texts"] == 10_000


def test_ragged_and_empty_files_are_read(adapter, tmp_path):
    path = tmp_path / "ragged.csv"
    path.write_bytes(b"\xef\xbb\xbfa,b\r\n1\r\n\r\n2,3,4\r\n\xff,nan\r\n")
    *_, final = adapter.process_large_dataset(str(path))
    columns = final["final_stats"]["columns"]
    assert list(columns) == ["a", "b"] and final["total_processed"] == 3
    assert columns["a"]["mean"] == 1.5 and columns["a"]["texts"] == 1
    path.write_bytes(b"")
    (final,) = adapter.process_large_dataset(str(path))
    assert final["total_processed"] == 0


def test_a_missing_file_is_told_of(adapter, showcase):
    with pytest.raises(FileNotFoundError):
        adapter.process_large_dataset("/no/such/file.csv")
    with pytest.raises(Exception, match="No such file"):
        showcase.stream("process_large_dataset", file_path="/no/such/file.csv")
    with pytest.raises(Exception, match="file_path"):
        showcase.stream("process_large_dataset")


def test_a_growing_log_is_followed_and_judged(showcase, tmp_path):
    path = tmp_path / "app.log"
    path.write_text("INFO starting\nERROR disk failed\n")
    stream = showcase.open_stream(
        "tail_and_analyze", file_path=str(path), follow=60, max_lines=4
    )
    chunks = (json.loads(c.data) for c in stream if c.data)
    first, second = next(chunks), next(chunks)
    assert (first["severity"], second["severity"]) == ("info", "error")
    assert "disk failed" in second["alert"]
    with open(path, "a") as file:
        file.write("half a li")
        file.flush()
        file.write("ne\nWARN retrying\n")
    third, fourth = next(chunks), next(chunks)
    assert third["log_entry"] == "half a line"
    assert fourth["severity"] == "warning"
    final = next(chunks)
    assert final["is_final"] and final["total_processed"] == 4
    assert final["counts"] == {"info": 2, "error": 1, "warning": 1}


def test_a_log_may_be_cut_or_replaced_while_it_is_followed(showcase, tmp_path):
    path = tmp_path / "app.log"
    path.write_text("one\n")
    stream = showcase.open_stream(
        "tail_and_analyze", file_path=str(path), follow=60, max_lines=3
    )
    chunks = (json.loads(c.data)["log_entry"] for c in stream if c.data)
    assert next(chunks) == "one"
    (tmp_path / "new.log").write_text("two\n")
    os.replace(tmp_path / "new.log", path)
    assert next(chunks) == "two"
    with open(path, "w") as file:
        file.write("3\n")
    assert next(chunks) == "3"
    stream.cancel()


def test_a_log_can_be_read_once_and_filtered(adapter, tmp_path):
    path = tmp_path / "app.log"
    path.write_text("a ERROR\nb\nc error")
    chunks = list(adapter.tail_and_analyze(str(path), follow=0, pattern="(?i)error"))
    assert [c.get("log_entry") for c in chunks] == ["a ERROR", "c error", None]
    assert chunks[-1]["skipped"] == 1
    with pytest.raises(BadArguments, match="regular expression"):
        adapter.tail_and_analyze(str(path), pattern="(")


@pytest.mark.parametrize(
    "item, expected",
    [
        ("The results will arrive one by one, as soon as they are there", "english"),
        ("Die Ergebnisse kommen eins nach dem anderen, sobald sie da sind", "german"),
        ("Les résultats arrivent un par un dès qu'ils sont prêts", "french"),
        ("Los resultados llegan uno por uno en cuanto están listos", "spanish"),
        ("I risultati arrivano uno alla volta non appena sono pronti", "italian"),
        ("for (int i = 0; i < n; i++) { print(array[i]); return 0; }", "code"),
    ],
)
def test_texts_are_classified(adapter, item, expected):
    chunk, final = adapter.batch_inference([item])
    assert chunk["prediction"] == expected and 0 < chunk["confidence"] <= 1
    assert chunk["item"] == item and chunk["index"] == 0 and not chunk["is_final"]
    assert final == {"is_final": True, "total_processed": 1, "model": "built-in"}


def test_files_are_classified_by_what_is_in_them(adapter, tmp_path):
    picture, text = tmp_path / "a.png", tmp_path / "b"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    text.write_text("Sie haben seit dem Morgen auf die anderen gewartet")
    first, second, final = adapter.batch_inference(images=[str(picture), str(text)])
    assert first["prediction"] == "png image" and first["image"] == str(picture)
    assert second["prediction"] == "german"
    assert final["total_processed"] == 2


def test_inference_takes_a_model_of_ones_own(adapter, tmp_path):
    path = tmp_path / "model.json"
    path.write_text(
        json.dumps({"classes": {"animal": ["cat dog"], "plant": ["oak fir"]}})
    )
    chunks = list(adapter.batch_inference(["a dog"], str(path)))
    assert chunks[0]["prediction"] == "animal" and chunks[1]["model"] == str(path)
    path.write_text("{}")
    with pytest.raises(BadArguments, match="classes"):
        adapter.batch_inference(["x"], str(path))


def test_training_learns(adapter, tmp_path):
    path = tmp_path / "model.json"
    config = {"epochs": 15, "model_path": str(path)}
    *epochs, final = adapter.distributed_training(config)
    assert [e["epoch"] for e in epochs] == list(range(1, 16))
    assert epochs[-1]["train_loss"] < epochs[0]["train_loss"] / 2
    assert epochs[-1]["val_acc"] > 0.9
    assert final["is_final"] and final["final_model_path"] == str(path)
    assert json.loads(path.read_text())["classes"] == [0, 1]


def test_training_reads_csv_files_with_any_classes(adapter, tmp_path):
    import random

    source = random.Random(3)
    path = tmp_path / "set" / "flowers.csv"
    path.parent.mkdir()
    lines = ["width,label,height"]
    for i in range(150):
        kind = ("rose", "lily", "iris")[i % 3]
        lines.append(f"{i % 3 * 4 + source.random()},{kind},{source.random()}")
    path.write_text("\n".join(lines))
    config = {"epochs": 20, "model_path": str(tmp_path / "m.json"), "unknown": 1}
    *_, last, final = adapter.distributed_training(config, str(path.parent))
    assert last["val_acc"] > 0.9
    assert final["classes"] == ["iris", "lily", "rose"]
    assert final["ignored_settings"] == ["unknown"]


def test_training_refuses_nonsense(adapter, tmp_path):
    with pytest.raises(BadArguments):
        adapter.distributed_training({"epochs": 0})
    with pytest.raises(FileNotFoundError):
        adapter.distributed_training({}, "/no/such/dataset.csv")
    path = tmp_path / "bad.csv"
    path.write_text("a,label\n1,x\ntwo,y\n")
    with pytest.raises(ValueError, match="line 3"):
        adapter.distributed_training({}, str(path))


# ---- concurrency ----


def test_threads_give_the_same_results(adapter):
    answer = adapter.concurrent_demo(3)
    assert answer["same_results"] and len(answer["results"]) == 3
    assert len({r["key"] for r in answer["results"]}) == 3


def test_load_tasks_do_their_work(adapter):
    assert adapter.cpu_bound_task("t", 5)["iterations"] >= 1000
    assert adapter.sleep_task(1, 7)["task_number"] == 7
    assert adapter.lightweight_task(4) == {"iteration": 4, "result": 8}


# ---- through a worker ----


@pytest.mark.skipif(
    "libasan" in os.environ.get("LD_PRELOAD", ""), reason="keeps what was freed"
)
def test_memory_does_not_grow_with_the_file(showcase, tmp_path):
    path = tmp_path / "big.csv"
    line = "1.5,2.5,some text\n"
    with open(path, "w") as file:
        file.write("a,b,c\n")
        for _ in range(100):
            file.write(line * 2000)
    before = showcase.call("get_stats")["system"]["memory_usage_mb"]
    final = showcase.stream("process_large_dataset", file_path=str(path))[-1]
    assert final["total_processed"] == 200_000
    assert final["final_stats"]["columns"]["a"]["mean"] == 1.5
    after = showcase.call("get_stats")["system"]["memory_usage_mb"]
    assert after - before < 3.0  # the file has 3.4 MB, its cells as objects 30


def test_memory_does_not_grow_with_calls(start):
    source = """
import gc, sys
from snakepit_bridge import BaseAdapter, tool

class Tools(BaseAdapter):
    @tool
    def blocks(self):
        gc.collect()
        return sys.getallocatedblocks()

    @tool
    def give(self, **anything):
        return anything

    @tool
    def fail(self):
        raise ValueError("no")

    @tool
    def stream(self, count):
        for i in range(count):
            yield {"i": i}

    @tool
    async def later(self, x):
        return x

    @tool
    def ask(self):
        return self.session_id
"""
    client = start("tools.py", {"tools.py": source}).client

    def work():
        for i in range(100):
            client.call("give", **{"key%d" % i: i, "b": [i, {"c": None}]})
            client.call("later", x=i)
            client.call("ask")
            assert len(client.stream("stream", count=3)) == 3
            with pytest.raises(Failed):
                client.call("fail")
        for _ in range(10):  # a peer that cancels very often is taken for an attacker
            stream = client.open_stream("stream", count=10**9)
            next(stream)
            stream.cancel()
        return client.call("blocks")

    work()
    before = work()
    assert work() - before < 300


def test_many_clients_may_call_at_once(showcase):
    failures = []

    def caller(number):
        for i in range(50):
            if showcase.call("add", a=number, b=i) != {"result": number + i}:
                failures.append((number, i))

    threads = [threading.Thread(target=caller, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert failures == []


def test_the_handlers_are_imported_when_they_are_used():
    import subprocess

    code = (
        "import sys\n"
        "from snakepit_bridge.adapters.showcase import ShowcaseAdapter\n"
        "ShowcaseAdapter().get_tools()\n"
        "print([m for m in sys.modules if '.handlers.' in m])\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE)
    assert told.stdout.strip() == b"[]"
