# SPDX-License-Identifier: MIT
"""Adapters for several threads, and the checker that finds what they forgot: real threads,
held at the places that matter by events."""

import importlib
import threading

import pytest

from snakepit_bridge import compatibility, tool
from snakepit_bridge import thread_safety_checker as checking
from snakepit_bridge.adapters.threaded_showcase import ThreadedShowcaseAdapter
from snakepit_bridge.base_adapter_threaded import (
    ExampleThreadSafeAdapter,
    RequestTracker,
    ThreadLocalStorage,
    ThreadSafeAdapter,
    require_thread_safe,
    thread_safe_method,
    validate_thread_safety,
)

DEADLINE_S = 60


def on_threads(count, function):
    """Run function(i) on that many threads at the same time; the results, in order."""
    results = [None] * count
    failures = []
    barrier = threading.Barrier(count)

    def run(i):
        try:
            barrier.wait(DEADLINE_S)
            results[i] = function(i)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert not any(thread.is_alive() for thread in threads)
    if failures:
        raise failures[0]
    return results


# ---- the base class ----


def test_every_thread_has_its_own_values():
    storage = ThreadLocalStorage()

    def use(i):
        storage.set("x", i)
        storage.set("y", 1)
        storage.delete("y")
        storage.delete("never")
        return storage.get("x"), storage.get("y", "gone")

    assert on_threads(4, use) == [(i, "gone") for i in range(4)]
    assert storage.get("x") is None
    storage.set("x", 1)
    storage.clear()
    assert storage.get("x", 0) == 0


def test_requests_are_counted_while_they_run():
    tracker = RequestTracker()
    inside = threading.Barrier(3)
    counted = threading.Barrier(3)

    def request(i):
        number = tracker.start_request()
        inside.wait(DEADLINE_S)
        stats = tracker.get_stats()
        counted.wait(DEADLINE_S)
        tracker.end_request()
        return number, stats

    found = on_threads(3, request)
    assert sorted(number for number, _ in found) == [1, 2, 3]
    for _, stats in found:
        assert stats == {"total_requests": 3, "active_threads": 3,
                         "total_active_requests": 3, "threads_seen": 3}
    assert tracker.get_stats() == {"total_requests": 3, "active_threads": 0,
                                   "total_active_requests": 0, "threads_seen": 3}


def test_nested_requests_of_one_thread_are_two():
    tracker = RequestTracker()
    tracker.start_request(7)
    tracker.start_request(7)
    assert tracker.get_stats()["total_active_requests"] == 2
    assert tracker.get_stats()["active_threads"] == 1
    tracker.end_request(7)
    tracker.end_request(7)
    tracker.end_request(7)  # once too often is nothing
    assert tracker.get_stats()["total_active_requests"] == 0


class Counter(ThreadSafeAdapter):
    def __init__(self):
        super().__init__()
        self.total = 0

    @tool(description="Count.")
    @thread_safe_method
    def count(self, times: int = 1):
        for _ in range(times):
            with self.acquire_lock():
                with self.acquire_lock():  # a thread may nest it
                    self.total += 1
        return self.total


def test_the_lock_keeps_a_sum_right():
    adapter = Counter()
    on_threads(8, lambda i: adapter.count(500))
    assert adapter.total == 4000
    stats = adapter.get_stats()
    assert stats["adapter_class"] == "Counter" and stats["thread_safe"] is True
    assert stats["total_requests"] == 8 and stats["threads_seen"] == 8


def test_the_decorator_keeps_what_the_tool_decorator_has_said():
    assert Counter.count._tool_metadata.description == "Count."

    class Other(ThreadSafeAdapter):
        @thread_safe_method
        @tool(description="Also.")
        def also(self):
            return 1

    assert Other.also._tool_metadata.description == "Also."
    assert Other().also() == 1


