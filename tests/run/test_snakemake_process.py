"""What Snakemake's own process does for varlm; workflow/test_killed_runs.py tries it in runs."""

import inspect
import signal
import threading

from snakemake.scheduling.job_scheduler import JobScheduler

from varlm.run.snakemake_process import let_signals_in


def a_scheduler() -> JobScheduler:
    """A scheduler with what its handler of signals uses, and nothing else."""
    scheduler = JobScheduler.__new__(JobScheduler)
    scheduler._lock = threading.Lock()
    scheduler._open_jobs = threading.Semaphore(0)
    scheduler._user_kill = None
    return scheduler


def test_a_signal_while_the_scheduler_has_its_lock_is_taken():
    scheduler = a_scheduler()
    let_signals_in(scheduler)
    before = signal.signal(signal.SIGUSR1, scheduler.exit_gracefully)
    try:
        with scheduler._lock:
            signal.raise_signal(signal.SIGUSR1)  # would wait for ever with Snakemake's own lock
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert scheduler._user_kill == "graceful"


def test_other_threads_still_wait_for_the_lock():
    scheduler = a_scheduler()
    let_signals_in(scheduler)
    taken = []
    with scheduler._lock:
        other = threading.Thread(target=lambda: taken.append(scheduler._lock.acquire(timeout=0.1)))
        other.start()
        other.join()
    assert taken == [False]


def test_snakemake_still_needs_it():
    """When Snakemake's lock may be taken twice by itself, the function can go."""
    assert "self._lock = threading.Lock()" in inspect.getsource(JobScheduler.__init__)
