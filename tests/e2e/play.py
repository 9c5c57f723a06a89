"""Plays scenarios, several at a time, and counts what became of each.  One of which nothing was heard has not passed."""
import os
import sys
import traceback

PASSED, FAILED, SKIPPED = b"p", b"f", b"s"


def play(wanted, jobs, work):
    """work(some, verdict): plays what `some` yields and calls verdict(PASSED, FAILED or SKIPPED) after each.  Returns the
    exit status."""
    queue, rest = os.pipe()
    os.write(rest, b"".join(i.to_bytes(2, "big") for i in range(len(wanted))))
    os.close(rest)
    heard, said = os.pipe()
    well = all_workers(jobs, lambda: work(taken(queue, wanted), lambda verdict: os.write(said, verdict)))
    os.close(said)
    return tell(os.read(heard, len(wanted)), len(wanted), well)


def taken(queue, wanted):
    """The scenarios that nobody else has taken yet, one after the other."""
    while True:
        number = os.read(queue, 2)
        if not number:
            return
        yield wanted[int.from_bytes(number, "big")]


def all_workers(jobs, run):
    """Whether each of them came to its end."""
    if jobs == 1:
        run()
        return True
    children = [begin(run) for _ in range(jobs)]
    return sum(os.waitpid(pid, 0)[1] != 0 for pid in children) == 0


def begin(run):
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        run()
        status = 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def tell(verdicts, wanted, well):
    passed, failed, skipped = (verdicts.count(verdict) for verdict in (PASSED, FAILED, SKIPPED))
    lost = wanted - len(verdicts)
    print("%d passed, %d failed%s%s" % (passed, failed, ", %d skipped" % skipped if skipped else "",
                                        ", %d never came to an end" % lost if lost else ""))
    return 0 if well and not failed and not lost else 1