def test_a_request_is_tracked_by_hand():
    adapter = Counter()
    with adapter.track_request("r-1") as number:
        assert number == 1
        assert adapter.get_stats()["total_active_requests"] == 1
    assert adapter.get_stats()["total_active_requests"] == 0


def test_thread_locals_of_an_adapter():
    adapter = Counter()
    adapter.set_thread_local("a", 1)
    adapter.set_thread_local("b", 2)
    adapter.clear_thread_local("a")
    assert adapter.get_thread_local("a", "none") == "none"
    adapter.clear_thread_local()
    assert adapter.get_thread_local("b") is None


class Plain:
    def ready(self):
        return True


def test_who_does_not_say_so_is_refused():
    @require_thread_safe
    def use(adapter):
        return adapter.get_stats()

    assert use(Counter())["thread_safe"]
    with pytest.raises(RuntimeError, match="Plain does not say __thread_safe__"):
        use(Plain())
    assert validate_thread_safety(Counter)
    assert not validate_thread_safety(Plain)


def test_the_example_counts_right():
    adapter = ExampleThreadSafeAdapter()
    found = on_threads(4, lambda i: adapter.predict([1, 2, 3])["prediction"])
    assert found == [pytest.approx(2.3)] * 4
    assert adapter.get_statistics()["predictions"] == 4


# ---- the checker ----


class Careless(ThreadSafeAdapter):
    """State with a lock, without one, and state that is only read."""

    def __init__(self):
        super().__init__()
        self.guarded = 0
        self.bare = 0
        self.cache = {}
        self.items = []
        self.names = {"a": 1}
        self.own = threading.Lock()
        self.by_own = 0

    @tool
    def good(self):
        with self.acquire_lock():
            self.guarded += 1
        with self.own:
            self.by_own += 1
        return self.names["a"]

    @tool
    def bad(self):
        self.bare += 1

    @tool
    def fill(self, key):
        self.cache[key] = 1
        self.items.append(key)


def watched(strict=False):
    checker = checking.ThreadSafetyChecker(strict_mode=strict)
    return checker, checker.watch(Careless())


def test_state_with_a_lock_and_state_that_is_read_are_silent():
    checker, adapter = watched()
    assert on_threads(4, lambda i: adapter.good()) == [1] * 4
    assert checker.races == []
    assert adapter.guarded == 4 and adapter.by_own == 4


def test_a_container_that_others_have_too_stays_theirs(caplog):
    shared = {}

    class Sharing(Careless):
        def __init__(self):
            super().__init__()
            self.shared = shared
            self.view = self.items

    adapter = checking.ThreadSafetyChecker().watch(Sharing())
    for key in "ab":
        adapter.shared[key] = 1
        adapter.fill(key)
    later = []
    adapter.later = later
    adapter.later.append(1)
    assert shared == {"a": 1, "b": 1} and adapter.view == ["a", "b"] and later == [1]
    assert adapter.view is adapter.items and adapter.later is later
    unwatched = [m for m in caplog.messages if "not watched" in m]
    assert [m.split()[3] for m in unwatched] == [
        f"Sharing.{name}" for name in ("shared", "items", "later", "view")
    ]
    assert type(adapter.cache) is not dict  # it alone has that one


def test_one_thread_alone_is_silent():
    checker, adapter = watched()
    for _ in range(3):
        adapter.bad()
        adapter.fill("x")
    assert checker.races == []


def test_a_change_without_a_lock_is_found_with_both_places():
    checker, adapter = watched()
    adapter.bad()
    on_threads(2, lambda i: adapter.bad())
    assert [race.variable for race in checker.races] == ["Careless.bare"]
    race = checker.races[0]
    assert race.now.function == "bad" and race.before.function == "bad"
    assert race.now.file == __file__ and race.before.file == __file__
    assert race.now.thread != race.before.thread
    assert race.now.is_write
    warning = checker.get_report()["warnings"][0]
    assert f"{__file__}:{race.now.line}" in warning
    assert "protect Careless.bare" in checker.get_report()["recommendations"][0]


