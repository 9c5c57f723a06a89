"""A scenario is a function of a World; its name is the promise it keeps."""

SCENARIOS = []
LONG = set()  # those that take more than ten seconds: begun first


class Skip(Exception):
    """This machine cannot play the scenario; the text says why."""


def long(function):
    LONG.add(function)
    return function


def scenario(*kinds):
    """Registers a scenario; `kinds`: "mock" or "real" alone where only that API server can play its part."""
    def register(function):
        SCENARIOS.append((function.__module__.rpartition(".")[2] + "." + function.__name__, function,
                          kinds or ("mock", "real")))
        return function
    return register


def expect(true, what):
    if not true:
        raise AssertionError(what)


def expect_equal(got, wanted, what=""):
    if got != wanted:
        raise AssertionError("%s: got %r, wanted %r" % (what, got, wanted))
