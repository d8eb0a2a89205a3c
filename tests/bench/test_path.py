"""What is counted of a request's way: on steps made by hand, not on what the program happens to do."""

from __future__ import annotations

from bench.path import Step, moves, path_of, usual

HEAD = Step("gateway/http/head.py", "parse_head", True)
SEND = "gateway/http/exchange.py"


def test_the_path_is_from_the_head_to_the_end_of_the_last_send() -> None:
    steps = [
        Step("a.py", "before", True),
        Step(SEND, "send", False),  # of the request before
        HEAD,
        Step("b.py", "f", True),
        Step("b.py", "f", False),
        Step(SEND, "send", True),
        Step(SEND, "send", False),  # the response's head
        Step(SEND, "send", True),
        Step("c.py", "g", True),
        Step(SEND, "send", False),
        Step("d.py", "after", True),
    ]
    assert path_of(steps) == ["gateway/http/head.py", "b.py", SEND, SEND, "c.py"]


def test_a_move_is_a_call_in_another_file_than_the_call_before() -> None:
    assert moves([]) == moves(["a"]) == moves(["a", "a"]) == 0
    assert moves(["a", "b", "b", "a", "c"]) == 3


def test_files_that_few_requests_enter_are_not_listed() -> None:
    assert usual([["b", "a", "b"], ["a", "loop"], ["a", "b"], ["a"]]) == ["a"]
    assert usual([["b", "a"], ["a", "loop"], ["a", "b"]]) == ["a", "b"]
