"""What a suite counts its checks with."""


class Report:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, name, good, detail=""):
        """Prints a line for each"""
        self.passed += bool(good)
        self.failed += not good
        print("ok    " if good else "FAILED", name, detail, flush=True)

    def finish(self):
        """Prints "N passed, N failed"; the exit status"""
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed else 0
