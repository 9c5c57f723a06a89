"""A scenario is a function of a World; its name is the promise it keeps."""

SCENARIOS = []


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
