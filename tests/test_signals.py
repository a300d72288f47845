"""Every signal by which a scheduler, a terminal or a limit asks a training job to stop."""

import signal

import pytest

from squareloss.train.checkpoint import ASKING, STOPPED, Keeper


@pytest.fixture
def keeper():
    """A keeper that counts what it saves, and listens; the handlers are put back."""
    before = {name: signal.getsignal(signal.Signals[name]) for name in ASKING}
    saved = []
    yield Keeper(lambda: saved.append(1), minutes=1e9)
    for name, handler in before.items():
        signal.signal(signal.Signals[name], handler)


def test_all_that_may_come_are_heard():
    # Of POSIX's signals that end a process, all but faults of the program, SIGKILL, SIGQUIT (which
    # asks for a core), SIGALRM and its like (which a program sets itself) and SIGPIPE.
    assert set(ASKING) == {"SIGHUP", "SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGXCPU"}


@pytest.mark.parametrize("name", ASKING)
def test_a_signal_saves_and_asks_to_be_tried_again(keeper, capsys, name):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    keeper.listen()
    saved = []
    keeper.save = lambda: saved.append(name)
    keeper()
    assert not saved  # nothing is due
    signal.raise_signal(signal.Signals[name])
    with pytest.raises(SystemExit) as stopped:
        keeper()
    assert stopped.value.code == STOPPED == 75
    assert saved == [name]
    assert f"stopped by {name};" in capsys.readouterr().err
    again = signal.getsignal(signal.Signals[name])
    assert again == (keeper._ask if name == "SIGXCPU" else signal.SIG_DFL)


def test_a_limit_on_cpu_time_repeats_itself_and_waits_for_the_checkpoint(keeper):
    keeper.listen()
    for _ in range(3):
        signal.raise_signal(signal.SIGXCPU)
    with pytest.raises(SystemExit):
        keeper()


def test_under_nohup_a_closed_terminal_changes_nothing(keeper):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    keeper.listen()
    signal.raise_signal(signal.SIGHUP)
    keeper()
    assert not keeper.asked