def test_a_change_inside_a_container_is_found():
    checker, adapter = watched()
    on_threads(2, lambda i: adapter.fill(i))
    found = {race.variable for race in checker.races}
    assert found == {"the contents of Careless.cache", "the contents of Careless.items"}
    assert sorted(adapter.cache) == [0, 1] and sorted(adapter.items) == [0, 1]


def test_a_lock_at_one_of_two_places_is_not_enough():
    checker, adapter = watched()

    def change(i):
        if i == 0:
            with adapter.acquire_lock():
                adapter.guarded += 1
        else:
            adapter.guarded += 1

    for i in range(2):
        on_threads(1, lambda _, i=i: change(i))
    assert [race.variable for race in checker.races] == ["Careless.guarded"]


def test_two_different_locks_are_none_in_common():
    checker, adapter = watched()

    def change(i):
        with adapter.own if i == 0 else adapter.acquire_lock():
            adapter.guarded += 1

    for i in (0, 1, 0):
        on_threads(1, lambda _, i=i: change(i))
    assert [race.variable for race in checker.races] == ["Careless.guarded"]


def test_it_is_told_once_for_each_variable():
    checker, adapter = watched()
    on_threads(4, lambda i: [adapter.bad() for _ in range(10)])
    assert checker.get_report()["warnings_issued"] == 1


def test_in_strict_mode_the_access_fails():
    checker, adapter = watched(strict=True)
    adapter.bad()
    with pytest.raises(checking.ThreadSafetyError, match="Careless.bare"):
        on_threads(1, lambda i: adapter.bad())


def test_calls_that_overlap_are_said_to():
    checker, adapter = watched()
    inside = threading.Barrier(2)

    def call(i):
        with checker.track_execution("bad"):
            inside.wait(DEADLINE_S)
            adapter.bad()
            inside.wait(DEADLINE_S)

    on_threads(2, call)
    report = checker.get_report()
    assert "while other calls ran" in report["warnings"][0]
    assert report["total_methods_tracked"] == 1
    assert sum(row["calls"] for row in report["thread_utilization"].values()) == 2


def test_a_method_on_two_threads_is_counted():
    checker = checking.ThreadSafetyChecker()
    first_inside = threading.Event()
    second_done = threading.Event()

    def call(i):
        if i == 1:
            first_inside.wait(DEADLINE_S)
        with checker.track_execution("m"):
            if i == 0:
                first_inside.set()
                second_done.wait(DEADLINE_S)
        second_done.set()

    on_threads(2, call)
    assert checker.get_report()["concurrent_accesses"] == {"m": 1}
    checker.reset()
    assert checker.get_report()["total_threads_seen"] == 0


def test_locks_made_while_checking_is_on_are_known():
    checker = checking.enable_checking()
    try:
        assert checking.get_global_checker() is checker
        module_lock = threading.Lock()  # of no object
        adapter = checker.watch(Careless())

        def change(i):
            with module_lock:
                adapter.bare += 1

        on_threads(3, change)
        assert checker.races == []
        condition = threading.Condition()  # made of a tracked lock
        with condition:
            assert condition.wait(0.001) is False
    finally:
        checking.disable_checking()
    assert not checking.get_global_checker().enabled
    assert type(threading.Lock()) is type(checking._lockset._new_lock())


def test_switched_off_it_does_nothing():
    checker = checking.ThreadSafetyChecker(enabled=False)
    adapter = Careless()
    assert checker.watch(adapter) is adapter and type(adapter) is Careless
    with checker.track_execution("m"):
        assert checker.check_method_access("m") is False
    assert checker.check_library_safety(["pandas"]) == []
    assert checker.get_report()["total_methods_tracked"] == 0


