"""Runs a node in a child process that ends when its parent does, however the parent ends."""

from importlib import import_module
import os
import signal
import sys
import threading

STDIN = 0
END_TIMEOUT_S = 10.0


def end_with_parent() -> None:
    """Interrupt this process once its standard input, a pipe from the parent, is at its end.

    The kernel closes the pipe even when the parent is killed. Its own way to tell (prctl
    PR_SET_PDEATHSIG) sends one signal for each of the parent's threads, and nodes take a second
    interrupt for an order to end at once.
    """

    def watch() -> None:
        while os.read(STDIN, 1):
            pass
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(END_TIMEOUT_S)
        os._exit(1)

    threading.Thread(target=watch, name='parent_watch', daemon=True).start()


def main() -> int:
    """Run ``main`` of the module named first on the command line with the words after it."""
    end_with_parent()
    del sys.argv[0]
    result: int = import_module(sys.argv[0]).main()
    return result


if __name__ == '__main__':
    sys.exit(main())
