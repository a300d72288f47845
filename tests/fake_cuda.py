"""Streams and graphs of CUDA, acted out on the CPU.

`FakeCuda` replaces what the engine calls of `torch.cuda`. Work is done at once, in the order in
which it is asked for, so a forgotten wait changes no number here. But it is found: every read and
write of memory has its place in the order that streams, waits and synchronisations promise on a
GPU, and two that conflict must be ordered. A graph records the operations below autograd and does
them again on the same memory, as a GPU would: numbers of the host stay what they were, and reading
one is refused.
"""

from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CAPTURING = "operation not permitted when stream is capturing"
HOST_READS = {
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten.is_nonzero.default,
    torch.ops.aten.equal.default,
}


class FakeStream:
    """A queue of work: how much it has, and how much of each other queue it comes after."""

    def __init__(self, fake):
        self.fake, self.count, self.after = fake, 0, {}
        fake.streams.append(self)

    def wait_stream(self, other):
        for stream, count in [*other.after.items(), (other, other.count)]:
            self.after[stream] = max(self.after.get(stream, 0), count)


@dataclass
class Uses:
    """Who used a piece of memory last: (stream, place in it)."""

    written: tuple | None = None
    read: dict = field(default_factory=dict)


class FakeGraph:
    """What was done while it was recorded."""

    def __init__(self, fake):
        self.fake, self.work = fake, []

    def replay(self):
        self.fake.replays += 1
        with torch._C._AutoDispatchBelowAutograd():  # where they were recorded
            for function, arguments, keywords, results in self.work:
                again = function(*arguments, **keywords)
                for old, new in zip(tensors(results), tensors(again), strict=True):
                    if old.data_ptr() != new.data_ptr():
                        old.copy_(new)


class FakeCuda(TorchDispatchMode):
    """`with FakeCuda(monkeypatch) as cuda:`; afterwards `cuda.hazards` should be empty."""

    def __init__(self, monkeypatch):
        super().__init__()
        self.streams, self.uses, self.hazards, self.borrowed = [], {}, [], set()
        self.capturing, self.replays = None, 0
        self.current = FakeStream(self)
        for name, stand_in in {
            "Stream": lambda: FakeStream(self),
            "stream": self._stream,
            "current_stream": lambda: self.current,
            "synchronize": self._synchronize,
            "CUDAGraph": lambda: FakeGraph(self),
            "graph": self._graph,
        }.items():
            monkeypatch.setattr(torch.cuda, name, stand_in)

    @contextmanager
    def _stream(self, stream):
        before, self.current = self.current, stream or self.current
        yield
        self.current = before

    @contextmanager
    def _graph(self, graph, stream):
        self.capturing = graph
        try:
            with self._stream(stream):
                yield
        finally:
            self.capturing = None

    def _synchronize(self):
        for ref in self.borrowed:
            if ref.expired():
                self.hazards.append("memory that another stream reads was let go too early")
        self.borrowed.clear()
        for stream in self.streams:
            for other in self.streams:
                stream.wait_stream(other)

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        keywords = keywords or {}
        if self.capturing and function in HOST_READS:
            raise RuntimeError(CAPTURING)
        results = function(*arguments, **keywords)
        self._note(function, arguments, keywords, results)
        if self.capturing:
            self.capturing.work.append((function, arguments, keywords, results))
        return results

    def _note(self, function, arguments, keywords, results):
        """Check one operation against all before it."""
        stream = self.current
        stream.count += 1
        given = list(zip(function._schema.arguments, arguments, strict=False))
        given += [(a, keywords[a.name]) for a in function._schema.arguments if a.name in keywords]
        written = {key(t) for a, value in given if is_written(a) for t in tensors(value)}
        inputs = {key(t) for _, value in given for t in tensors(value)}
        written |= {key(t) for t in tensors(results)} - inputs
        for memory in inputs | written:
            uses = self.uses.setdefault(memory, Uses())
            earlier = [uses.written] if uses.written else []
            if memory in written:
                earlier += list(uses.read.items())
            for other, place in earlier:
                if other is not stream and stream.after.get(other, 0) < place:
                    self.hazards.append(f"{function} does not wait for another stream")
            if memory in written:
                uses.written, uses.read = (stream, stream.count), {}
            else:
                uses.read[stream] = stream.count
                if uses.written and uses.written[0] is not stream:
                    self.borrowed.add(memory)


def key(tensor):
    """The memory of a tensor; a weak reference, so that its address is not given out again."""
    return StorageWeakRef(tensor.untyped_storage())


def tensors(values):
    return [value for value in tree_leaves(values) if isinstance(value, torch.Tensor)]


def is_written(argument):
    return argument.alias_info is not None and argument.alias_info.is_write