def test_unsafe_libraries_are_told_once():
    with checking.ThreadSafetyChecker() as checker:
        first = checker.check_library_safety(["pandas", "numpy", "nltk"])
        assert len(first) == 2 and first[0].startswith("pandas: a DataFrame")
        assert checker.check_library_safety(["pandas"]) == []
        assert checker.get_report()["warnings_issued"] == 2
    assert set(checking.UNSAFE_LIBRARIES) == {"matplotlib", "sqlite3", "pandas"}


class Pitfalls(ThreadSafeAdapter):
    shared = {}

    @tool
    def set_it(self, x):
        self.x = x

    @tool
    @thread_safe_method
    def set_it_well(self, x):
        with self.acquire_lock():
            self.y = x


def test_pitfalls_are_seen_without_running_anything():
    found = checking.check_common_pitfalls(Pitfalls())
    assert any("Pitfalls.shared is a dict of the class" in line for line in found)
    assert any("set_it sets self.x outside of a lock" in line for line in found)
    assert not any("self.y" in line for line in found)
    assert "Plain does not say __thread_safe__ = True" in checking.check_common_pitfalls(Plain())


def test_decorators_of_the_checker(capsys):
    @checking.require_thread_safe_adapter
    def use(adapter):
        return 1

    @checking.check_thread_safe
    def work():
        return 2

    assert use(Careless) == 1 and use(Careless()) == 1
    with pytest.raises(TypeError, match="Plain"):
        use(Plain())
    checking.enable_checking()
    try:
        assert work() == 2
        checking.print_thread_safety_report()
    finally:
        checking.disable_checking()
    assert "threads: 1, methods: 1, warnings: 0" in capsys.readouterr().out


# ---- libraries and interpreters ----


def test_the_table_knows_at_least_twenty_libraries():
    names = compatibility.list_all()
    assert len(sum(names.values(), [])) >= 20
    assert "pandas" in names["not_thread_safe"]
    assert "numpy" in names["thread_safe"]
    assert "torch" in names["conditional"]


def test_what_may_be_used_depends_on_the_profile():
    assert compatibility.check("pandas", "process") == ("ok", "")
    assert compatibility.check("pandas", "thread")[0] == "warning"
    assert compatibility.check("pytorch", "thread")[0] == "ok"
    assert compatibility.check("of_our_own", "thread")[0] == "unknown"
    report = compatibility.generate_report(["numpy", "pandas", "x"], "thread")
    assert [row["library"] for row in report["warnings"]] == ["pandas"]
    assert [row["library"] for row in report["unknown"]] == ["x"]
    assert compatibility.get_library_info("sklearn").since == "1.0.0"


def test_loaded_libraries_are_those_that_were_imported():
    importlib.import_module("sqlite3")
    assert "sqlite3" in compatibility.loaded_libraries()
    assert set(compatibility.loaded_libraries()) <= set(compatibility.installed_libraries())


def test_the_interpreter_says_which_profile_it_is_good_for():
    facts = compatibility.python_facts()
    expected = "process" if facts["gil_enabled"] else "thread"
    assert facts["recommended_profile"] == expected
    assert facts["why"]


# ---- the showcase ----


def test_the_threaded_showcase_has_no_race_of_its_own():
    checker = checking.ThreadSafetyChecker(strict_mode=True)
    adapter = checker.watch(ThreadedShowcaseAdapter())

    def use(i):
        first = adapter.compute_intensive([1, 2], 10)
        again = adapter.compute_intensive([1, 2], 10)
        adapter.matrix_multiply([1.0] * 64)
        adapter.batch_process(["a", "b"], 0)
        adapter.stress_test(1, 10)
        adapter.get_history(3)
        adapter.ping()
        adapter.clear_caches()
        return first["cached"], again["cached"], first["result"] == again["result"]

    assert on_threads(4, use) == [(False, True, True)] * 4
    stats = adapter.get_adapter_stats()
    assert stats["global_stats"]["total_requests"] == 4 * 5
    assert stats["history_entries"] == 20
    assert checker.races == []
