"""The memory of another process, as the tests and the benchmark count it, from /proc/PID/status.

allocated   peak of what it has allocated: its resident pages without those of files (RssFile), which the system shares among
            processes and takes back when it needs them
resident    peak of all its resident pages, those of mapped checkpoints, stores and libraries among them (VmHWM)"""
import subprocess
import threading
import time

INTERVAL = 0.01  # seconds between two looks; one takes some 50 microseconds
TRIES = 10  # of a process so short that nobody looked while it worked


class Memory:
    """Watches process `pid` from when it is made until stop(); in MiB. The first look is made at once, `looks` counts all."""

    def __init__(self, pid, interval=INTERVAL):
        self.allocated = self.resident = 0.0
        self.looks = 0
        self.path, self.interval = f"/proc/{pid}/status", interval
        self.stopped = threading.Event()
        self.look()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def look(self):
        """Whether the process is there"""
        try:
            with open(self.path) as file:
                fields = dict(line.split(":", 1) for line in file)
        except OSError:
            return False
        if "VmHWM" not in fields:  # it has ended, and nobody has waited for it yet
            return False
        size = {name: int(fields[name].split()[0]) / 1024 for name in ("VmHWM", "VmRSS", "RssFile")}
        self.allocated = max(self.allocated, size["VmRSS"] - size["RssFile"])
        self.resident = max(self.resident, size["VmHWM"])
        self.looks += 1
        return True

    def watch(self):
        while not self.stopped.wait(self.interval) and self.look():
            pass

    def stop(self):
        """(allocated, resident)"""
        self.stopped.set()
        self.thread.join()
        return self.allocated, self.resident

    def __str__(self):
        return f"{self.allocated:.0f} MiB allocated, {self.resident:.0f} resident"


def run(command, interval=INTERVAL, **options):
    """(status, seconds, its Memory) of a process of its own. One that succeeds and ends before the second look, as on a busy machine, is
    run again: its start says nothing of its memory."""
    for _ in range(TRIES):
        start = time.monotonic()
        process = subprocess.Popen([str(word) for word in command], **options)
        memory = Memory(process.pid, interval)
        status = process.wait()
        seconds = time.monotonic() - start
        memory.stop()
        if status != 0 or memory.looks > 1:
            return status, seconds, memory
    raise RuntimeError(f"{command[0]}: {TRIES} times over before {interval} s had passed: too short to measure its memory")
